"""A folder of cutouts: names, patterns, what each image is, damaged ones named, and one array source of all."""

import pickle

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.readers import cutouts
from sciml.pipelines.readers.images import Cutout
from sciml.pipelines.readers.synthetic_surveys import picture


def test_objects_are_called_after_the_stem(tmp_path):
    for name in (
        "587739505552785605.jpg",
        "sub/b.v2.PNG",
        "c.fits.gz",
        "d.npy",
        "e.csv.gz",
        "notes.txt",
        ".hidden.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "f.jpg").write_bytes(b"x")
    found, bands, skipped = cutouts.find(tmp_path)
    assert sorted(found) == ["587739505552785605", "b.v2", "c", "d"] and bands == () and not len(skipped)


def test_two_files_of_one_name_are_not_silently_one(tmp_path):
    picture(tmp_path / "a.jpg"), picture(tmp_path / "a.png")
    found, _, skipped = cutouts.find(tmp_path)
    assert list(found) == ["a"] and skipped.to_dict() == {"another file has the same name (a.jpg)": ["a.png"]}


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        ("{id}_{band}.fits", ["7_r.fits", "7_g.fits", "8_g.fits", "8_r.fits"], {"7": ["7_g.fits", "7_r.fits"], "8": ["8_g.fits", "8_r.fits"]}),
        ("{id}/{band}.fits", ["7/r.fits", "7/g.fits"], {"7": ["g.fits", "r.fits"]}),
        ("{id}/{id}_*.fits", ["7/7_x.fits", "7/8_x.fits"], {"7": ["7_x.fits"]}),
        ("stamp-{id}.fits", ["stamp-91-4.fits", "psf-91-4.fits"], {"91-4": ["stamp-91-4.fits"]}),
    ],
)  # fmt: skip
def test_patterns(tmp_path, pattern, names, expected):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found, _, _ = cutouts.find(tmp_path, pattern=pattern)
    assert {name: [p.name for p in cutout.paths] for name, cutout in found.items()} == expected


def test_bands_are_ordered_by_wavelength_and_gaps_are_named(tmp_path):
    for band in ("z", "g", "u"):
        (tmp_path / f"a_{band}.fits").write_bytes(b"x")
    (tmp_path / "b_g.fits").write_bytes(b"x")
    found, bands, skipped = cutouts.find(tmp_path, pattern="{id}_{band}.fits")
    assert bands == ("u", "g", "z") and skipped.to_dict() == {"no file of band u, z": ["b"]}
    found, bands, skipped = cutouts.find(tmp_path, pattern="{id}_{band}.fits", bands=("g",))
    assert bands == ("g",) and sorted(found) == ["a", "b"]


