"""Arrays by path, and handles across processes."""

import multiprocessing
import pickle

import h5py
import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import hdf5


@pytest.fixture
def cutouts(tmp_path):
    path = tmp_path / "cutouts.h5"
    with h5py.File(path, "w") as file:
        file["images/r"] = np.arange(24.0).reshape(4, 3, 2)
        file["labels/name"] = ["spiral", "elliptical"]
        file["redshift"] = 0.1
    return path


def test_read(cutouts):
    assert hdf5.read(cutouts, "/images/r", 1).tolist() == [[6, 7], [8, 9], [10, 11]]
    assert hdf5.read(cutouts, "images/r", slice(0, 4, 2)).shape == (2, 3, 2)
    assert hdf5.read(cutouts, "redshift").shape == () and hdf5.read(cutouts, "labels/name").tolist() == [
        "spiral",
        "elliptical",
    ]


def test_datasets(cutouts):
    with hdf5.open_hdf5(cutouts) as file:
        assert hdf5.datasets(file) == {"images/r": (4, 3, 2), "labels/name": (2,), "redshift": ()}


def test_wrong_names_suggest(cutouts):
    with pytest.raises(DataError, match="not in the file") as caught:
        hdf5.read(cutouts, "image/r")
    assert '"images/r"' in caught.value.hint
    with pytest.raises(DataError, match="is a group"):
        hdf5.read(cutouts, "images")


@pytest.mark.parametrize("selection", [9, [2, 1], "r", (0, 0, 0, 0)])
def test_wrong_selection(cutouts, selection):
    with pytest.raises(DataError, match="shape"):
        hdf5.read(cutouts, "images/r", selection)


def test_other_files(write, cutouts):
    with pytest.raises(DataError, match="text"):
        hdf5.open_hdf5(write("x.h5", "a,b\n"))
    with pytest.raises(DataError, match="NetCDF-3"):
        hdf5.open_hdf5(write("x.nc", b"CDF\x01" + b"\0" * 32))
    with pytest.raises(DataError, match="damaged"):
        hdf5.open_hdf5(write("y.h5", cutouts.read_bytes()[:600]))


def test_lazy_file_pickles_without_its_handle(cutouts):
    with hdf5.LazyFile(cutouts) as lazy:
        assert lazy.read("redshift") == 0.1
        again = pickle.loads(pickle.dumps(lazy))
        assert again._file is None and again.read("redshift") == 0.1
        again.close()
        assert again.read("redshift") == 0.1
        again.close()


def _first(lazy: hdf5.LazyFile, results) -> None:
    results.put(float(lazy.read("images/r", 1)[0, 0]))


def test_lazy_file_in_a_forked_process(cutouts):
    lazy = hdf5.LazyFile(cutouts)
    lazy.read("redshift")
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    worker = context.Process(target=_first, args=(lazy, results))
    worker.start()
    assert results.get(timeout=30) == 6.0
    worker.join(30)
    assert lazy.read("images/r", 0)[0, 0] == 0.0


def test_missing_file_fails_early(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        hdf5.LazyFile(tmp_path / "none.h5")
