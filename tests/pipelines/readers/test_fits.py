"""FITS images and tables: units, extensions, text, ids, and every kind of damage named as DataError."""

import gzip

import numpy as np
import pytest
from astropy.io import fits as astropy_fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import fits


@pytest.fixture
def image(tmp_path):
    """A FITS file of an empty primary and two images."""
    data = np.arange(20, dtype=np.float32).reshape(4, 5)
    hdus = [
        astropy_fits.PrimaryHDU(),
        astropy_fits.ImageHDU(data, name="SCI"),
        astropy_fits.ImageHDU(data + 1, name="ERR"),
    ]
    astropy_fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    return tmp_path / "a.fits"


def test_the_first_image_is_read_or_the_named_one(image):
    assert fits.read_image(image).shape == (4, 5) and fits.read_image(image).dtype == np.float32
    assert fits.read_image(image, "err")[0, 0] == 1 and fits.read_image(image, 2)[0, 0] == 1
    for wrong, words in (("ER", 'did you mean "ERR"'), (7, "has no extension 7"), (0, "does not hold that kind")):
        with pytest.raises(DataError, match=words):
            fits.read_image(image, wrong)


def test_scaled_integers_come_in_physical_units(tmp_path):
    hdu = astropy_fits.PrimaryHDU(np.array([[1000, 2000], [3000, 4000]], np.float32))
    hdu.scale("int16", bscale=0.5, bzero=1000.0)
    hdu.writeto(tmp_path / "a.fits")
    np.testing.assert_allclose(fits.read_image(tmp_path / "a.fits"), [[1000, 2000], [3000, 4000]])


def test_gzip_and_tile_compression_are_read(tmp_path, image):
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress(image.read_bytes()))
    assert fits.is_fits(tmp_path / "b.fits.gz") and fits.read_image(tmp_path / "b.fits.gz")[3, 4] == 19
    data = np.arange(4096, dtype=np.int16).reshape(64, 64)
    astropy_fits.HDUList([astropy_fits.PrimaryHDU(), astropy_fits.CompImageHDU(data)]).writeto(tmp_path / "c.fits.fz")
    np.testing.assert_array_equal(fits.read_image(tmp_path / "c.fits.fz"), data)


def test_stamps_of_one_file_equal_those_read_by_themselves(tmp_path):
    stamps = [np.full((3, 3), k, np.float32) for k in range(12)]
    astropy_fits.HDUList([astropy_fits.PrimaryHDU(), *map(astropy_fits.ImageHDU, stamps)]).writeto(tmp_path / "s.fits")
    read = fits.read_image(tmp_path / "s.fits", 11)
    read[:] = -1  # a caller may write into its copy
    assert fits.read_image(tmp_path / "s.fits", 11)[0, 0] == 10


def test_an_image_of_30000_pixels_is_refused_from_its_header(tmp_path):
    header = astropy_fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": 30000, "NAXIS2": 30000})
    (tmp_path / "big.fits").write_bytes(header.tostring(padding=True).encode() + b"\0" * 2880)
    with pytest.raises(DataError, match="30000 x 30000 pixels, more than a cutout"):
        fits.read_image(tmp_path / "big.fits")


def test_a_large_spectral_cube_is_refused_as_a_whole(tmp_path):
    header = astropy_fits.Header(
        {"SIMPLE": True, "BITPIX": -32, "NAXIS": 3, "NAXIS1": 400, "NAXIS2": 400, "NAXIS3": 4000}
    )
    (tmp_path / "big.fits").write_bytes(header.tostring(padding=True).encode() + b"\0" * 2880)
    with pytest.raises(DataError, match="too large"):
        fits.read_image(tmp_path / "big.fits")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"not fits", "not a FITS file"),
        (b"SIMPLE  =", "damaged|no such data"),
        (b"\x1f\x8b junk", "not a FITS file"),
    ],
)
def test_what_is_no_fits_file_is_named(tmp_path, content, words):
    (tmp_path / "x.fits").write_bytes(content)
    with pytest.raises(DataError, match=words):
        fits.read_image(tmp_path / "x.fits")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.integers(0, 8639), st.integers(0, 255)), max_size=6))
def test_damage_never_becomes_a_traceback(image, cut, flips):
    """A file cut anywhere, with bytes changed anywhere, is read or refused."""
    raw = bytearray(image.read_bytes())
    raw = raw[: max(1, int(cut * len(raw)))]
    for place, value in flips:
        raw[place % len(raw)] = value
    path = image.with_name("damaged.fits")
    path.write_bytes(bytes(raw))
    for read in (fits.read_image, fits.read_table):
        try:
            read(path)
        except DataError as error:
            assert "damaged.fits" in str(error)


def test_tables_keep_ids_and_mark_missing(tmp_path):
    ids = np.array([1237648721217716541, 587739505552785605], np.int64)
    columns = [
        astropy_fits.Column("ID", "K", array=ids), astropy_fits.Column("NAME", "8A", array=["ab  ", "c"]),
        astropy_fits.Column("N", "J", array=[1, -7], null=-7), astropy_fits.Column("V", "3E", array=np.ones((2, 3))),
        astropy_fits.Column("LONG", "100E", array=np.ones((2, 100))), astropy_fits.Column("ANY", "PE()", array=np.array([[1.0], [1.0, 2.0]], dtype=object)),
    ]  # fmt: skip
    astropy_fits.HDUList([astropy_fits.PrimaryHDU(), astropy_fits.BinTableHDU.from_columns(columns)]).writeto(
        tmp_path / "t.fits"
    )
    frame = fits.read_table(tmp_path / "t.fits")
    assert list(frame.columns) == ["ID", "NAME", "N", "V_0", "V_1", "V_2"]
    assert frame["ID"].tolist() == ids.tolist() and frame["NAME"].tolist() == ["ab", "c"]
    assert frame["N"].isna().tolist() == [False, True]
    assert [note.split()[1] for note in frame.attrs["sciml_notes"]] == ["LONG", "ANY"]
    assert list(fits.read_table(tmp_path / "t.fits", columns=["name"]).columns) == ["NAME"]
    with pytest.raises(DataError, match='no column "NAMES"'):
        fits.read_table(tmp_path / "t.fits", columns=["NAMES"])


def test_real_stamps_of_several_surveys(real_data):
    folder = real_data / "galaxy"
    if not (folder / "kids_profit").is_dir():
        pytest.skip(f"no real galaxy data at {folder}")
    for path in sorted((folder / "kids_profit").glob("*fitim.fits")):
        image = fits.read_image(path)
        assert image.ndim == 2 and np.isfinite(image).all()
    with fits.open_fits(folder / "hst_cosmos" / "real_galaxy_images_extension.fits") as hdus:
        assert len(fits.image_extensions(hdus)) == 100
