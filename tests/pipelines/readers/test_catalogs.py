"""Catalogs: ids survive to the last digit, numbers are numbers, and what counts as missing is said."""

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import catalogs
from sciml.pipelines.readers.catalogs import read_catalog

LONG = st.integers(10**17, 9_223_372_036_854_775_807)  # 18 and 19 digits: DR7 and later objids, Gaia, DESI


NAMES = (
    "objid OBJID dr7objid SubHaloID subfind_id specObjID plateifu id_str object_id TARGETID NAME IDENT iauname galaxyID"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_names_of_identifiers(name):
    assert catalogs.is_id_name(name)


@pytest.mark.parametrize(
    "name", ["centroid", "grid", "ellipsoid_a", "redshift", "fluid", "xc_centroid", "valid", "humidity"]
)
def test_names_that_only_end_in_id(name):
    assert not catalogs.is_id_name(name)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(LONG, min_size=1, max_size=8, unique=True), named=st.booleans(), gap=st.booleans())
def test_long_ids_survive_every_format(tmp_path, ids, named, gap):
    """19 digits do not fit a float64: neither a gap in the column nor an unknown name may cost one."""
    name = "objid" if named else "number"
    texts = [str(value) for value in ids]
    cells = texts + ([""] if gap else [])
    (tmp_path / "t.csv").write_text(f"{name},v\n" + "".join(f"{cell},{i}.5\n" for i, cell in enumerate(cells)))
    assert read_catalog(tmp_path / "t.csv")[name].dropna().tolist() == texts
    Table({name: np.array(ids, np.int64), "v": np.ones(len(ids))}).write(tmp_path / "t.fits", overwrite=True)
    assert read_catalog(tmp_path / "t.fits")[name].astype(str).tolist() == texts
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file[name], file["text_id"] = np.array(ids, np.uint64), np.array(texts, dtype="S")
    frame = read_catalog(tmp_path / "t.h5")
    assert frame[name].astype(str).tolist() == texts and frame["text_id"].tolist() == texts


def test_ids_keep_zeros_in_front_and_lose_the_decimal_of_a_spreadsheet(write):
    frame = read_catalog(write("t.csv", "id,code,subhalo_id\n007,00012,12.0\n8,00013,\n"))
    assert frame["id"].tolist() == ["007", "8"] and frame["code"].tolist() == ["00012", "00013"]
    assert frame["subhalo_id"].iloc[0] == "12" and pd.isna(frame["subhalo_id"].iloc[1])


def test_text_where_numbers_belong_is_named(write):
    rows = "".join(f"{i},{i}.5,{'abc' if i == 3 else i},{'x' if i % 3 else i}\n" for i in range(30))
    frame = read_catalog(write("t.csv", "objid,flux,mass,mixed\n" + rows))
    assert frame["mass"].dtype == np.float64 and frame["mass"].isna().sum() == 1
    assert frame["mixed"].tolist()[:3] == ["0", "x", "x"]
    notes = " | ".join(frame.attrs["sciml_notes"])
    assert 'column mass: 1 cells are not numbers and count as missing: "abc" (rows 4)' in notes


def test_mostly_numbers_become_categories_and_that_is_said(write):
    frame = read_catalog(write("t.csv", "a\n" + "1\n" * 7 + "x\n" * 3))
    assert "3 of 10 cells are text" in frame.attrs["sciml_notes"][0]


def test_infinities_and_lonely_sentinels_are_missing(write):
    rows = "".join(f"{20 + 0.1 * i},{i},{-99 if i == 4 else i - 50}\n" for i in range(10))
    frame = read_catalog(write("t.csv", "mag,sfr,free\n" + rows + "99.0,-9999,-60\ninf,3,-61\n"))
    assert frame["mag"].isna().sum() == 2 and frame["sfr"].isna().sum() == 1
    assert frame["free"].notna().all(), "-99 among -50 and -61 may be a value"
    notes = " | ".join(frame.attrs["sciml_notes"])
    assert (
        "column mag: 1 infinite values" in notes
        and "99 counts as missing in 1 columns (mag)" in notes
        and "-9999 counts" in notes
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.floats(-1e6, 1e6, width=32).filter(lambda v: abs(v) not in (9999, 999, 99)), min_size=2, max_size=20
    )
)
def test_numbers_come_back_exactly(tmp_path, values):
    pd.DataFrame({"x": values, "label": ["a"] * len(values)}).to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_array_equal(read_catalog(tmp_path / "t.csv")["x"].to_numpy(float), np.array(values, float))


def test_columns_are_found_regardless_of_case(write):
    path = write("t.csv", "objID,Flux\n1,2\n")
    assert list(read_catalog(path, ["flux"]).columns) == ["Flux"]
    with pytest.raises(DataError, match='no column "fluxx"; did you mean "Flux"'):
        read_catalog(path, ["fluxx"])


def test_hdf5_columns_of_the_common_length(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["group/a"], file["group/b"], file["other"], file["image"] = (
            np.arange(4),
            np.ones(4),
            np.arange(9),
            np.ones((4, 2, 2)),
        )
        file["name"] = np.array([b"x ", b"y", b"z", b"w"])
    frame = read_catalog(tmp_path / "t.h5")
    assert list(frame.columns) == ["a", "b", "name"] and frame["name"].tolist() == ["x", "y", "z", "w"]
    assert frame.attrs["sciml_notes"] == ["dataset other of length 9 is left out"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("a.csv", b"", "empty"), ("a.csv", b"\x1f\x8b\x08 junk", "gzip"), ("a.fits", b"SIMPLE  =", "damaged|no such data"),
     ("a.h5", b"\x89HDF\r\n\x1a\n junk", "damaged|truncated"),
     ("a.csv", b"<!DOCTYPE html><html>", "HTML"), ("a.csv", b"version https://git-lfs.github.com/spec/v1", "LFS"), ("a.xls", b"\xd0\xcf\x11\xe0 junk", "Excel"),
     ("a.npy", b"\x93NUMPY junk", "NumPy")],
)  # fmt: skip
def test_what_is_no_catalog_is_named(write, name, content, words):
    with pytest.raises(DataError, match=words):
        read_catalog(write(name, content))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab1.,;-\t \n\"'#e+N|", max_size=80))
def test_any_text_is_a_table_or_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    try:
        assert len(read_catalog(tmp_path / "t.csv")) > 0
    except DataError as error:
        assert "t.csv" in str(error)


def test_real_tables(real_data):
    folder = real_data / "galaxy"
    if not (folder / "tng_synergi").is_dir():
        pytest.skip(f"no real tables at {folder}")
    frame = read_catalog(folder / "tng_synergi" / "Illustris_raw.csv")
    assert (
        frame.shape == (6261, 15)
        and frame["SubHaloID"].iloc[1] == "2"
        and frame["BulgeMass"].isna().mean() == pytest.approx(0.2841, abs=1e-4)
    )
    frame = read_catalog(folder / "tng_morphs" / "snapnum_099" / "morphs_g.hdf5")
    assert len(frame) == 12535 and frame["gini"].isna().sum() > 0 and frame["gini"].min() > 0
    frame = read_catalog(folder / "gz2_sample" / "labels.csv")
    assert frame["objid"].str.fullmatch(r"\d{18}").all()
