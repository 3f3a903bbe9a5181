"""The whole simulator: purity, labels, matched nuisances, recognisable mergers."""

import time

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.simulator.simulate import simulate, simulate_blocks


@pytest.fixture(scope="module")
def small():
    return simulate(48, seed=5, size=48)


@pytest.fixture(scope="module")
def tables():
    return simulate(2000, seed=1, pictures=False)


def auc(columns, catalog) -> float:
    """Cross-validated by matched group."""
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.07, max_leaf_nodes=10, random_state=0)
    merging = catalog.labels > 0
    guess = cross_val_predict(model, columns, merging, groups=catalog.groups, cv=GroupKFold(4), method="predict_proba")
    return roc_auc_score(merging, guess[:, 1])


def test_a_catalog_with_everything(small):
    assert len(small) == 48 and small.classes == ("non", "pre", "post")
    assert small.images.shape == (3, 48, 48) and small.images.bands == ("g", "r", "i")
    pixels = small.images.read(np.arange(48))
    assert np.isfinite(pixels).all() and pixels.std() > 0
    assert small.counts() == {"non": 24, "pre": 12, "post": 12}
    assert len(np.unique(small.groups)) == 12
    assert {"redshift", "magnitude", "image_snr", "sky_noise"} <= set(small.nuisance)
    assert not set(small.table) & set(small.nuisance)
    assert small.categorical == ("bpt",)


def test_times_belong_to_labels(small):
    time_since = small.withheld["time_since_coalescence"].to_numpy()
    assert np.isnan(time_since[small.labels == 0]).all()
    assert (time_since[small.labels == 1] < 0).all() and (time_since[small.labels == 2] >= 0).all()
    assert np.abs(time_since[small.labels > 0]).max() <= 1.0


def test_an_object_is_a_function_of_seed_and_number(small):
    again = simulate(10, seed=5, size=48)
    assert again.table.equals(small.table.iloc[:10]) and again.nuisance.equals(small.nuisance.iloc[:10])
    first, second = again.images.array, small.images.array[:10]
    # another batch may round differently in the last digit and flip a photon
    assert (first == second).mean() > 0.99 and np.abs(first - second).max() < 0.05 * np.abs(second).max()
    assert np.array_equal(simulate(10, seed=5, size=48).images.array, first)
    assert not np.array_equal(simulate(4, seed=6, size=48).labels, small.labels[:4]) or not again.table.equals(
        simulate(10, seed=6, size=48, pictures=False).table
    )


def test_brightness_of_the_picture_is_the_magnitude():
    catalog = simulate(40, seed=8, size=96, bands=("r",))
    single = catalog.withheld["scenario"].isin(["isolated", "clumpy"]).to_numpy()
    y, x = np.mgrid[:96, :96] - 47.5
    flux = (catalog.images.array[:, 0] * (np.hypot(x, y) < 30)).sum((1, 2))[single]
    expected = 10 ** (-0.4 * (catalog.nuisance["magnitude"].to_numpy()[single] - 22.5))
    assert np.median(np.abs(flux / expected - 1)) < 0.08


def test_mergers_are_more_asymmetric_than_isolated_discs():
    catalog = simulate(96, seed=9, size=48)
    image = catalog.images.array[:, 1]
    y, x = np.mgrid[:48, :48] - 23.5
    inside = np.hypot(x, y) < 20
    asymmetry = (np.abs(image - np.rot90(image, 2, (1, 2))) * inside).sum((1, 2)) / (np.abs(image) * inside).sum((1, 2))
    scenario = catalog.withheld["scenario"].to_numpy()
    middle = {name: np.median(asymmetry[scenario == name]) for name in ("isolated", "pre")}
    assert middle["pre"] > 1.3 * middle["isolated"]


def test_nuisance_alone_cannot_tell_a_merger(tables):
    assert auc(tables.nuisance.to_numpy(), tables) == pytest.approx(0.5, abs=0.03)
    for name in tables.nuisance:
        single = roc_auc_score(tables.labels > 0, tables.nuisance[name])
        assert single == pytest.approx(0.5, abs=0.03), name
    assert auc(tables.table.isna().to_numpy(float), tables) < 0.56  # missing cells are physics, and little of it


def test_the_table_knows_something(tables):
    columns = tables.table.assign(bpt=tables.table["bpt"].cat.codes).to_numpy(float)
    assert 0.68 < auc(columns, tables) < 0.92


@pytest.mark.slow
def test_nuisance_over_seeds_with_and_without_groups():
    for seed in (2, 3):
        catalog = simulate(4000, seed=seed, pictures=False)
        assert auc(catalog.nuisance.to_numpy(), catalog) == pytest.approx(0.5, abs=0.03)
        model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.07, max_leaf_nodes=10, random_state=0)
        guess = cross_val_predict(model, catalog.nuisance.to_numpy(), catalog.labels > 0, cv=5, method="predict_proba")
        assert roc_auc_score(catalog.labels > 0, guess[:, 1]) == pytest.approx(0.5, abs=0.03)


def test_it_packs_and_opens_again(small, tmp_path):
    path = packed.write(tmp_path / "sim.h5", small)
    again = packed.open_packed(path)
    assert np.array_equal(again.labels, small.labels) and np.array_equal(again.ids, small.ids)
    assert np.array_equal(again.images.read(np.array([3])), small.images.read(np.array([3])))
    assert again.table["bpt"].tolist() == small.table["bpt"].tolist()


def test_options(tmp_path):
    done = []
    blocks = list(
        simulate_blocks(6, 0, 32, ("i",), psf="gaussian", members=("non", "pre"), pixel_scale=1.5, progress=done.append)
    )
    assert blocks[0].images.shape == (6, 1, 32, 32) and blocks[0].pixel_scale == 1.5
    assert sum(done) == 6 and set(blocks[0].labels) == {0, 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "at least 1"), ({"size": 8}, "16 to 1024"), ({"bands": ("g", "g")}, "each once"), ({"bands": ("y",)}, "no band"),
        ({"psf": "airy"}, "point-spread"), ({"pixel_scale": 0.0}, "arcsec"), ({"particles": (10, 10)}, "particles"),
        ({"members": ("merger",)}, "members"),
    ],
)  # fmt: skip
def test_what_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        simulate(**({"n": 2} | options))


@pytest.mark.slow
def test_twenty_galaxies_a_second():
    simulate(16, seed=0)
    start = time.process_time()
    simulate(256, seed=1)
    assert 256 / (time.process_time() - start) > 20
