"""The tiny files are what they claim: other libraries open them, and a seed gives the same file."""

import h5py
import numpy as np
from astropy.io import fits
from PIL import Image

from sciml.pipelines.readers import synthetic_surveys as surveys


def test_pictures_are_told_apart_by_their_seed(tmp_path):
    a, b, c = (
        np.asarray(Image.open(surveys.picture(tmp_path / f"{n}.png", seed)))
        for n, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert a.shape == (48, 48, 3) and (a == b).all() and (a != c).mean() > 0.3
    assert np.asarray(Image.open(surveys.picture(tmp_path / "g.png", bands=1))).shape == (48, 48)


def test_fits_files_are_standard(tmp_path):
    made = [
        surveys.spectrum(tmp_path / "spec-1.fits", "1237648721217716541"),
        surveys.manga_maps(tmp_path / "manga-1-2-MAPS-X.fits.gz", "1-2"),
        surveys.dapall(tmp_path / "dapall.fits", ["1-2"]),
        surveys.skirt_cube(tmp_path / "cube.fits"),
        surveys.hsc_mock(tmp_path, 91, 3),
    ]
    for path in made:
        with fits.open(path) as hdus:
            hdus.verify("exception")
            assert len(hdus) > 1


def test_hdf5_files_hold_what_the_specification_names(tmp_path):
    folder = surveys.group_catalogue(tmp_path / "g", 91, [1e10, 2e10], 2)
    with h5py.File(folder / "fof_subhalo_tab_091.0.hdf5") as file:
        assert file["Header"].attrs["Nsubgroups_Total"] == 2 and file["Subhalo/SubhaloMassInRadType"].shape == (1, 6)
    with h5py.File(surveys.star_particles(tmp_path / "s.hdf5", 4, 1)) as file:
        assert file["PartType4/Coordinates"].shape == (5, 3)
    with h5py.File(
        surveys.merger_history(tmp_path / "m.hdf5", {"SnapNumLastMajorMerger": [1]}, "WithConstraint")
    ) as file:
        assert list(file) == ["WithConstraint"]
    with h5py.File(surveys.galaxy10(tmp_path / "g10.h5", 5)) as file:
        assert file["images"].shape == (5, 16, 16, 3) and file["ans"].dtype == np.uint8
    assert len(list(surveys.universe(tmp_path / "u", [["1"], ["2"]]).rglob("*.hdf5"))) == 2
