"""The sets that the bench measures; real HST, KiDS and SDSS cutouts against statmorph."""

import numpy as np
import pytest

from sciml.pipelines.galaxy.morphology import cases
from sciml.pipelines.galaxy.morphology.bench import ACCEPTED, run_case
from sciml.pipelines.galaxy.morphology.measure import measure


def check(row: dict, share: float = 0.9) -> None:
    assert all(row[name] >= share for name in ACCEPTED), row  # of few objects one may differ


def test_images_without_a_source_are_left_out():
    case = cases.segmented("one", [np.zeros((40, 40)), cases.simulated(1, seed=3, sizes=(64,)).images[0]], gain=2.0)
    assert len(case.images) == len(case.segmaps) == len(case.labels) == 1 and case.known == {"gain": 2.0}


def test_simulated_mergers():
    case = cases.mergers(4, seed=1, size=32)
    assert len(case.images) > 2 and case.images[0].shape == (32, 32) and case.images[0].dtype == np.float64


def test_nothing_real_in_an_empty_folder(tmp_path):
    assert cases.real(tmp_path, 3) == []


def test_real_sets(real_data):
    found = {case.name: case for case in cases.real(real_data, 4)}
    assert set(found) == {"HST COSMOS", "KiDS", "SDSS thumbnails"} and all(len(c.images) == 4 for c in found.values())
    for image, sigma in zip(found["KiDS"].images, found["KiDS"].known["weightmaps"], strict=True):
        assert image.shape == sigma.shape


@pytest.mark.slow
def test_hst(real_data):
    pytest.importorskip("statmorph")
    check(run_case(cases.hst(real_data, 10), rounds=1))


@pytest.mark.slow
@pytest.mark.parametrize(("read", "n", "share"), [(cases.hst, 100, 0.95), (cases.kids, 10, 0.9), (cases.sdss, 20, 0.9)])
def test_real_cutouts(real_data, read, n, share):
    pytest.importorskip("statmorph")
    check(run_case(read(real_data, n), rounds=1), share)


def test_every_real_cutout_gets_a_row(real_data):
    images = cases.hst(real_data, 40).images + cases.sdss(real_data, 2).images
    table = measure(images)
    assert len(table) == len(images) and (table["flag"] < 4).mean() > 0.9
    measured = table[table["flag"] <= 1]
    assert measured["gini"].between(0.2, 0.9).mean() > 0.95 and measured["m20"].between(-3.5, 0).all()
