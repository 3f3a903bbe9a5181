"""Settings of `sciml bench sphere`, `dycore` and `neural`."""

from dataclasses import dataclass
from pathlib import Path

from sciml.pipelines.errors import suggest
from sciml.pipelines.option_checks import positive, require
from sciml.pipelines.settings import setting

# what `sciml bench dycore --laws` accepts; bench/laws.py measures them
LAWS = ("pressure", "jet", "rest", "williamson2", "williamson5", "dinosaur", "day-nine", "held-suarez")


@dataclass(frozen=True)
class BenchSphere:
    """`sciml bench sphere`."""

    cases: tuple[str, ...] = setting(("T42", "TL63", "TL127"), "truncations")
    columns: tuple[int, ...] = setting((32, 192), "fields transformed together")
    repeats: int = setting(15, "interleaved rounds")
    peers: bool = setting(True, "also measure dinosaur and shtns where they are installed")
    laws: bool = setting(True, "also measure errors, adjointness and operators at T21 to TL127")
    csv: Path | None = setting(None, "write the rows to this file, too")

    def __post_init__(self):
        positive(self, "repeats")
        require(bool(self.cases) and bool(self.columns), "--cases and --columns: give at least one of each")
        require(min(self.columns) > 0, f"--columns {min(self.columns)}: must be greater than 0")


@dataclass(frozen=True)
class BenchDycore:
    """`sciml bench dycore`."""

    cases: tuple[str, ...] = setting(
        ("dry", "moist"), "dry: T42L24 baroclinic wave; moist: TL63L32 with three tracers; or none"
    )
    laws: tuple[str, ...] = setting(
        ("pressure", "jet", "rest", "williamson2", "williamson5", "dinosaur"),
        "what must hold, measured; also: day-nine (2 min), held-suarez (10 min); or all, or none",
    )
    repeats: int = setting(7, "interleaved rounds")
    peers: bool = setting(True, "also measure dinosaur where it is installed")
    csv: Path | None = setting(None, "write the rows to this file, too")

    def __post_init__(self):
        positive(self, "repeats")
        for option, accepted in (("cases", ("dry", "moist", "none")), ("laws", (*LAWS, "all", "none"))):
            for name in getattr(self, option):
                require(name in accepted, f'--{option}: no "{name}"; {suggest(name, accepted)}')

    @property
    def chosen_laws(self) -> tuple[str, ...]:
        """The laws to measure."""
        return LAWS if "all" in self.laws else tuple(name for name in self.laws if name != "none")


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