def test_what_cannot_be_found_is_said(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        cutouts.find(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no images"):
        cutouts.find(tmp_path)
    picture(tmp_path / "a.jpg")
    with pytest.raises(SettingsError, match="needs {id}"):
        cutouts.find(tmp_path, pattern="*.jpg")


def test_the_facts_of_an_image(tmp_path):
    noise = np.random.default_rng(0).normal(100, 2, (2, 64, 64)).astype(np.float32)
    noise[:, 24:40, 24:40] += 500
    noise[0, 0, 0] = np.nan
    np.save(tmp_path / "a.npy", noise)
    facts = cutouts.inspect(Cutout((tmp_path / "a.npy",)))
    assert facts.shape == (2, 64, 64) and facts.levels == 0 and facts.bytes == (tmp_path / "a.npy").stat().st_size
    assert facts.missing == pytest.approx(1 / noise.size)
    np.testing.assert_allclose(facts.sky, 100, atol=0.3)
    np.testing.assert_allclose(facts.sky_sd, 2, atol=0.2)
    assert facts.thumbnail.shape == (32, 32) and facts.thumbnail.dtype == np.uint8 and facts.thumbnail.max() == 255


def test_equal_pixels_have_equal_digests_and_others_not(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (1, 8, 8), dtype=np.uint8)
    assert cutouts.digest(image) == cutouts.digest(image.copy()) == cutouts.digest(np.asfortranarray(image))
    assert cutouts.digest(image) != cutouts.digest(image.reshape(1, 4, 16))
    other = image.copy()
    other[0, 3, 3] ^= 1
    assert cutouts.digest(image) != cutouts.digest(other)


def test_bad_images_are_left_out_with_one_line_per_reason(tmp_path):
    picture(tmp_path / "good.jpg", 1)
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name in ("text1.jpg", "text2.jpg"):
        (tmp_path / name).write_bytes(b"<html>")
    np.save(tmp_path / "nan.npy", np.full((1, 8, 8), np.nan))
    np.save(tmp_path / "flat.npy", np.full((8, 8), 3.0))
    np.save(tmp_path / "zero.npy", np.zeros((0, 8)))
    found, _, _ = cutouts.find(tmp_path)
    seen = []
    facts, skipped = cutouts.inspect_all(found, advance=lambda: seen.append(1))
    assert list(facts) == ["good"] and len(seen) == 7 and len(skipped) == 6
    reasons = skipped.to_dict()
    assert reasons["not an image"] == ["text1.jpg", "text2.jpg"]
    assert {tuple(names): reason for reason, names in reasons.items()}[
        ("flat.npy",)
    ] == "every pixel has the same value (3)"
    assert (
        "100% of its pixels are NaN" in " ".join(reasons)
        and "empty" in " ".join(reasons)
        and "no pixels" in " ".join(reasons)
    )


def test_a_source_reads_scales_and_fits(tmp_path):
    paths = [picture(tmp_path / "a.png", 1, size=32), picture(tmp_path / "b.png", 2, size=40)]
    source = cutouts.CutoutFiles(
        [Cutout((paths[0],)), None, Cutout((paths[1],))], ("r", "g", "b"), (3, 32, 32), levels=255
    )
    images = source.read(np.array([2, 0, 1]))
    assert images.shape == (3, 3, 32, 32) and images.dtype == np.float32 and images.min() >= 0 and images.max() <= 1
    assert source.present.tolist() == [True, False, True] and not images[2].any()
    np.testing.assert_allclose(
        images[1], np.moveaxis(np.asarray(Image.open(paths[0])), -1, 0) / np.float32(255), atol=1e-6
    )
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read(0), source.read(0))
    with pytest.raises(SettingsError, match="names 2 bands, the images have 3"):
        cutouts.CutoutFiles([None], ("r", "g"), (3, 8, 8))
    half = cutouts.CutoutFiles([Cutout((paths[0],))], ("r", "g", "b"), (3, 16, 16), levels=255, field=0.5)
    np.testing.assert_array_equal(half.read(0)[0], source.read(0)[0][:, 8:24, 8:24])
    paths[0].unlink()
    with pytest.raises(DataError, match="a.png does not exist"):
        source.read(0)


def test_the_position_of_a_fits_cutout(tmp_path):
    header = fits.Header(
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 8.5, "CRPIX2": 8.5}
    )
    header.update({"CDELT1": -1e-4, "CDELT2": 1e-4, "CUNIT1": "deg", "CUNIT2": "deg"})
    pixels = np.random.default_rng(0).normal(size=(16, 16))
    fits.PrimaryHDU(pixels, header).writeto(tmp_path / "wcs.fits")
    fits.PrimaryHDU(pixels, fits.Header({"RA": 10.0, "DEC": -5.0})).writeto(tmp_path / "plain.fits")
    fits.PrimaryHDU(pixels).writeto(tmp_path / "none.fits")
    assert cutouts.sky_position(Cutout((tmp_path / "wcs.fits",))) == pytest.approx((150.0, 2.0), abs=1e-6)
    assert cutouts.sky_position(Cutout((tmp_path / "plain.fits",))) == (10.0, -5.0)
    assert np.isnan(cutouts.sky_position(Cutout((tmp_path / "none.fits",)))).all()
    assert np.isnan(cutouts.sky_position(Cutout((picture(tmp_path / "a.jpg"),)))).all()


def test_real_cutouts_are_read(real_data):
    folder = real_data / "galaxy" / "gz2_sample" / "images"
    if not folder.is_dir():
        pytest.skip(f"no real cutouts at {folder}")
    found, _, _ = cutouts.find(folder)
    assert len(found) == 702
    few = dict(list(found.items())[:12])
    facts, skipped = cutouts.inspect_all(few)
    assert len(facts) == 12 and not len(skipped)
    assert {fact.shape for fact in facts.values()} == {(3, 224, 224)} and {fact.levels for fact in facts.values()} == {
        255
    }
