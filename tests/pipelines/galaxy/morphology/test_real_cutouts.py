"""Real galaxies: HST, KiDS and SDSS cutouts against statmorph."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.morphology.bench import ACCEPTED, Case, run_case, segmented
from sciml.pipelines.galaxy.morphology.measure import measure

pytest.importorskip("statmorph")


def hst(folder, n: int) -> list[np.ndarray]:
    from astropy.io import fits

    with fits.open(folder / "hst_cosmos" / "real_galaxy_images_extension.fits") as file:
        return [np.asarray(unit.data, dtype=np.float64) for unit in file if unit.data is not None][:n]


def kids(folder) -> Case:
    """Images with the authors' own segmaps, masks and sigma images."""
    from astropy.io import fits

    read = {}
    for kind in ("fitim", "segim", "sigma", "mskim"):
        for path in sorted((folder / "kids_profit").glob(f"G*{kind}.fits")):
            read.setdefault(path.name[:7], {})[kind] = np.asarray(fits.getdata(path), dtype=np.float64)
    names = [name for name, parts in sorted(read.items()) if len(parts) == 4]
    images = [read[name]["fitim"] for name in names]
    segmaps = [read[name]["segim"].astype(int) for name in names]
    middle = [segmap[segmap.shape[0] // 2, segmap.shape[1] // 2] for segmap in segmaps]
    return Case(
        "KiDS", images, segmaps, [int(label) for label in middle], {"weightmaps": [read[n]["sigma"] for n in names]}
    )


def sdss(folder, n: int) -> list[np.ndarray]:
    """Mean of the colour channels of the JPEG thumbnails."""
    from PIL import Image

    paths = sorted((folder / "gz2_sample" / "images").glob("*.jpg"))[:n]
    return [np.asarray(Image.open(path), dtype=np.float64).mean(axis=2) for path in paths]


def check(row: dict) -> None:
    assert all(row[name] >= 0.9 for name in ACCEPTED), row  # few objects: one of twenty may differ


def test_hst(real_data):
    check(run_case(segmented("HST COSMOS", hst(real_data, 20)), rounds=1))


@pytest.mark.slow
def test_all_hst(real_data):
    row = run_case(segmented("HST COSMOS", hst(real_data, 100)), rounds=2)
    assert all(row[name] >= 0.95 for name in ACCEPTED), row


@pytest.mark.slow
def test_kids(real_data):
    check(run_case(kids(real_data), rounds=1))


@pytest.mark.slow
def test_sdss(real_data):
    check(run_case(segmented("SDSS", sdss(real_data, 20)), rounds=1))


def test_every_real_cutout_gets_a_row(real_data):
    images = hst(real_data, 100) + sdss(real_data, 4)
    table = measure(images)
    assert len(table) == len(images) and (table["flag"] < 4).mean() > 0.9
    measured = table[table["flag"] <= 1]
    assert measured["gini"].between(0.2, 0.9).mean() > 0.95 and measured["m20"].between(-3.5, 0).all()
