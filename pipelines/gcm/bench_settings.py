"""Settings of `sciml bench neural`."""

from dataclasses import dataclass
from pathlib import Path

from sciml.pipelines.gcm.option_checks import positive, require
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
    parity: tuple[int, ...] = setting(
        (), "compare decoded fields with the original's after these hours instead of measuring, e.g. 0,1,24 [h]"
    )
    seed: int = setting(0, "of the random fields, with --parity")
    csv: Path | None = setting(
        None, "write the rows to this file, too; with --parity rows of other models in it are kept"
    )

    def __post_init__(self):
        positive(self, "hours", "repeats", "members")
        require(min(self.parity, default=0) >= 0, f"--parity {','.join(map(str, self.parity))}: hours before the start")
