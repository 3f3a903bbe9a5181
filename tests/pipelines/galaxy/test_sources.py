"""Whatever the user names is told by its contents; what nobody reads is named."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.samples import tiny_catalog, tiny_folder
from sciml.pipelines.galaxy.sources import open_images, open_table
from sciml.pipelines.readers import synthetic_surveys as surveys

MAPS = "manga-7443-12703-MAPS-HYB10.fits.gz"


def test_every_kind_of_table(tmp_path):
    (tmp_path / "spectra").mkdir()
    (tmp_path / "maps").mkdir()
    surveys.spectrum(tmp_path / "spectra" / "spec-0266-51630-0001.fits", "1237648721217716541")
    surveys.manga_maps(tmp_path / "maps" / MAPS, "7443-12703")
    surveys.group_catalogue(tmp_path / "groups", 91, [1e10, 1e11])
    surveys.dapall(tmp_path / "dapall.fits", ["7443-12703", "7443-12704"])
    fields = {"SnapNumLastMajorMerger": [66, -1, 60], "SnapNumNextMajorMerger": [-1, -1, -1]}
    surveys.merger_history(tmp_path / "MergerHistory_067.hdf5", fields, "WithConstraint")
    surveys.universe(tmp_path / "universe", [["1", "2"], ["3"]])
    surveys.galaxy10(tmp_path / "Galaxy10_DECals.h5", 6)
    tiny_folder(tmp_path, 3)
    found = {
        name: (open_table(tmp_path / name).kind, len(open_table(tmp_path / name).frame))
        for name in ("spectra", "spectra/spec-0266-51630-0001.fits", "maps", "groups", "groups/fof_subhalo_tab_091.0.hdf5",
                     "dapall.fits", "MergerHistory_067.hdf5", "universe", "Galaxy10_DECals.h5", "table.csv")
    }  # fmt: skip
    assert found == {
        "spectra": ("SDSS spectra", 1), "spectra/spec-0266-51630-0001.fits": ("SDSS spectrum", 1), "maps": ("MaNGA maps", 1),
        "groups": ("TNG group catalogue", 2), "groups/fof_subhalo_tab_091.0.hdf5": ("TNG group catalogue", 2), "dapall.fits": ("MaNGA DAPall", 1),
        "MergerHistory_067.hdf5": ("TNG merger history", 3), "universe": ("collection", 3), "Galaxy10_DECals.h5": ("collection", 6),
        "table.csv": ("catalog", 3),
    }  # fmt: skip
    history = open_table(tmp_path / "MergerHistory_067.hdf5")
    assert history.frame["subfind_id"].tolist() == ["0", "1", "2"] and any(
        "windows hold" in note for note in history.notes
    )
    assert "plateifu" in open_table(tmp_path / "dapall.fits").frame


def test_every_kind_of_images(tmp_path):
    tiny_folder(tmp_path, 3)
    surveys.universe(tmp_path / "universe", [["1", "2"], ["3"]])
    surveys.galaxy10(tmp_path / "Galaxy10_DECals.h5", 6)
    for view in (0, 1):
        surveys.hsc_mock(tmp_path / "mocks", 91, 5, view)
    np.save(tmp_path / "stack.npy", np.ones((4, 8, 8, 3), np.uint8))
    stamps = [fits.PrimaryHDU(), *(fits.ImageHDU(np.ones((5, 5))) for _ in range(3))]
    fits.HDUList(stamps).writeto(tmp_path / "stamps.fits")
    packed.write(tmp_path / "packed.h5", tiny_catalog(7, size=4))
    counts = {name: len(open_images(tmp_path / name).names)
              for name in ("cutouts", "universe", "Galaxy10_DECals.h5", "mocks", "stack.npy", "stamps.fits", "packed.h5")}  # fmt: skip
    assert list(counts.values()) == [3, 3, 6, 2, 4, 3, 7]
    mocks = open_images(tmp_path / "mocks")
    assert (
        mocks.names.tolist() == ["91-5_v0", "91-5_v1"]
        and mocks.objects.tolist() == ["91-5"] * 2
        and mocks.bands == ("g", "r", "i")
    )
    assert open_images(tmp_path / "stack.npy").source.shape == (3, 8, 8)
    assert open_images(tmp_path / "stamps.fits").names.tolist() == ["1", "2", "3"]


def test_bands_may_name_extensions(tmp_path):
    (tmp_path / "f").mkdir()
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(np.eye(4) + k, name=band) for k, band in enumerate("gri"))]
    fits.HDUList(hdus).writeto(tmp_path / "f" / "a.fits")
    made = open_images(tmp_path / "f", bands=("i", "g"))
    assert made.bands == ("i", "g") and made.cutouts[0].hdu == ("i", "g")


def test_subfolders_are_a_column(tmp_path):
    for name in ("merger/a.png", "other/b.png"):
        surveys.picture(tmp_path / name)
    assert open_images(tmp_path).frame["folder"].tolist() == ["merger", "other"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("a.h5", b"\x89HDF\r\n\x1a\n junk", "damaged|truncated"), ("a.fits", b"", "empty"), ("a.txt", b"hello", "no source of images"),
     ("a.npy", b"\x93NUMPY junk", "damaged")],
)  # fmt: skip
def test_damaged_sources_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        open_images(tmp_path / name)
    with pytest.raises(DataError):
        open_table(tmp_path / name)


def test_what_is_in_the_wrong_place(tmp_path):
    packed.write(tmp_path / "table_only.h5", tiny_catalog(4))
    with pytest.raises(DataError, match="holds no images, only columns"):
        open_images(tmp_path / "table_only.h5")
    with pytest.raises(DataError, match="is a packed catalog, not a table"):
        open_table(tmp_path / "table_only.h5")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="a folder without spectra"):
        open_table(tmp_path / "empty")
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(DataError, match=r"a stack of images is \[n, band, y, x\]"):
        open_images(tmp_path / "a.npy")
    surveys.universe(tmp_path / "u", [["1", "1"]])
    with pytest.raises(DataError, match="1 object ids occur more than once"):
        open_images(tmp_path / "u")


def test_a_plain_catalog_keeps_its_notes(tmp_path):
    pd.DataFrame({"objid": ["1", "2"], "x": [1.0, np.inf]}).to_csv(tmp_path / "t.csv", index=False)
    assert "infinite" in open_table(tmp_path / "t.csv").notes[0]
