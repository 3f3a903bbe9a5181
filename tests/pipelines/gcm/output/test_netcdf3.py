"""The file that grows by records: read back by two libraries, whatever its shape and wherever its tail is torn."""

import os
import struct

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import netcdf_file

from sciml.pipelines.gcm.output.netcdf3 import LARGEST, RecordFile, Variable

NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,11}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=9)


@st.composite
def files(draw):
    """(sizes, variables, attributes): any names, ranks 0 to 4, all types."""
    names = draw(st.lists(NAMES, min_size=6, max_size=9, unique=True))
    dims = {name: draw(st.integers(1, 5)) for name in names[1:4]}
    sizes = {names[0]: None, **dims}
    variables = []
    for name in names[4:]:
        inner = tuple(draw(st.lists(st.sampled_from(list(dims)), max_size=3, unique=True)))
        dtype = draw(st.sampled_from(["i1", "i2", "i4", "f4", "f8"]))
        values = None
        if draw(st.booleans()):
            values = np.arange(int(np.prod([sizes[d] for d in inner]))).reshape([sizes[d] for d in inner])
        attributes = draw(st.dictionaries(NAMES, TEXTS | st.integers(-9, 9) | st.floats(-1, 1), max_size=2))
        variables.append(Variable(name, inner if values is not None else (names[0], *inner), dtype, attributes, values))
    growing = Variable("always", (names[0],), "i4")
    return sizes, [*variables, growing], draw(st.dictionaries(NAMES, TEXTS, max_size=3))


def record_of(file: RecordFile, number: int) -> dict:
    return {
        name: ((np.arange(np.prod(shape, dtype=int)) + number) % 100).reshape(shape)
        for name, shape in file.shapes.items()
    }


def assert_holds(path, file: RecordFile, records: int) -> None:
    """scipy reads every record, and numbers, attributes and dimensions are right."""
    with netcdf_file(path, mmap=False) as read:
        assert read.version_byte == 2 and read._recs == records
        assert {n: v for n, v in read.dimensions.items()} == file.sizes
        for variable in file.fixed:
            np.testing.assert_array_equal(read.variables[variable.name][...], variable.values)
        for variable in (*file.fixed, *file.growing):
            own = read.variables[variable.name]
            assert own.dimensions == variable.dims and own.data.dtype.newbyteorder("=") == np.dtype(variable.dtype)
            for key, value in variable.attributes.items():
                found = own._attributes[key]
                assert found.decode() == value if isinstance(value, str) else np.asarray(found) == pytest.approx(value)
        for number in range(records):
            wanted = record_of(file, number)
            for variable in file.growing:
                np.testing.assert_array_equal(read.variables[variable.name][number], wanted[variable.name])


@settings(max_examples=80, deadline=None)
@given(files(), st.integers(0, 3), st.binary(max_size=70))
def test_any_file_is_read_back(tmp_path_factory, what, records, torn):
    path = tmp_path_factory.mktemp("any") / "a.nc"
    file = RecordFile(path, *what).create()
    for number in range(records):
        file.append(record_of(file, number))
    file.close()
    with open(path, "ab") as tail:  # a record that a kill cut off
        tail.write(torn)
    assert_holds(path, file, records)
    again = RecordFile(path, *what).reopen()
    assert again.records == records and path.stat().st_size == file.begin + records * file.record_bytes
    again.append(record_of(file, records))
    for number in range(records + 1):
        for name, values in again.read(number).items():
            np.testing.assert_array_equal(values, record_of(file, number)[name])
    again.close()
    assert_holds(path, file, records + 1)


def small(path) -> RecordFile:
    variables = [
        Variable("x", ("x",), "f8", {"units": "m"}, np.arange(5.0)),
        Variable("lead", ("lead",), "i4", {"units": "hours", "dtype": "timedelta64[ns]"}),
        Variable("t", ("lead", "x"), "f4", {"units": "K"}),
    ]
    return RecordFile(path, {"lead": None, "x": 5}, variables, {"Conventions": "CF-1.11"})


