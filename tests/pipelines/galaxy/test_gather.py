"""From files to a catalog: joins, roles, packed files, real surveys; bad input is counted, named, skipped or refused."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sciml.pipelines.errors import DataError, ScimlError
from sciml.pipelines.galaxy import packed
from sciml.pipelines.galaxy.gather import gather
from sciml.pipelines.galaxy.samples import tiny_catalog, tiny_folder
from sciml.pipelines.galaxy.settings import Choice
from sciml.pipelines.readers import synthetic_surveys as surveys


def table_of(tmp_path, **columns):
    n = len(next(iter(columns.values())))
    pd.DataFrame({"objid": [f"5877395055527{i:05d}" for i in range(n)], **columns}).to_csv(
        tmp_path / "t.csv", index=False
    )
    return (tmp_path / "t.csv",)


@pytest.fixture(scope="module")
def real():
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("SCIML_TEST_DATA", default)) / "galaxy"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set SCIML_TEST_DATA")
    return folder


# --- roles


def test_each_column_gets_its_role(tmp_path):
    n = 40
    table = table_of(
        tmp_path, merger=np.arange(n) % 2, StellarMass=np.linspace(9, 11, n), Snapshot=91 + np.arange(n) % 3, ra=np.linspace(0, 9, n),
        dec=np.linspace(0, 9, n), p_merger=np.linspace(0, 1, n), kind=["a", "b"] * (n // 2), nothing=[np.nan] * n, constant=[1.0] * n,
        comment=[f"text {i}" for i in range(n)], notes_path=["x.jpg"] * n,
    )  # fmt: skip
    made = gather(Choice(table=table, label="merger"))
    assert list(made.catalog.table.columns) == ["StellarMass", "kind"] and made.catalog.categorical == ("kind",)
    assert set(made.catalog.nuisance.columns) == {"Snapshot", "ra", "dec"}
    assert set(made.catalog.withheld.columns) == {"p_merger", "constant", "comment", "notes_path"}
    text = " | ".join(made.notes)
    for name in ("nothing", "p_merger", "constant", "comment", "notes_path"):
        assert name in text, "nothing is kept from the model silently"
    assert (
        made.roles["nothing"] == "withheld: every cell is missing"
        and made.roles["merger"] == "label"
        and made.roles["objid"] == "identifier"
    )


def test_inputs_named_by_the_user_leave_nuisances_under_probe(tmp_path):
    n = 20
    table = table_of(
        tmp_path,
        merger=np.arange(n) % 2,
        a=np.linspace(0, 1, n),
        b=np.linspace(2, 1, n),
        Snapshot=91 + np.arange(n) % 3,
        gap=[np.nan] * n,
    )
    made = gather(Choice(table=table, label="merger", inputs=("a", "gap")))
    assert list(made.catalog.table.columns) == ["a"] and list(made.catalog.nuisance.columns) == ["Snapshot"]
    assert "not shown to the model (every cell is missing): gap" in made.notes
    assert list(gather(Choice(table=table, label="merger", inputs=("Snapshot",))).catalog.table.columns) == ["Snapshot"]
    named = gather(Choice(table=table, label="merger", nuisance=("b",))).catalog
    assert set(named.nuisance.columns) == {"b", "Snapshot"}, "naming one does not let the others in"
    assert "b" not in gather(Choice(table=table, label="merger", leave_out=("b",))).catalog.table
    assert gather(Choice(table=table, label="merger", categorical=("a",))).catalog.categorical == ("a",)


def test_groups_keep_objects_together(tmp_path):
    table = table_of(tmp_path, merger=[0, 1, 0, 1], tree=["t1", "t1", None, "t2"], a=[1.0, 2, 3, 4])
    groups = gather(Choice(table=table, label="merger", group="tree")).catalog.groups
    assert groups[0] == groups[1] == "t1" and len(set(groups)) == 3


# --- joins


def test_tables_are_joined_by_id_and_by_position(tmp_path):
    ids = [f"12376487212177165{i:02d}" for i in range(5)]
    pd.DataFrame({"dr7objid": ids, "ra": np.arange(5.0), "dec": np.zeros(5), "a": np.arange(5.0)}).to_csv(
        tmp_path / "a.csv", index=False
    )
    pd.DataFrame({"objid": [*ids[1:], ids[1]], "b": np.arange(5.0)}).to_csv(tmp_path / "b.csv", index=False)
    pd.DataFrame({"RA": np.arange(5.0) + 1e-4, "DEC": np.zeros(5), "c": np.arange(5.0)}).to_csv(
        tmp_path / "c.csv", index=False
    )
    made = gather(Choice(table=(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv")))
    assert (
        made.catalog.ids.tolist() == ids[1:]
        and made.catalog.table["b"].tolist() == [0, 1, 2, 3]
        and made.catalog.table["c"].tolist() == [1, 2, 3, 4]
    )
    text = " | ".join(made.notes)
    assert "b.csv: 1 rows repeat or lack objid" in text and "4 objects matched by dr7objid = objid" in text
    assert f"1 of the a.csv have no partner in the b.csv ({ids[0]})" in text and "position within 1 arcsec" in text
    pd.DataFrame({"x": [1.0], "y": [2.0]}).to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(DataError, match="d.csv cannot be joined"):
        gather(Choice(table=(tmp_path / "a.csv", tmp_path / "d.csv")))


def test_votes_and_the_filename_mapping_lead_to_the_images(tmp_path):
    ids = [f"58773950555278{i:04d}" for i in range(4)]
    for i in range(4):
        surveys.picture(tmp_path / "img" / f"{1000 + i}.jpg", seed=i)
    pd.DataFrame({"dr7objid": ids, "gz2_class": ["Sc(m)", "Ei", "Sb", "Er(m)"], "x": np.arange(4.0)}).to_csv(
        tmp_path / "votes.csv", index=False
    )
    pd.DataFrame({"objid": ids[::-1], "sample": "original", "asset_id": [1003, 1002, 1001, 1000]}).to_csv(
        tmp_path / "mapping.csv", index=False
    )
    made = gather(
        Choice(images=tmp_path / "img", table=(tmp_path / "votes.csv", tmp_path / "mapping.csv"), label="gz2_class~(m)")
    )
    assert made.catalog.labels.tolist() == [1, 0, 0, 1] and made.catalog.images.present.all()
    expected = np.moveaxis(np.asarray(Image.open(tmp_path / "img" / "1003.jpg")), -1, 0) / np.float32(255)
    np.testing.assert_allclose(made.catalog.images.read(3)[0], expected, atol=1e-6)


def test_a_merger_history_labels_a_group_catalogue(tmp_path):
    surveys.group_catalogue(tmp_path / "groups_067", 67, [1e10, 2e10, 3e10])
    fields = {"SnapNumLastMajorMerger": [66, -1, -1], "SnapNumNextMajorMerger": [-1, -1, 68]}
    surveys.merger_history(tmp_path / "MergerHistory_067.hdf5", fields)
    made = gather(
        Choice(
            table=(tmp_path / "MergerHistory_067.hdf5", tmp_path / "groups_067"),
            label="label",
            classes=("non", "pre", "post"),
            most_skipped=1.0,
        )
    )
    assert made.catalog.labels.tolist() == [2, 0, 1] and "log_mstar" in made.catalog.table
    assert "gyr_since" not in made.catalog.table, "times of mergers bear the label"


# --- packed


def test_a_packed_file_is_a_catalog_already(tmp_path):
    path = packed.write(tmp_path / "p.h5", tiny_catalog(20, size=4))
    made = gather(Choice(images=path, limit=10, label="ignored", leave_out=("x1",)))
    assert len(made.catalog) == 10 and made.catalog.counts() == {"a": 5, "b": 5}
    assert (
        list(made.catalog.table.columns) == ["x0", "x2"]
        and "p.h5 is packed: --label were decided when it was made" in made.notes
    )
    ids = tiny_catalog(20).ids
    pd.DataFrame({"objid": ids[::-1], "merger": np.arange(20) % 2, "new": np.arange(20.0)}).to_csv(
        tmp_path / "t.csv", index=False
    )
    joined = gather(Choice(images=path, table=(tmp_path / "t.csv",), label="merger")).catalog
    assert list(joined.table.columns) == ["new"] and joined.images.shape == (2, 4, 4)
    np.testing.assert_array_equal(joined.images.read(0), tiny_catalog(20, size=4).images.read(19))


def test_a_galaxy10_file_is_enough(tmp_path):
    path = surveys.galaxy10(tmp_path / "Galaxy10_DECals.h5", 40)
    made = gather(Choice(images=path, label="ans", classes=("1=merging", "0=disturbed")))
    assert made.catalog.counts() == {"merging": 4, "disturbed": 4} and made.catalog.images.shape == (3, 16, 16)
    assert {"ra", "dec", "redshift", "pxscale"} <= set(made.catalog.nuisance.columns) | set(
        made.catalog.withheld.columns
    )


def test_folders_are_classes(tmp_path):
    for i in range(6):
        surveys.picture(tmp_path / ("merger" if i % 2 else "other") / f"{i}.png", seed=i)
    made = gather(Choice(images=tmp_path, label="folder"))
    assert made.catalog.counts() == {"merger": 3, "other": 3} and not len(made.catalog.table.columns)


# --- bad input: each is counted and named, skipped within a limit, or refused; never a traceback


def break_empty(images, frame):
    sorted(images.iterdir())[0].write_bytes(b"")


def break_text(images, frame):
    sorted(images.iterdir())[0].write_bytes(b"<html>not an image</html>")


def break_truncated(images, frame):
    path = sorted(images.iterdir())[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def break_flat(images, frame):
    path = sorted(images.iterdir())[0]
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(path)


def break_bands(images, frame):
    surveys.picture(sorted(images.iterdir())[0], bands=1, size=32)


def break_nan(images, frame):
    path = sorted(images.iterdir())[0]
    path.unlink()
    np.save(path.with_suffix(".npy"), np.full((3, 32, 32), np.nan, np.float32))


def break_fits(images, frame):
    path = sorted(images.iterdir())[0]
    path.unlink()
    path.with_suffix(".fits").write_bytes(b"SIMPLE  =                    T" + b" " * 50)


def break_30000(images, frame):
    path = sorted(images.iterdir())[0]
    path.unlink()
    np.lib.format.open_memmap(path.with_suffix(".npy"), mode="w+", dtype=np.uint8, shape=(30_000, 30_000)).flush()


def break_duplicate(images, frame):
    frame.loc[0, "objid"] = frame.loc[2, "objid"]


def break_conflict(images, frame):
    frame.loc[0, "objid"] = frame.loc[1, "objid"]


def break_no_id(images, frame):
    frame.loc[0, "objid"] = None


def break_number(images, frame):
    frame["mass"] = frame["mass"].astype(object)
    frame.loc[0, "mass"] = "heavy"


def break_infinite(images, frame):
    frame.loc[0, "mass"] = np.inf


def break_label(images, frame):
    frame["merger"] = frame["merger"].astype(float)
    frame.loc[0, "merger"] = np.nan


def break_column(images, frame):
    frame["lost"] = np.nan


DAMAGE = [value for name, value in list(globals().items()) if name.startswith("break_")]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__.removeprefix("break_"))
def test_one_bad_object_of_twenty_is_named_and_the_rest_is_used(tmp_path, damage):
    images, table = tiny_folder(tmp_path, 20)
    frame = pd.read_csv(table, dtype={"objid": str})
    damage(images, frame)
    frame.to_csv(table, index=False)
    made = gather(Choice(images=images, table=(table,), label="merger"))
    named = {"duplicate": "a repeated objid", "conflict": "different labels", "no_id": "no objid", "number": "heavy", "infinite": "infinite",
             "label": "have no label", "column": "every cell is missing"}.get(damage.__name__[6:], "1 images left out")  # fmt: skip
    assert any(named in line for line in made.lines()), made.lines()
    left = 20 if damage in (break_number, break_infinite, break_column) else 18 if damage is break_conflict else 19
    assert len(made.catalog) == left and np.isfinite(made.catalog.images.read(np.arange(left))).all()
    assert len(str(made.to_dict())) > 20


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__.removeprefix("break_"))
def test_what_is_beyond_the_limit_is_an_error_with_exit_code_3(tmp_path, damage):
    images, table = tiny_folder(tmp_path, 4)
    frame = pd.read_csv(table, dtype={"objid": str})
    damage(images, frame)
    frame.to_csv(table, index=False)
    try:
        gather(Choice(images=images, table=(table,), label="merger"))
        assert damage in (break_number, break_infinite, break_column, break_label)
    except DataError as error:
        assert error.exit_code == 3 and error.hint


@pytest.mark.parametrize(
    ("choice", "words"),
    [({}, "neither images nor a table"), ({"label": "mergers"}, 'did you mean "merger"'), ({"inputs": ("masse",)}, 'did you mean "mass"'),
     ({"group": "tree"}, 'no column "tree"'),
     ({"label": "mass"}, "too many to be classes"), ({"label": "merger", "classes": ("0", "7")}, 'no value "7"'),
     ({"inputs": ("word",)}, "where numbers belong")],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(tmp_path, choice, words):
    _, table = tiny_folder(tmp_path, 60, word=[f"w{i}" for i in range(60)])
    with pytest.raises(ScimlError, match=words):
        gather(Choice(table=(table,) if choice else (), **choice))


def test_one_class_is_refused_when_a_classifier_is_made_of_it(tmp_path):
    _, table = tiny_folder(tmp_path, 4, merger=1)
    with pytest.raises(DataError, match='all 4 objects have the label "1"'):
        gather(Choice(table=(table,), label="merger")).catalog.require_labels()


# --- real files


def test_real_gz2(real):
    choice = Choice(
        images=real / "gz2_sample" / "images", table=(real / "gz2_sample" / "labels.csv",), label="label_m", limit=60
    )
    made = gather(choice)
    assert (
        len(made.catalog) == 60
        and made.catalog.images.shape == (3, 224, 224)
        and made.catalog.images.bands == ("red", "green", "blue")
    )
    assert {"gz2_class", "p_merger", "label_derived_merger", "total_classifications"} <= set(
        made.catalog.withheld.columns
    )
    assert not len(made.catalog.table.columns) and all(len(name) == 18 for name in made.catalog.ids)


def test_real_images_join_their_spectra(real):
    made = gather(Choice(images=real / "sdss_matched10" / "images", table=(real / "sdss_matched10" / "spectra",)))
    assert len(made.catalog) == 10 and made.catalog.images.present.all() and "10 objects matched by id" in made.notes
    assert "ew_h_alpha" in made.catalog.table and {"plate", "mjd", "ra", "redshift"} <= set(
        made.catalog.nuisance.columns
    )


def test_real_simulations_and_stamps(real):
    morphs = real / "tng_morphs"
    made = gather(Choice(table=(morphs / "tng_snap99_mstar9.5.txt", morphs / "snapnum_099" / "morphs_g.hdf5")))
    assert len(made.catalog) == 10_899 and "gini" in made.catalog.table and "runtime" in made.catalog.nuisance
    hst = real / "hst_cosmos"
    tables = tuple(hst / f"real_galaxy_catalog_26_extension_example{end}.fits" for end in ("", "_fits"))
    made = gather(Choice(images=hst / "real_galaxy_images_extension.fits", table=tables))
    assert len(made.catalog) == 100 and "100 objects matched by GAL_HDU" in made.notes
    made = gather(Choice(images=real / "kids_profit", pattern="{id}fitim.fits"))
    assert len(made.catalog) == 10 and made.catalog.ids[0].startswith("G2")
