"""NetCDF-3 (CDF-2, 64-bit offsets) files that grow by one record at a time and survive a kill at any instant.

The header is written once. A record is appended behind the last one and flushed to disk, and only then the number of
records, four bytes at offset 4, is overwritten: that write is the commit, and a reader never sees half a record. What a
kill or a full disk leaves behind the last committed record is ignored by every reader and dropped on `reopen`.
HDF5 offers no such promise: its metadata is spread over the file, and a kill while it is flushed loses all of it.
Source of the format: NetCDF User's Guide, appendix B, "The Classic Format Specification".
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_MAGIC = b"CDF\x02"
_COUNT_AT = 4  # where the number of records stands
_DIMENSION, _VARIABLE, _ATTRIBUTE = 0x0A, 0x0B, 0x0C
_CHAR = 2
_TYPES = {"i1": 1, "i2": 3, "i4": 4, "f4": 5, "f8": 6}
# Readers (scipy among them) hold the size of a variable's part of one record in a signed 32-bit number.
LARGEST = 2**31 - 4


@dataclass(frozen=True)
class Variable:
    """One variable: `values` of a fixed one, None of one that has a value in every record."""

    name: str
    dims: tuple[str, ...]
    dtype: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    values: np.ndarray | None = None


class RecordFile:
    """An open file; `records` is how many are committed."""

    def __init__(self, path: Path, sizes: Mapping[str, int | None], variables: list[Variable], attributes: Mapping):
        """Nothing is touched until `create` or `reopen`.

        `sizes` gives each dimension's length and None for the record dimension, which comes first in every variable
        that has no `values`. ValueError for what the format cannot hold.
        """
        self.path, self.sizes = Path(path), dict(sizes)
        self.attributes = dict(attributes)
        self.fixed = [v for v in variables if v.values is not None]
        self.growing = [v for v in variables if v.values is None]
        self.shapes = {v.name: tuple(self.sizes[dim] for dim in v.dims[1:]) for v in self.growing}
        self.header = self._header()
        self.record_bytes = sum(self._slab(v) for v in self.growing)
        self.records = 0
        self._file: int | None = None

    # --- writing

    def create(self) -> RecordFile:
        """Write header and fixed variables under a temporary name and move them into place."""
        temporary = self.path.with_name(self.path.name + ".tmp")
        with open(temporary, "wb") as file:
            file.write(self.header)
            for variable in self.fixed:
                file.write(_padded(_big_endian(variable.values, variable.dtype)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)
        self._file = os.open(self.path, os.O_RDWR)
        self.records = 0
        return self

    def reopen(self, records: int | None = None) -> RecordFile:
        """Open an existing file to append to it, keeping its first `records` records (default: all).

        ValueError if it is not the file that `create` would have made, or holds fewer.
        """
        self._file = os.open(self.path, os.O_RDWR)
        head = os.pread(self._file, len(self.header), 0)
        if head[:_COUNT_AT] != _MAGIC or head[_COUNT_AT + 4 :] != self.header[_COUNT_AT + 4 :]:
            raise ValueError("its header names other variables, sizes or attributes")
        (self.records,) = struct.unpack(">i", head[_COUNT_AT : _COUNT_AT + 4])
        if records is not None and self.records < records:
            raise ValueError(f"it holds {self.records} of the {records} frames written")
        self._commit(self.records if records is None else records)
        os.ftruncate(self._file, self.begin + self.records * self.record_bytes)
        return self

    def append(self, values: Mapping[str, np.ndarray]) -> None:
        """Append and commit one record; OSError (disk full) leaves all earlier records as they were."""
        parts = []
        for variable in self.growing:
            shape, given = self.shapes[variable.name], np.asarray(values[variable.name])
            if given.shape != shape:
                raise ValueError(f"{variable.name}: shape {given.shape}, and the file has {shape}")
            parts.append(_padded(_big_endian(given, variable.dtype)))
        data = memoryview(b"".join(parts))
        at = self.begin + self.records * self.record_bytes
        try:
            _write_all(self._file, data, at)
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, at)
            raise
        self._commit(self.records + 1)

    def _commit(self, records: int) -> None:
        os.pwrite(self._file, struct.pack(">i", records), _COUNT_AT)
        os.fsync(self._file)
        self.records = records

    def read(self, record: int) -> dict[str, np.ndarray]:
        """One committed record by variable name, in native byte order."""
        data = os.pread(self._file, self.record_bytes, self.begin + record * self.record_bytes)
        found, at = {}, 0
        for variable in self.growing:
            shape = self.shapes[variable.name]
            count = int(np.prod(shape, dtype=np.int64))
            raw = np.frombuffer(data, ">" + variable.dtype, count, at)
            found[variable.name] = raw.reshape(shape).astype(variable.dtype)
            at += self._slab(variable)
        return found

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # --- the header

    @property
    def begin(self) -> int:
        """Offset of the first record."""
        return len(self.header) + sum(self._slab(v) for v in self.fixed)

    def _slab(self, variable: Variable) -> int:
        """Bytes of a fixed variable, or of one record of a growing one."""
        dims = variable.dims if variable.values is not None else variable.dims[1:]
        count = int(np.prod([self.sizes[dim] for dim in dims], dtype=np.int64))
        size = _round_up(count * np.dtype(variable.dtype).itemsize)
        if size > LARGEST:
            raise ValueError(f"{variable.name}: {size:,} bytes a record, and NetCDF-3 holds {LARGEST:,}")
        return size

    def _header(self) -> bytes:
        numbers = {name: number for number, name in enumerate(self.sizes)}
        dims = b"".join(_name(name) + struct.pack(">i", size or 0) for name, size in self.sizes.items())
        start = _MAGIC + struct.pack(">i", 0) + _list(_DIMENSION, len(self.sizes), dims) + _attributes(self.attributes)
        variables = [*self.fixed, *self.growing]
        entries = [self._entry(v, numbers) for v in variables]
        at = len(start) + 8 + sum(len(entry) + 8 for entry in entries)
        whole = b""
        for variable, entry in zip(variables, entries, strict=True):
            whole += entry + struct.pack(">q", at)
            at += self._slab(variable)
        return start + _list(_VARIABLE, len(variables), whole)

    def _entry(self, variable: Variable, numbers: Mapping[str, int]) -> bytes:
        """A variable's part of the header, up to its offset."""
        ids = struct.pack(f">{len(variable.dims)}i", *(numbers[dim] for dim in variable.dims))
        kind = struct.pack(">ii", _TYPES[variable.dtype], self._slab(variable))
        rank = struct.pack(">i", len(variable.dims))
        return _name(variable.name) + rank + ids + _attributes(variable.attributes) + kind


