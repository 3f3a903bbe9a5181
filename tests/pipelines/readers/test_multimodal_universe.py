"""HDF5 collections: many files as one source, columns, spectra; Galaxy10 as it is distributed."""

import pickle

import h5py
import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import multimodal_universe as universe
from sciml.pipelines.readers.synthetic_surveys import galaxy10
from sciml.pipelines.readers.synthetic_surveys import universe as make

IDS = [["39627848784286649", "39627848784286650"], ["39627848784286651"]]


def test_healpix_files_are_one_source(tmp_path):
    assert universe.is_collection(make(tmp_path / "legacysurvey", IDS))
    frame, source = universe.read_collection(tmp_path / "legacysurvey")
    assert frame.index.tolist() == IDS[0] + IDS[1], "ids are text"
    assert source.bands == ("g", "r", "z") and source.shape == (3, 12, 12) and len(source) == 3 and source.present.all()
    assert source.read(np.array([2, 0, 2]))[:, 0, 0, 0].tolist() == [2, 0, 2], "any order, repeated, over files"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read(1), source.read(1))
    assert {"ra", "dec", "Z"} <= set(frame.columns) and not any(c.startswith("image") for c in frame.columns)


def test_galaxy10(tmp_path):
    frame, source = universe.read_collection(galaxy10(tmp_path / "Galaxy10_DECals.h5", 20))
    assert frame.index[3] == "Galaxy10_DECals-3" and frame["ans"].tolist() == [*range(10)] * 2
    assert source.bands == ("red", "green", "blue") and source.shape == (3, 16, 16) and source.levels == 255
    with h5py.File(tmp_path / "Galaxy10_DECals.h5") as file:
        np.testing.assert_allclose(source.read(7)[0], np.moveaxis(file["images"][7], -1, 0) / 255, atol=1e-6)
    assert universe.GALAXY10_CLASSES[1] == "merging" and len(universe.GALAXY10_CLASSES) == 10


def test_pixels_that_are_not_finite_are_filled(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        image = np.ones((1, 1, 4, 4), np.float32)
        image[0, 0, 0, :2] = np.nan, np.inf
        file["images"], file["id"] = image, ["x"]
    assert (universe.read_collection(tmp_path / "a.h5")[1].read(0) == 1).all()


def test_spectra_without_their_padding(tmp_path):
    path = sorted(make(tmp_path / "desi", IDS).rglob("*.hdf5"))[0]
    spectra = universe.read_spectra(path, [IDS[0][1]])
    assert list(spectra) == [IDS[0][1]] and spectra[IDS[0][1]]["flux"].shape == (20,)
    with pytest.raises(DataError, match="holds no spectra"):
        universe.read_spectra(galaxy10(tmp_path / "g.h5", 2))


def test_files_that_do_not_fit_together(tmp_path):
    make(tmp_path / "a", IDS)
    make(tmp_path / "b", [["1"]], bands=("g", "r", "i"))
    (tmp_path / "a" / "healpix=999").mkdir()
    (tmp_path / "b" / "healpix=100" / "001-of-001.hdf5").rename(tmp_path / "a" / "healpix=999" / "x.hdf5")
    with pytest.raises(DataError, match="unlike"):
        universe.read_collection(tmp_path / "a")
    with pytest.raises(DataError, match="holds no healpix"):
        universe.read_collection(tmp_path / "b" / "healpix=100")


def test_damage_is_named(tmp_path):
    path = next(make(tmp_path / "a", [["1", "2"]]).rglob("*.hdf5"))
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 3])
    with pytest.raises(DataError, match="damaged|truncated"):
        universe.read_collection(tmp_path / "a")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = np.ones(3)
    assert not universe.is_collection(tmp_path / "b.h5") and not universe.is_collection(tmp_path / "nowhere.h5")
    with pytest.raises(DataError, match="neither object_id nor images"):
        universe.read_collection(tmp_path / "b.h5")
