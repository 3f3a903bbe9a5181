"""Settings of `sciml bench neural`."""

from dataclasses import dataclass
from pathlib import Path

from sciml.pipelines.gcm.option_checks import positive
from sciml.pipelines.settings import setting


@dataclass(frozen=True)
class BenchNeural:
    """`sciml bench neural`."""

    checkpoint: Path | None = setting(
        None, "a NeuralGCM checkpoint (.pkl); default: the small one of the neuralgcm package"
    )
    hours: int = setting(2, "simulated hours in a round [h]")
    repeats: int = setting(5, "interleaved rounds")
    members: int = setting(8, "size of the ensemble that is measured beside one member; 1 for none")
    peers: bool = setting(True, "also measure the original package")
    alone: bool = setting(True, "also measure compilation and memory, each in a process of its own")
    csv: Path | None = setting(None, "write the rows to this file, too")

    def __post_init__(self):
        positive(self, "hours", "repeats", "members")