def _write_all(file: int, data: memoryview, at: int) -> None:
    """pwrite may write less than it was given, as it does where a disk has a little room left."""
    while data:
        written = os.pwrite(file, data, at)
        data, at = data[written:], at + written


def _big_endian(values: np.ndarray, dtype: str) -> bytes:
    return np.ascontiguousarray(values, dtype=">" + dtype).tobytes()


def _round_up(size: int) -> int:
    return -(-size // 4) * 4


def _padded(data: bytes) -> bytes:
    return data + bytes(_round_up(len(data)) - len(data))


def _name(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">i", len(data)) + _padded(data)


def _list(tag: int, count: int, items: bytes) -> bytes:
    return struct.pack(">ii", tag if count else 0, count) + items


def _attributes(attributes: Mapping[str, object]) -> bytes:
    return _list(_ATTRIBUTE, len(attributes), b"".join(_name(k) + _attribute(v) for k, v in attributes.items()))


def _attribute(value: object) -> bytes:
    if isinstance(value, str):
        data = value.encode()
        return struct.pack(">ii", _CHAR, len(data)) + _padded(data)
    array = np.atleast_1d(np.asarray(value))
    dtype = "i4" if array.dtype.kind in "iub" else "f4" if array.dtype == np.float32 else "f8"
    return struct.pack(">ii", _TYPES[dtype], array.size) + _padded(_big_endian(array, dtype))