def frame(number: int) -> dict:
    return {"lead": np.array(6 * number), "t": np.arange(5.0) + number}


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_xarray_opens_it_at_every_length(tmp_path, frames):
    file = small(tmp_path / "a.nc").create()
    for number in range(frames):
        file.append(frame(number))
    with xr.open_dataset(file.path) as ds:
        assert ds.sizes == {"lead": frames, "x": 5} and ds.attrs["Conventions"] == "CF-1.11"
        np.testing.assert_array_equal(ds.lead.values, np.arange(frames) * np.timedelta64(6, "h"))
        np.testing.assert_array_equal(ds.t.values, np.arange(frames)[:, None] + np.arange(5.0))
    file.close()


def test_a_kill_between_data_and_commit_loses_that_record_only(tmp_path, monkeypatch):
    file = small(tmp_path / "a.nc").create()
    file.append(frame(0))
    before = file.path.read_bytes()

    def killed(self, records):
        raise KeyboardInterrupt

    monkeypatch.setattr(RecordFile, "_commit", killed)
    with pytest.raises(KeyboardInterrupt):
        file.append(frame(1))
    assert len(file.path.read_bytes()) > len(before)
    with xr.open_dataset(file.path) as ds:
        assert ds.sizes["lead"] == 1 and ds.t.values[0].tolist() == [0, 1, 2, 3, 4]
    file.close()


def test_every_prefix_of_a_write_opens(tmp_path):
    """The bytes of a record reach the disk in any amount before its commit."""
    file = small(tmp_path / "a.nc").create()
    file.append(frame(0))
    one = file.path.read_bytes()
    file.append(frame(1))
    two = file.path.read_bytes()
    file.close()
    for cut in range(len(one), len(two) + 1):
        file.path.write_bytes(one + two[len(one) : cut])
        with netcdf_file(file.path, mmap=False) as read:
            assert read.variables["t"].shape == (1, 5)


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    file = small(tmp_path / "a.nc").create()
    file.append(frame(0))
    whole = file.path.read_bytes()
    write = os.pwrite

    def nearly_full(descriptor, data, at):
        if at >= len(whole):
            if at > len(whole):
                raise OSError(28, "No space left on device")
            data = data[:7]
        return write(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", nearly_full)
    with pytest.raises(OSError, match="No space"):
        file.append(frame(1))
    assert file.path.read_bytes() == whole and file.records == 1
    monkeypatch.setattr(os, "pwrite", write)
    file.append(frame(1))
    assert file.records == 2
    file.close()


def test_going_back_to_an_earlier_record(tmp_path):
    file = small(tmp_path / "a.nc").create()
    for number in range(4):
        file.append(frame(number))
    file.close()
    wanted = small(tmp_path / "b.nc").create()
    wanted.append(frame(0))
    wanted.append(frame(1))
    again = small(file.path).reopen(2)
    assert file.path.read_bytes() == wanted.path.read_bytes()
    again.close()
    wanted.close()
    with pytest.raises(ValueError, match="2 of the 3"):
        small(file.path).reopen(3)


def test_another_file_is_not_continued(tmp_path):
    file = small(tmp_path / "a.nc").create()
    file.close()
    other = RecordFile(file.path, {"lead": None, "x": 5}, [*file.fixed, *file.growing], {"Conventions": "CF-1.0"})
    with pytest.raises(ValueError, match="header"):
        other.reopen()
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(ValueError, match="header"):
        small(tmp_path / "text.nc").reopen()


def test_what_it_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="NetCDF-3 holds"):
        RecordFile(tmp_path / "a.nc", {"lead": None, "x": LARGEST}, [Variable("t", ("lead", "x"), "f4")], {})
    file = small(tmp_path / "a.nc").create()
    with pytest.raises(ValueError, match=r"t: shape \(4,\)"):
        file.append({"lead": np.array(0), "t": np.zeros(4)})
    assert struct.unpack(">i", file.path.read_bytes()[4:8]) == (0,)
    file.close()
