"""The file of a rollout: CF metadata, WeatherBench2 names, one frame after the other, whole at any instant.

While the model runs, frames are appended to a NetCDF-3 file (netcdf3.py) under its final name, because that format can
promise what HDF5 cannot: a kill, a power cut or a full disk costs at most the frame being written, and xarray opens the
file at any moment. When the run is complete the frames are copied into NetCDF-4 (float32, one frame per chunk, zlib 1 and
shuffle, unlimited lead) beside it, which then takes its place in one rename; both forms decode to the same data set.
A Zarr folder needs no second form: chunks are written first, and the consolidated metadata, one file replaced
atomically, says how many frames there are.

Dimensions: prediction_timedelta [, number] [, level | sigma], latitude, longitude; `time`, the initial time, is a scalar.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciml.pipelines.errors import DataError, SettingsError

from .netcdf3 import RecordFile, Variable
from .variables import ATTRIBUTES, SIGMA

LEAD = "prediction_timedelta"


@dataclass(frozen=True)
class Layout:
    """What a file holds, known before the first frame."""

    variables: tuple[str, ...]
    longitude: np.ndarray  # [degrees_east]
    latitude: np.ndarray  # [degrees_north], ascending
    start: np.datetime64
    interval_seconds: int
    frames: int  # planned, at least
    members: int = 1
    pressures: tuple[float, ...] | None = None  # [hPa]
    sigma: tuple[float, ...] | None = None  # neither: one level, as in the shallow-water equations
    attributes: Mapping[str, str] | None = None  # global
    surface: Mapping[str, np.ndarray] | None = None  # fields without lead time, [latitude, longitude]
    leads: tuple[int, ...] | None = None  # of every frame planned, in `lead_units`; None: interval after interval
    cell_methods: str = ""  # of every variable, e.g. for means over time

    @property
    def vertical(self) -> str | None:
        """Name of the dimension of what has a value on every level, if there is one."""
        return "level" if self.pressures is not None else "sigma" if self.sigma is not None else None

    @property
    def sizes(self) -> dict[str, int | None]:
        """Length of every dimension; None for lead time."""
        found: dict[str, int | None] = {LEAD: None}
        if self.members > 1:
            found["number"] = self.members
        for name, values in (("level", self.pressures), ("sigma", self.sigma)):
            if values is not None:
                found[name] = len(values)
        return found | {"latitude": len(self.latitude), "longitude": len(self.longitude)}

    def dims(self, name: str) -> tuple[str, ...]:
        """Dimensions of a variable in the file."""
        deep = ATTRIBUTES[name][3]
        vertical = "sigma" if deep == SIGMA else self.vertical if deep else None
        return tuple(dim for dim in self.sizes if dim not in ("level", "sigma") or dim == vertical)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one frame of a variable."""
        return tuple(self.sizes[dim] for dim in self.dims(name)[1:])

    def frame_bytes(self) -> int:
        """Size of one frame before compression."""
        return 4 + 4 * sum(int(np.prod(self.shape(name), dtype=np.int64)) for name in self.variables)

    def lead(self, frame: int) -> int:
        """Lead time of a frame in the file's unit."""
        if self.leads is not None:
            return self.leads[frame]
        return frame * self.interval_seconds // (3600 if self.lead_units == "hours" else 1)

    @property
    def lead_units(self) -> str:
        """Whole hours where possible, else seconds: integers are exact."""
        return "seconds" if self.interval_seconds % 3600 else "hours"

    def declared(self) -> list[Variable]:
        """All variables, coordinates first."""
        return [*self._coordinates(), *self._static(), *(self._field(name) for name in self.variables)]

    def _field(self, name: str) -> Variable:
        attributes = {**_described(name), "coordinates": "time"}
        if self.cell_methods:
            attributes["cell_methods"] = self.cell_methods
        return Variable(name, self.dims(name), "f4", attributes)

    def _static(self) -> list[Variable]:
        dims = ("latitude", "longitude")
        fields = (self.surface or {}).items()
        return [Variable(n, dims, "f4", {**_described(n), "coordinates": "time"}, values) for n, values in fields]

    def _coordinates(self) -> list[Variable]:
        hours = (self.start - np.datetime64("1970-01-01T00", "s")) / np.timedelta64(1, "h")
        time = {
            "long_name": "initial time", "standard_name": "forecast_reference_time",
            "units": "hours since 1970-01-01", "calendar": "proleptic_gregorian",
        }  # fmt: skip
        lead = {
            "long_name": "time since the initial time", "standard_name": "forecast_period",
            "units": self.lead_units, "dtype": "timedelta64[ns]",
        }  # fmt: skip
        north = {"long_name": "latitude", "standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
        east = {"long_name": "longitude", "standard_name": "longitude", "units": "degrees_east", "axis": "X"}
        found = [
            Variable("time", (), "f8", time, np.array(hours)),
            Variable("latitude", ("latitude",), "f8", north, self.latitude),
            Variable("longitude", ("longitude",), "f8", east, self.longitude),
            Variable(LEAD, (LEAD,), "i4", lead),
        ]
        found += self._vertical()
        if self.members > 1:
            about = {"long_name": "ensemble member", "standard_name": "realization", "units": "1"}
            found.append(Variable("number", ("number",), "i4", about, np.arange(self.members)))
        return found

    def _vertical(self) -> list[Variable]:
        found = []
        if self.pressures is not None:
            about = {"long_name": "pressure", "standard_name": "air_pressure", "units": "hPa", "positive": "down"}
            whole = all(float(p).is_integer() for p in self.pressures)
            found.append(Variable("level", ("level",), "i4" if whole else "f8", about, np.array(self.pressures)))
        if self.sigma is not None:
            about = {"long_name": "pressure over surface pressure", "standard_name": "atmosphere_sigma_coordinate"}
            about |= {"units": "1", "positive": "down"}
            found.append(Variable("sigma", ("sigma",), "f8", about, np.array(self.sigma)))
        return found


def _described(name: str) -> dict[str, str]:
    long_name, standard_name, unit, _ = ATTRIBUTES[name]
    found = {"long_name": long_name, "standard_name": standard_name, "units": unit}
    return {key: value for key, value in found.items() if value}


class NetCDFOutput:
    """Frames in NetCDF: NetCDF-3 until `finish`, NetCDF-4 after it."""

    def __init__(self, path: Path, layout: Layout):
        self.path, self.layout = Path(path), layout
        try:
            self._file = RecordFile(self.path, layout.sizes, layout.declared(), layout.attributes or {})
        except ValueError as error:
            raise SettingsError(
                f"{path}: {error}", hint="write a Zarr folder, --to NAME.zarr, or fewer members or levels"
            ) from None

    @property
    def frames(self) -> int:
        """Frames in the file."""
        return self._file.records

    def create(self) -> None:
        """Make the file, without frames; DataError if it cannot be written."""
        self._guarded(self._file.create)

    def reopen(self, frames: int) -> None:
        """Continue a file that holds at least `frames` frames, and drop those after them; DataError if it does not."""
        if not self.path.is_file():
            raise DataError(f"{self.path}: the run's frames are gone", hint="start a new run without --resume")
        try:
            if _is_hdf5(self.path):
                self._guarded(self._unpack)
            self._guarded(lambda: self._file.reopen(frames))
        except ValueError as error:
            raise DataError(
                f"{self.path}: not the file that this run wrote: {error}",
                hint="put the file back, or start a new run without --resume",
            ) from None

    def append(self, fields: Mapping[str, np.ndarray]) -> None:
        """Write and commit the next frame; DataError if the disk is full, with all earlier frames kept."""
        values = {LEAD: np.array(self.layout.lead(self.frames)), **fields}
        self._guarded(lambda: self._file.append({v.name: values[v.name] for v in self._file.growing}))

    def finish(self) -> str:
        """Turn the file into NetCDF-4; returns a warning if that failed, and the NetCDF-3 file stays as it is."""
        temporary = self.path.with_name(self.path.name + ".tmp")
        try:
            _pack(self._file, temporary)
            os.replace(temporary, self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            return f"{self.path} stays NetCDF-3, uncompressed and complete: {_reason(error)}"
        finally:
            self.close()
        return ""

    def packed(self) -> bool:
        """Whether `finish` has been here."""
        return self.path.is_file() and _is_hdf5(self.path)

    def close(self) -> None:
        """Leave the file as it is."""
        self._file.close()

    def _unpack(self) -> None:
        """Back to NetCDF-3, so that frames can be appended."""
        import h5netcdf

        temporary = self.path.with_name(self.path.name + ".unpacked.tmp")
        target = RecordFile(
            temporary, self._file.sizes, [*self._file.fixed, *self._file.growing], self._file.attributes
        )
        with h5netcdf.File(self.path, "r") as source:
            different = set(source.variables) ^ {v.name for v in (*target.fixed, *target.growing)}
            if different:
                raise ValueError(f"it differs in {', '.join(sorted(different))}")
            target.create()
            for frame in range(len(source.variables[LEAD])):
                target.append({v.name: source.variables[v.name][frame] for v in target.growing})
        target.close()
        os.replace(temporary, self.path)

    def _guarded(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            kept = f"its {self.frames} frames are kept" if self.frames else "nothing was written"
            raise DataError(
                f"cannot write {self.path}: {_reason(error)}; {kept}",
                hint="make room and continue with --resume RUN, or choose another place with --to",
            ) from None


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _is_hdf5(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _pack(source: RecordFile, target: Path) -> None:
    """Copy a record file into NetCDF-4, frame by frame, and flush it to disk."""
    import h5netcdf

    with h5netcdf.File(target, "w") as file:
        file.dimensions = dict(source.sizes)
        file.attrs.update(source.attributes)
        for v in source.fixed:
            made = file.create_variable(v.name, v.dims, v.dtype, data=np.asarray(v.values, v.dtype))
            made.attrs.update(v.attributes)
        for v in source.growing:
            packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if len(v.dims) > 1 else {}
            chunks = (1, *source.shapes[v.name]) if packed else (1024,)
            made = file.create_variable(v.name, v.dims, v.dtype, chunks=chunks, **packed)
            made.attrs.update(v.attributes)
        file.resize_dimension(LEAD, source.records)
    _fill(source, target)
    with open(target, "rb") as file:
        os.fsync(file.fileno())


def _fill(source: RecordFile, target: Path) -> None:
    """Write every record into its chunks, compressed by several threads: HDF5's own filters use one."""
    import h5py

    def packed(values: np.ndarray) -> bytes:
        shuffled = np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.itemsize).T
        return zlib.compress(shuffled.tobytes(), 1)

    with h5py.File(target, "r+") as file, ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        for record in range(source.records):
            values = source.read(record)
            file[LEAD][record] = values.pop(LEAD)
            chunks = pool.map(packed, [x.astype(file[name].dtype, copy=False) for name, x in values.items()])
            for name, chunk in zip(values, chunks, strict=True):
                file[name].id.write_direct_chunk((record, *(0 for _ in file[name].shape[1:])), chunk)


def open_output(path: Path, layout: Layout):
    """The output of the format that the ending of `path` names: .nc or .zarr."""
    if Path(path).suffix == ".zarr":
        from .zarr_files import ZarrOutput

        return ZarrOutput(path, layout)
    return NetCDFOutput(path, layout)
