"""What the bench measures: simulated galaxies, and real ones where their files lie.

Real sets, by folder: `hst_cosmos` (HST/ACS stamps of GalSim's COSMOS sample), `kids_profit` (KiDS images with their authors' segmaps
and sigma images), `gz2_sample` (SDSS colour thumbnails, mean of the channels).  Images are float64 [y, x] of one band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciml.pipelines.readers.synthetic_galaxies_images import simulate_cutouts

from .segmentation import Choices, find_sources


@dataclass(frozen=True)
class Case:
    """Galaxies with their segmaps; `known` are the errors and PSFs, keywords of `measure`."""

    name: str
    images: list[np.ndarray]
    segmaps: list[np.ndarray]
    labels: list[int]
    known: dict


def segmented(name: str, images: Sequence[np.ndarray], **known) -> Case:
    """A case with photutils' segmaps and the sky subtracted; images without a source are left out."""
    found = find_sources(images, Choices(), [None] * len(images))
    good = [(image - entry.sky, entry) for image, entry in zip(images, found, strict=True) if entry is not None]
    return Case(name, [image for image, _ in good], [e.segmap for _, e in good], [e.label for _, e in good], known)


def simulated(n: int, *, seed: int = 0, sizes: tuple[int, ...] = (128,)) -> Case:
    """Galaxies from smooth to disturbed; see `simulate_cutouts`."""
    made = simulate_cutouts(n, seed=seed, sizes=sizes)
    name = f"simulated, {sizes[0]} px" if len(sizes) == 1 else f"simulated, {min(sizes)} to {max(sizes)} px"
    return segmented(name, made.images, gain=made.gain)


def mergers(n: int, *, seed: int = 0, size: int = 64) -> Case:
    """Cutouts of the pipeline's own simulator in r: discs, pairs, mergers, remnants."""
    from ..simulator.simulate import simulate  # here: a bench of plain cutouts needs no spectra

    made = simulate(n, seed=seed, size=size, bands=("r",))
    return segmented(f"simulated mergers, {size} px", list(made.images.array[:, 0].astype(np.float64)))


def hst(folder: Path, n: int = 100) -> Case:
    from astropy.io import fits

    with fits.open(folder / "hst_cosmos" / "real_galaxy_images_extension.fits") as file:
        images = [np.asarray(unit.data, dtype=np.float64) for unit in file if unit.data is not None]
    return segmented("HST COSMOS", images[:n])


def kids(folder: Path, n: int = 10) -> Case:
    from astropy.io import fits

    read: dict[str, dict[str, np.ndarray]] = {}
    for kind in ("fitim", "segim", "sigma"):
        for path in sorted((folder / "kids_profit").glob(f"G*{kind}.fits")):
            read.setdefault(path.name.removesuffix(f"{kind}.fits"), {})[kind] = np.asarray(fits.getdata(path), float)
    parts = [entry for _, entry in sorted(read.items()) if len(entry) == 3][:n]
    segmaps = [entry["segim"].astype(int) for entry in parts]
    labels = [int(segmap[segmap.shape[0] // 2, segmap.shape[1] // 2]) for segmap in segmaps]
    known = {"weightmaps": [entry["sigma"] for entry in parts]}
    return Case("KiDS", [entry["fitim"] for entry in parts], segmaps, labels, known)


def sdss(folder: Path, n: int = 100) -> Case:
    from PIL import Image

    paths = sorted((folder / "gz2_sample" / "images").glob("*.jpg"))[:n]
    return segmented("SDSS thumbnails", [np.asarray(Image.open(path), dtype=np.float64).mean(axis=2) for path in paths])


def real(folder: Path, n: int) -> list[Case]:
    """The real sets that lie in `folder`, at most n galaxies each."""
    known = {"hst_cosmos": hst, "kids_profit": kids, "gz2_sample": sdss}
    return [read(folder, n) for name, read in known.items() if (folder / name).is_dir()]
