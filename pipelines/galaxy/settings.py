"""Settings of the `sciml galaxy` commands: one frozen dataclass per command, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sciml.pipelines.option_checks import positive, require
from sciml.pipelines.settings import setting

IMAGES, TABLE, LABEL, RUN = "Images", "Table", "Label", "Run"
AUDIT, PACK, HISTORY, SIMULATION = "Audit", "Packing", "Merger history", "Simulation"


@dataclass(frozen=True)
class Choice:
    """What is read, how images and tables are matched, and which column is what; shared by every command."""

    images: Path | None = setting(
        None, "folder of cutouts (JPEG, PNG, TIFF, FITS, NPY), a packed file, or an HDF5 file of images", panel=IMAGES
    )
    table: tuple[Path, ...] = setting(
        (), "catalogs (CSV, FITS, HDF5, folder of SDSS spectra); the others are joined to the first", panel=TABLE
    )
    id: str | None = setting(
        None, "column that identifies an object; default: the one that is unique and named so", panel=TABLE
    )
    image_id: str | None = setting(
        None, "column that names the image (file name, stem or path); default: the one that matches most", panel=IMAGES
    )
    pattern: str | None = setting(
        None, 'file names of the cutouts, e.g. "{id}_{band}.fits"; default: the stem is the id', panel=IMAGES
    )
    bands: tuple[str, ...] = setting((), "names of the bands, in order; default: those of the files", panel=IMAGES)
    image_size: int | None = setting(None, "pixels a side; default: the most common size", panel=IMAGES)
    fit: Literal["resize", "crop"] = setting("resize", "how images of another size are fitted", panel=IMAGES)
    field: float = setting(1.0, "share of each side that is used, about the centre; 0.5: the middle half", panel=IMAGES)
    measure: bool = setting(
        False, "measure each cutout (morphology, companions, outlines) and give the numbers to the table", panel=IMAGES
    )
    label: str | None = setting(
        None,
        'column of the class, or a rule: "P_MG>0.4", "gz2_class~(m)"; "folder": the folder of the image',
        panel=LABEL,
    )
    classes: tuple[str, ...] = setting(
        (), 'label values in class order, with names if you like: "0=non,-1=pre,1=post"', panel=LABEL
    )
    group: str | None = setting(
        None,
        "column of objects that stay together in a split, e.g. the merger tree; near-copies: rows that nearly repeat another",
        panel=TABLE,
    )
    inputs: tuple[str, ...] = setting((), "columns the model sees; default: all that are nothing else", panel=TABLE)
    categorical: tuple[str, ...] = setting((), "numeric columns that are codes, not quantities", panel=TABLE)
    nuisance: tuple[str, ...] = setting(
        (),
        "more columns the model must not see; those told by name (snapshot, redshift, plate ...) need not be named",
        panel=TABLE,
    )
    leave_out: tuple[str, ...] = setting((), "columns that are ignored", panel=TABLE)
    ra: str | None = setting(None, "column of right ascension [deg]; default: told by name", panel=TABLE)
    dec: str | None = setting(None, "column of declination [deg]; default: told by name", panel=TABLE)
    match_radius: float = setting(1.0, "largest separation of a match on the sky [arcsec]", panel=TABLE)
    unmatched: Literal["drop", "keep"] = setting("drop", "rows of the table without an image", panel=TABLE)
    most_skipped: float = setting(0.1, "largest share of unusable images or rows before the command stops", panel=RUN)
    limit: int | None = setting(None, "use only N objects, drawn at random by class, for a quick look", panel=RUN)
    workers: int | None = setting(None, "threads that read images; default: one per core, at most 8", panel=RUN)
    seed: int = setting(0, "random seed", panel=RUN)

    def __post_init__(self):
        positive(self, "image_size", "match_radius", "limit", "workers")
        require(0 <= self.most_skipped <= 1, f"--most-skipped {self.most_skipped}: must lie in 0..1")
        require(0 < self.field <= 1, f"--field {self.field}: must lie in 0..1, above 0")
        repeated = sorted({name for name in self.classes if self.classes.count(name) > 1})
        require(not repeated, f"--classes names {', '.join(repeated)} more than once")
        require(len(self.classes) != 1, f"--classes {self.classes[0] if self.classes else ''}: needs at least two")
        both = sorted(set(self.inputs) & {*self.nuisance, *self.leave_out})
        require(not both, f"--inputs and --nuisance or --leave-out both name {', '.join(both)}")
        require((self.ra is None) == (self.dec is None), "--ra and --dec belong together: give both or none")


def reading(choice: Choice) -> dict[str, Any]:
    """How files are read, as plain values: kept with what is made of them, so that a model reads others alike."""
    names = ("id", "image_id", "pattern", "bands", "image_size", "fit", "field", "categorical", "ra", "dec", "match_radius")
    return {n: list(v) if isinstance(v := getattr(choice, n), tuple) else v for n in names}


@dataclass(frozen=True)
class Data(Choice):
    """`sciml galaxy data`: look at files, pack them for fast training, simulate, or label merger histories."""

    pack: Path | None = setting(None, "write images, table and labels into this one HDF5 file", panel=PACK)
    store: Literal["auto", "uint8", "uint16", "float16", "float32"] = setting(
        "auto", "pixel type of the packed file; auto keeps pictures as they are and the rest as float32", panel=PACK
    )
    overwrite: bool = setting(False, "replace an existing file", panel=PACK)
    simulate: int | None = setting(
        None, "simulate N galaxies instead of reading files, and write them to --pack", panel=SIMULATION
    )
    merger_history: tuple[Path, ...] = setting(
        (), "IllustrisTNG merger_history files to turn into a table of labels", panel=HISTORY
    )
    snapshot: int | None = setting(None, "snapshot of the file; default: the number in its name", panel=HISTORY)
    pre_gyr: float = setting(
        0.5, "a galaxy is pre-merger if its next merger is at most this far ahead [Gyr]", panel=HISTORY
    )
    post_gyr: float = setting(
        0.5, "a galaxy is post-merger if its last merger is at most this long ago [Gyr]", panel=HISTORY
    )
    clean_gyr: float = setting(1.0, "a non-merger has no merger within this time, before or after [Gyr]", panel=HISTORY)
    minor: bool = setting(False, "count minor mergers (stellar mass ratio 1:10 to 1:4) too", panel=HISTORY)
    to: Path = setting(Path("labels.csv"), "table of labels to write", panel=HISTORY)

    def __post_init__(self):
        super().__post_init__()
        positive(self, "simulate", "pre_gyr", "post_gyr")
        require(
            self.clean_gyr >= max(self.pre_gyr, self.post_gyr),
            f"--clean-gyr {self.clean_gyr}: must be at least --pre-gyr and --post-gyr",
            hint="galaxies between the windows belong to no class",
        )
        require(
            self.simulate is None or not (self.images or self.table),
            "--simulate makes its own images and table: leave --images and --table out",
        )


@dataclass(frozen=True)
class Audit(Choice):
    """`sciml galaxy audit`: what could let a model cheat, before it is trained."""

    folds: int = setting(5, "folds of the cross-validated probes", panel=AUDIT)
    permutations: int = setting(200, "label permutations behind each p-value", panel=AUDIT)
    suspect_auc: float = setting(0.6, "a probe that scores more, significantly, is suspect", panel=AUDIT)
    leak_auc: float = setting(0.75, "a nuisance probe that scores more is a confounder", panel=AUDIT)
    column_auc: float = setting(0.97, "an input column that alone scores more gives the label away", panel=AUDIT)
    significance: float = setting(0.01, "chance that a clean sample gives any finding at all", panel=AUDIT)
    duplicate_distance: int = setting(
        36, "most differing bits (of 256) between hashes of near-duplicate images", panel=AUDIT
    )
    out: Path | None = setting(None, "folder for audit.json; default: not written", panel=RUN)

    def __post_init__(self):
        super().__post_init__()
        require(self.folds >= 2, f"--folds {self.folds}: must be at least 2")
        require(self.permutations >= 20, f"--permutations {self.permutations}: must be at least 20")
        for name in ("suspect_auc", "leak_auc", "column_auc"):
            value = getattr(self, name)
            require(0.5 < value <= 1, f"--{name.replace('_', '-')} {value}: must lie in 0.5..1")
        require(self.suspect_auc <= self.leak_auc, "--suspect-auc must not exceed --leak-auc")
        require(0 < self.significance < 1, f"--significance {self.significance}: must lie in 0..1")
        require(
            0 <= self.duplicate_distance <= 64, f"--duplicate-distance {self.duplicate_distance}: must lie in 0..64"
        )
