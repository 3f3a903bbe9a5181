"""Images joined to a catalog: by name, path, row or position; one size and one number of bands; losses counted."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.gather import gather
from sciml.pipelines.galaxy.samples import tiny_folder
from sciml.pipelines.galaxy.settings import Choice
from sciml.pipelines.readers import synthetic_surveys as surveys


def gathered(images, table, **choice):
    return gather(Choice(images=images, table=(table,) if table else (), **choice))


def test_unmatched_objects_are_told_both_ways(tmp_path):
    images, table = tiny_folder(tmp_path, 6)
    (images / "587739505552700000.png").unlink()
    surveys.picture(images / "stranger.png")
    made = gathered(images, table, label="merger")
    text = " | ".join(made.notes)
    assert "5 objects matched by id" in text and "1 of the images have no partner in the table (stranger)" in text
    assert "1 of the table have no partner in the images (587739505552700000)" in text
    assert len(made.catalog) == 5 and made.catalog.images.present.all()
    kept = gathered(images, table, label="merger", unmatched="keep").catalog
    assert len(kept) == 6 and kept.images.present.tolist() == [False] + [True] * 5 and not kept.images.read(0).any()


def test_a_column_of_paths_names_the_images(tmp_path):
    images, table = tiny_folder(tmp_path, 4)
    for path in images.iterdir():
        path.rename(images / f"asset{path.stem[-1]}.png")
    frame = pd.read_csv(table, dtype=str).assign(file=[f"thumbs/asset{i}.png" for i in range(4)])
    frame.to_csv(table, index=False)
    made = gathered(images, table)
    assert (
        len(made.catalog) == 4 and "4 objects matched by file" in made.notes and made.catalog.ids[0].startswith("5877")
    )
    assert len(gathered(images, table, image_id="file").catalog) == 4


def test_nothing_that_matches_is_an_error_with_the_reason(tmp_path):
    images, table = tiny_folder(tmp_path, 4)
    frame = pd.read_csv(table, dtype=str)
    frame.assign(objid=[f"{i}" for i in range(4)]).to_csv(table, index=False)
    with pytest.raises(DataError, match="no object of the table"):
        gathered(images, table)


def test_positions_join_where_names_do_not(tmp_path):
    (tmp_path / "f").mkdir()
    for i in range(3):
        header = fits.Header({"RA": 10.0 + 0.1 * i, "DEC": 1.0})
        fits.PrimaryHDU(np.random.default_rng(i).normal(size=(8, 8)), header).writeto(tmp_path / "f" / f"cut{i}.fits")
    frame = pd.DataFrame({"objid": ["a", "b", "c"], "ra": [10.1, 10.0, 20.0], "dec": [1.0 + 1e-4, 1.0, 1.0]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = gathered(tmp_path / "f", tmp_path / "t.csv")
    assert made.catalog.ids.tolist() == ["a", "b"] and "2 objects matched by position within 1 arcsec" in made.notes
    expected = fits.getdata(tmp_path / "f" / "cut1.fits").astype(np.float32)
    np.testing.assert_array_equal(made.catalog.images.read(0)[0, 0], expected)
    assert list(made.catalog.nuisance.columns) == ["ra", "dec"]


def test_mixed_sizes_and_bands(tmp_path):
    images, table = tiny_folder(tmp_path, 20, size=32)
    names = sorted(images.iterdir())
    surveys.picture(names[0], size=48)
    surveys.picture(names[1], bands=1, size=32)
    made = gathered(images, table, label="merger")
    assert made.catalog.images.shape == (3, 32, 32) and len(made.catalog) == 19
    text = " | ".join(made.lines())
    assert (
        f"1 images left out: 1 bands, most have 3 ({names[1].name})" in text
        and "1 images of 2 sizes (32 x 32, 48 x 48)" in text
    )
    assert gathered(images, table, image_size=24, fit="crop").catalog.images.shape == (3, 24, 24)


def test_a_part_of_the_field_is_cut_out_before_images_are_fitted(tmp_path):
    images, table = tiny_folder(tmp_path, 20, size=32)
    whole = gathered(images, table).catalog.images.read(3)[0]
    half = gathered(images, table, field=0.5).catalog.images
    assert half.shape == (3, 16, 16)
    np.testing.assert_array_equal(half.read(3)[0], whole[:, 8:24, 8:24])
    fine = gathered(images, table, field=0.5, image_size=8).catalog.images.read(3)[0]
    np.testing.assert_allclose(fine.mean((1, 2)), half.read(3)[0].mean((1, 2)), atol=0.01)


def test_more_losses_than_allowed_stop_the_command(tmp_path):
    images, table = tiny_folder(tmp_path, 10)
    for path in sorted(images.iterdir())[:2]:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="2 of 10 images cannot be used: 2 images left out: empty") as caught:
        gathered(images, table)
    assert "--most-skipped" in caught.value.hint
    assert len(gathered(images, table, most_skipped=0.2).catalog) == 8


def test_views_of_one_galaxy_are_one_group(tmp_path):
    for view in (0, 1):
        for subhalo in (5, 6):
            surveys.hsc_mock(tmp_path / "mocks", 91, subhalo, view)
    frame = pd.DataFrame(
        {"SubHaloID": [5, 6, 7, 5], "Snapshot": [91, 91, 91, 99], "StellarMass": [10.0, 11.0, 9.0, 9.5]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = gathered(tmp_path / "mocks", tmp_path / "t.csv")
    assert sorted(made.catalog.ids) == ["91-5_v0", "91-5_v1", "91-6_v0", "91-6_v1"] and made.catalog.images.bands == (
        "g",
        "r",
        "i",
    )
    assert len(set(made.catalog.groups)) == 2
    assert any("1 rows lie in snapshots without mocks, which exist for 72 to 91 (99: 1)" in note for note in made.notes)


def test_a_stack_goes_by_row(tmp_path):
    _, table = tiny_folder(tmp_path, 4)
    np.save(tmp_path / "stack.npy", np.arange(4 * 25, dtype=np.float32).reshape(4, 5, 5))
    catalog = gathered(tmp_path / "stack.npy", table).catalog
    np.testing.assert_array_equal(catalog.images.read(2)[0, 0], np.arange(50, 75).reshape(5, 5))
    middle = gathered(tmp_path / "stack.npy", table, field=0.6).catalog.images
    np.testing.assert_array_equal(middle.read([2])[0, 0], catalog.images.read(2)[0, 0, 1:4, 1:4])
    np.save(tmp_path / "stack.npy", np.ones((5, 6, 6), np.float32))
    with pytest.raises(DataError, match="holds 5 images and .* 4 rows"):
        gathered(tmp_path / "stack.npy", table)


def test_rows_left_out_do_not_shift_a_stack(tmp_path):
    """Image i belongs to row i of the file, whatever happened to the rows before it."""
    _, table = tiny_folder(tmp_path, 20)
    frame = pd.read_csv(table, dtype={"objid": str})
    frame["merger"] = frame["merger"].astype(float)
    frame.loc[1, "merger"], frame.loc[4, "objid"] = np.nan, None
    frame.to_csv(table, index=False)
    np.save(tmp_path / "stack.npy", np.ones((20, 4, 4), np.float32) * np.arange(20)[:, None, None])
    catalog = gathered(tmp_path / "stack.npy", table, label="merger").catalog
    expected = [0, 2, 3, *range(5, 20)]
    assert catalog.images.read(np.arange(len(catalog)))[:, 0, 0, 0].tolist() == expected
    assert catalog.ids.tolist() == frame["objid"].iloc[expected].tolist() and list(catalog.table.columns) == ["mass"]


def test_a_limit_is_drawn_before_images_are_read(tmp_path):
    images, table = tiny_folder(tmp_path, 12)
    made = gathered(images, table, label="merger", limit=6)
    assert (
        len(made.catalog) == 6
        and made.catalog.counts() == {"0": 3, "1": 3}
        and "--limit: 6 of 12 objects" in made.notes
    )
    assert gathered(images, table, label="merger", limit=6).catalog.ids.tolist() == made.catalog.ids.tolist()


def test_facts_of_files_are_kept_for_the_audit(tmp_path):
    images, table = tiny_folder(tmp_path, 4)
    catalog = gathered(images, table).catalog
    assert {"file bytes", "image width", "sky red", "sky noise red"} <= set(catalog.image_facts.columns)
    assert catalog.thumbnails.shape == (4, 32, 32) and len(set(catalog.digests)) == 4
