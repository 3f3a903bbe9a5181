"""One cutout: every format gives [band, y, x]; damage, emptiness and size are named; resampling keeps what it must."""

import contextlib
import warnings
import zipfile

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import images
from sciml.pipelines.readers.images import Cutout

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_pictures_are_scaled_to_one_and_stay_in_file_order(tmp_path, suffix):
    Image.fromarray(PIXELS).save(tmp_path / f"a.{suffix}")
    image = images.read_image(tmp_path / f"a.{suffix}")
    assert image.shape == (3, 10, 12) and image.dtype == np.float32
    np.testing.assert_allclose(image, np.moveaxis(PIXELS, -1, 0) / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("mode", "bands"), [("L", 1), ("1", 1), ("LA", 1), ("P", 3), ("RGBA", 3), ("CMYK", 3), ("I;16", 1), ("F", 1)]
)
def test_every_colour_space_becomes_grey_or_rgb(tmp_path, mode, bands):
    picture = (
        Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
        if mode == "I;16"
        else Image.fromarray(PIXELS).convert(mode)
    )
    picture.save(tmp_path / "a.tif")
    image, levels = images.read_levels(tmp_path / "a.tif")
    assert image.shape == (bands, 10, 12)
    assert levels == {"I;16": 65535, "F": 0}.get(mode, 255)


def test_the_content_counts_and_not_the_name(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", format="PNG")
    assert images.read_image(tmp_path / "a.jpg").shape == (3, 10, 12)


@pytest.mark.parametrize("shape", [(7, 9), (1, 7, 9), (5, 7, 9), (7, 9, 3), (1, 1, 7, 9)])
def test_arrays_are_told_apart_by_their_axes(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", image=array, other=np.ones(3))
    fits.PrimaryHDU(array).writeto(tmp_path / "a.fits")
    expected = np.moveaxis(array, -1, 0) if shape == (7, 9, 3) else array.reshape(-1, 7, 9)
    for name in ("a.npy", "a.npz", "a.fits"):
        np.testing.assert_array_equal(images.read_image(tmp_path / name), expected.astype(np.float32))


def test_bands_of_several_files_are_stacked_and_must_agree(tmp_path):
    for name, size in (("g", 8), ("r", 8), ("i", 9)):
        np.save(tmp_path / f"{name}.npy", np.full((size, size), ord(name), np.float32))
    paths = {name: tmp_path / f"{name}.npy" for name in "gri"}
    image, levels = images.read_cutout(Cutout((paths["g"], paths["r"])))
    assert image.shape == (2, 8, 8) and levels == 0 and image[:, 0, 0].tolist() == [103, 114]
    with pytest.raises(DataError, match="g.npy and 1 more: the bands have different sizes"):
        images.read_cutout(Cutout((paths["g"], paths["i"])))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jpg", b"", "empty"), ("a.jpg", b"no picture at all", "is not an image"), ("a.png", b"\x89PNG\r\n\x1a\n junk", "not an image|damaged"),
        ("a.npy", b"\x93NUMPY\x01\x00junk", "damaged"), ("a.npz", b"PK\x03\x04junk", "damaged"), ("a.fits", b"SIMPLE  =", "damaged|holds no such"),
    ],
)  # fmt: skip
def test_damage_is_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        images.read_image(tmp_path / name)
    assert name in str(caught.value)


def test_a_truncated_jpeg_is_damaged(tmp_path):
    Image.fromarray(PIXELS.repeat(8, 0).repeat(8, 1)).save(tmp_path / "a.jpg")
    raw = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match="damaged or truncated"):
        images.read_image(tmp_path / "a.jpg")


