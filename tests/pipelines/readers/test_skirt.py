"""SKIRT: cubes with wavelengths in micron, spectra, and the HSC mocks with their names."""

import numpy as np
import pytest
from astropy.io import fits

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import skirt
from sciml.pipelines.readers.synthetic_surveys import hsc_mock, skirt_cube


@pytest.mark.parametrize(
    ("unit", "factor"), [("micron", 1.0), ("um", 1.0), ("nm", 1e-3), ("Angstrom", 1e-4), ("m", 1e6)]
)
def test_a_cube_and_its_wavelengths(tmp_path, unit, factor):
    cube = skirt.read_cube(skirt_cube(tmp_path / "run_i0_total.fits", (0.5, 0.6, 0.8), unit=unit))
    assert cube.values.shape == (3, 8, 8) and cube.values[:, 0, 0].tolist() == [0, 1, 2] and cube.unit == "MJy/sr"
    np.testing.assert_allclose(cube.wavelengths, np.array([0.5, 0.6, 0.8]) * factor)
    assert cube.pixel == (0.5, "arcsec") and cube.name == "run_i0_total"


def test_a_single_frame_has_no_wavelengths(tmp_path):
    fits.PrimaryHDU(np.ones((4, 4), np.float32)).writeto(tmp_path / "a.fits")
    cube = skirt.read_cube(tmp_path / "a.fits")
    assert cube.values.shape == (1, 4, 4) and len(cube.wavelengths) == 0


def test_cubes_that_contradict_themselves(tmp_path):
    path = skirt_cube(tmp_path / "a.fits", (0.5, 0.6))
    with fits.open(path, mode="update") as hdus:
        hdus[0].data = np.ones((3, 4, 4), np.float32)
    with pytest.raises(DataError, match="3 frames and 2 wavelengths"):
        skirt.read_cube(path)
    with pytest.raises(DataError, match="unknown unit"):
        skirt.read_cube(skirt_cube(tmp_path / "b.fits", unit="parsec"))


def test_a_spectrum(write):
    text = "# column 1: wavelength (micron)\n# column 2: total flux (Jy)\n0.5 1.0\n0.6 2.0\n"
    frame = skirt.read_sed(write("run_i0_sed.dat", text))
    assert list(frame.columns) == ["wavelength (micron)", "total flux (Jy)"] and frame.iloc[1].tolist() == [0.6, 2.0]
    for bad in ("# column 1: a\n1 2\n", "# column 1: a\nx\n", "# nothing\n"):
        with pytest.raises(DataError, match="not a SKIRT spectrum"):
            skirt.read_sed(write("bad_sed.dat", bad))


def test_a_mock_with_everything_beside_its_bands(tmp_path):
    mock = skirt.read_hsc(hsc_mock(tmp_path, 91, 123, view=2))
    assert mock.id == "91-123" and (mock.snapshot, mock.subhalo, mock.view) == (91, 123, 2)
    assert mock.bands == ("G", "R", "I") and mock.image.shape == mock.variance.shape == mock.mask.shape == (3, 24, 24)
    assert not mock.mask.any() and mock.psf["R"].shape == (5, 5) and mock.facts["redshift"] == 0.05


def test_an_idealised_mock_has_images_only(tmp_path):
    path = tmp_path / "shalo_091-7_v0_HSC_GRIZY.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((4, 4)), name="SUBARU_HSC.G")]).writeto(path)
    mock = skirt.read_hsc(path)
    assert mock.bands == ("G",) and mock.variance is None and mock.mask is None and mock.psf == {} and mock.facts == {}


def test_mocks_of_a_folder_by_galaxy(tmp_path):
    for view in (0, 1):
        hsc_mock(tmp_path, 91, 5, view)
    hsc_mock(tmp_path / "deeper", 72, 6)
    (tmp_path / "my_HSC_image.fits").write_bytes(b"x")
    found, skipped = skirt.find_hsc(tmp_path)
    assert {name: len(paths) for name, paths in found.items()} == {"91-5": 2, "72-6": 1} and skipped.names() == [
        "my_HSC_image.fits"
    ]
    assert {name: len(paths) for name, paths in skirt.find_hsc(tmp_path, view=1)[0].items()} == {"91-5": 1}


def test_what_is_no_mock(tmp_path):
    with pytest.raises(DataError, match="does not name its subhalo"):
        skirt.read_hsc(tmp_path / "a.fits")
    path = tmp_path / "shalo_091-7_v0_HSC_GRIZY.fits"
    fits.PrimaryHDU(np.ones((4, 4))).writeto(path)
    with pytest.raises(DataError, match="no extension SUBARU_HSC.G"):
        skirt.read_hsc(path)
    hdus = [
        fits.PrimaryHDU(),
        *(fits.ImageHDU(np.ones((n, n)), name=f"SUBARU_HSC.{b}") for b, n in (("G", 4), ("R", 5))),
    ]
    fits.HDUList(hdus).writeto(path, overwrite=True)
    with pytest.raises(DataError, match="different sizes"):
        skirt.read_hsc(path)
