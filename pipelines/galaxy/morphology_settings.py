"""Settings of `sciml galaxy morphology`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sciml.pipelines.option_checks import positive, require
from sciml.pipelines.settings import setting

IMAGES, MEASUREMENT, RUN = "Images", "Measurement", "Run"


@dataclass(frozen=True)
class Morphology:
    """Morphology of every galaxy in a folder or packed file, one table row each."""

    images: Path = setting(Path("images"), "folder of cutouts, packed file, HDF5 file or .npy stack", panel=IMAGES)
    pattern: str | None = setting(None, 'file names of the cutouts, e.g. "{id}_{band}.fits"', panel=IMAGES)
    bands: tuple[str, ...] = setting((), "bands to measure, each by itself; default: all", panel=IMAGES)
    limit: int | None = setting(None, "only the first N galaxies", panel=IMAGES)
    most_skipped: float = setting(0.1, "largest share of unusable images before the command stops", panel=RUN)

    engine: Literal["torch", "statmorph"] = setting(
        "torch", "torch measures in batches; statmorph one galaxy at a time in --workers processes", panel=MEASUREMENT
    )
    gain: float | None = setting(None, "electrons per unit of the image; default: errors from the sky's scatter", panel=MEASUREMENT)
    psf: Path | None = setting(None, "image of the point-spread function (FITS or NPY)", panel=MEASUREMENT)
    sersic: bool = setting(True, "fit a Sersic model", panel=MEASUREMENT)

    to: Path = setting(Path("morphology.csv"), "CSV or FITS table to write", panel=RUN)
    overwrite: bool = setting(False, "replace an existing file", panel=RUN)
    device: str = setting("auto", "auto, cpu, cuda or cuda:N", panel=RUN)
    workers: int | None = setting(None, "processes for segmentation and statmorph; default: one per core", panel=RUN)
    threads: int | None = setting(None, "threads of torch; default: one per core", panel=RUN)

    def __post_init__(self):
        positive(self, "limit", "gain", "workers", "threads")
        require(0 <= self.most_skipped <= 1, f"--most-skipped {self.most_skipped}: must lie in 0..1")
        require(
            self.to.suffix.lower() in (".csv", ".fits", ".fit"), f"--to {self.to}: expected a name that ends in .csv or .fits"
        )
