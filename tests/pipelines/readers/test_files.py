"""A wrong file is named for what it is before any library opens it."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import files

SIGNATURES = {
    "hdf5": b"\x89HDF\r\n\x1a\n" + b"\0" * 64,
    "netcdf3": b"CDF\x01" + b"\0" * 64,
    "netcdf5": b"CDF\x05" + b"\0" * 64,
    "grib": b"GRIB\x00\x00\x00\x02",
    "html": b"<!DOCTYPE html><html><body>login</body></html>",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    "gzip": b"\x1f\x8b\x08\x00",
    "zip": b"PK\x03\x04\x00\x00",
    "text": b"valid_time,t2m\n2020-01-01,1\n",
    "unknown": b"\x00\x01\x02\x03",
}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_kind_from_first_bytes(kind, write):
    assert files.kind_of(write("x.nc", SIGNATURES[kind])) == kind


@pytest.mark.parametrize("offset", files.HDF5_OFFSETS)
def test_hdf5_behind_a_user_block(offset, write):
    assert files.kind_of(write("x.nc", b"\x01" * offset + files.HDF5_MAGIC + b"\0" * 64)) == "hdf5"


def test_wmo_header_before_grib(write):
    assert files.kind_of(write("x", b"HTXY85 KWBC 010000\r\r\nGRIB\x00\x00")) == "grib"


def test_utf16_text_is_text(write):
    assert files.kind_of(write("x.csv", "valid_time,t2m\n", "utf-16")) == "text"


def test_missing_file_names_its_neighbours(write, tmp_path):
    write("nwp_2020.nc", b"x")
    with pytest.raises(DataError, match="does not exist") as caught:
        files.kind_of(tmp_path / "nwp_202.nc")
    assert 'did you mean "nwp_2020.nc"' in caught.value.hint


def test_missing_folder(tmp_path):
    with pytest.raises(DataError) as caught:
        files.kind_of(tmp_path / "none" / "x.nc")
    assert "folder" in caught.value.hint


def test_plain_folder_lists_files(write, tmp_path):
    write("a.nc", b"x")
    with pytest.raises(DataError, match="is a folder") as caught:
        files.kind_of(tmp_path)
    assert "a.nc" in caught.value.hint


def test_empty_file(write):
    with pytest.raises(DataError, match="empty"):
        files.kind_of(write("x.nc", b""))


@pytest.mark.parametrize(("kind", "words"), [("grib", "grib_to_netcdf"), ("zip", "unzip"), ("lfs", "git lfs pull")])
def test_the_way_out_is_named(kind, words, tmp_path):
    assert words in files.refuse(tmp_path / "x", kind).hint