def _png_header(path, width, height):
    """A PNG that claims a size; its pixels are not there."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (30_000, 10), (12_000, 12_000)])
def test_an_image_of_30000_pixels_is_refused_before_it_is_decoded(tmp_path, width, height):
    """The limit of Pillow stays on, and its warning does not reach the screen."""
    assert Image.MAX_IMAGE_PIXELS is not None
    _png_header(tmp_path / "a.png", width, height)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="cutout"):
            images.read_image(tmp_path / "a.png")
    np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.uint8, shape=(height, width)).flush()
    with pytest.raises(DataError, match="more than a cutout"):
        images.read_image(tmp_path / "a.npy")


def test_an_archive_that_unpacks_to_gigabytes_is_refused_from_its_header(tmp_path):
    import io
    import zipfile

    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (30_000, 30_000)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", head.getvalue() + b"\0" * 1000)
    with pytest.raises(DataError, match="unpacks to 900,000,000 values"):
        images.read_image(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.zeros((0, 5)), "no pixels"), (np.zeros(7), "axes"), (np.array([["a"]]), "not pixels"), (np.zeros((2, 3, 4, 5)), "4 axes"),
     (np.zeros((100, 101, 102)), "100 planes")],
)  # fmt: skip
def test_arrays_that_are_no_cutout(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=words):
        images.read_image(tmp_path / "a.npy")


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError):
        images.read_image(tmp_path / "a.npy")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["png", "jpg", "tif", "npy", "npz"]),
    cut=st.floats(0.01, 1),
    place=st.integers(0, 10**6),
    value=st.integers(0, 255),
)
def test_damaged_bytes_never_become_a_traceback(tmp_path, kind, cut, place, value):
    path = tmp_path / f"a.{kind}"
    if kind == "npy":
        np.save(path, PIXELS)
    elif kind == "npz":
        np.savez_compressed(path, image=PIXELS)
    else:
        Image.fromarray(PIXELS).save(path)
    raw = bytearray(path.read_bytes())[: max(1, int(cut * path.stat().st_size))]
    raw[place % len(raw)] = value
    path.write_bytes(bytes(raw))
    with contextlib.suppress(DataError):
        assert images.read_image(path).ndim == 3


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_a_header_that_is_no_python_is_damage(tmp_path, kind):
    """numpy hands it to Python's own tokenizer, whose error is neither a ValueError nor a SyntaxError."""
    np.save(tmp_path / "a.npy", PIXELS)
    broken = (tmp_path / "a.npy").read_bytes().replace(b"(", b"\0", 1)
    path = tmp_path / f"b.{kind}"
    path.write_bytes(broken)
    if kind == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("image.npy", broken)
    with pytest.raises(DataError, match=path.name):
        images.read_image(path)


def test_missing_pixels_take_the_median_of_their_band():
    image = np.array([[[1.0, 2.0], [np.nan, np.inf]], [[np.nan, np.nan], [np.nan, np.nan]]], np.float32)
    filled, share = images.fill_missing(image)
    assert share == 0.75 and filled[0].ravel().tolist() == [1, 2, 1.5, 1.5] and not filled[1].any()
    assert np.isnan(image[0, 1, 0]), "the image itself is left alone"


@settings(max_examples=50, deadline=None)
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), to=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    how=st.sampled_from(["resize", "crop"]), level=st.floats(-5, 5, width=32),
)  # fmt: skip
def test_another_size_keeps_a_flat_image_flat(height, width, to, how, level):
    image = np.full((2, height, width), level, np.float32)
    fitted = images.fit(image, *to, how)
    assert fitted.shape == (2, *to) and fitted.dtype == np.float32
    np.testing.assert_allclose(fitted, level, atol=1e-5)


def test_resizing_keeps_the_mean_and_cropping_the_scale():
    image = np.random.default_rng(1).normal(5, 1, (1, 64, 64)).astype(np.float32)
    assert images.fit(image, 32, 32).mean() == pytest.approx(image.mean(), abs=0.02)
    np.testing.assert_array_equal(images.fit(image, 32, 32, "crop"), image[:, 16:48, 16:48])
    np.testing.assert_array_equal(images.fit(image, 80, 80, "crop")[:, 8:72, 8:72], image)


def test_the_middle_of_an_image():
    image = np.random.default_rng(3).normal(size=(2, 10, 20)).astype(np.float32)
    np.testing.assert_array_equal(images.central(image, 0.6), image[:, 2:8, 4:16])
    np.testing.assert_array_equal(images.central(image, 1.0), image)
    assert images.central(image, 0.01).shape == (2, 1, 1)


def test_resizing_commutes_with_a_mirror():
    image = np.random.default_rng(2).normal(size=(1, 37, 37)).astype(np.float32)
    np.testing.assert_allclose(images.fit(image[:, :, ::-1], 16, 16), images.fit(image, 16, 16)[:, :, ::-1], atol=1e-5)


def test_names_of_bands():
    assert images.default_bands(3, 255) == ("red", "green", "blue")
    assert images.default_bands(1, 255) == ("grey",) and images.default_bands(2, 0) == ("band0", "band1")
