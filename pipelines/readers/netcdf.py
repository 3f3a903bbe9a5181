"""NetCDF-4, NetCDF-3 and Zarr to xarray with house names, house units and real times, whatever the producer.

Convention: CF where the file follows it, the spellings of `names.py` where it does not. A file is checked before
xarray sees it and read whole below 2 GB, so a damaged chunk is an error here and not in the middle of a training run.
Remarks that are no errors are listed in `ds.attrs["sciml_notes"]` (a list of sentences).
"""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from sciml.pipelines.errors import DataError

from . import coordinates, files, hdf5, units

LOAD_BELOW = 2_000_000_000  # bytes of decoded data read into memory at once
_ENGINES = {"hdf5": "h5netcdf", "netcdf3": "scipy", "zarr": "zarr"}
# NetCDF's own default fill of floats is 9.97e36, GRIB tools write 1e20 and 9.999e20; no field of weather comes near.
_FILL_FROM = 9.0e19
# Values no station or model reports for these dimensions: the usual undeclared stand-ins for "missing".
_STAND_INS = (-9999.0, -999.0, -9999.9, -32768.0, -32767.0)
_NEVER_BELOW = {"temperature": -500.0, "speed": -500.0, "pressure": -500.0, "ratio": -500.0, "concentration": -500.0}


def open_dataset(path: str | Path, *, convert_units: bool = True) -> xr.Dataset:
    """Open a NetCDF file or Zarr folder under house names.

    Args:
        path: NetCDF-4/HDF5, NetCDF-3 (CDF-1, CDF-2) or Zarr.
        convert_units: bring known units to house units; unknown ones stay. Data sets above 2 GB are opened lazily and
            keep their units (a note says so).

    Returns:
        Data set in memory. Every variable has attrs `original_name` and `original_units` ("" if none); `units` is the
        unit of the values. Times are datetime64[ns] UTC; `attrs["sciml_notes"]` is a list of remarks.

    Raises:
        DataError: the file is missing, of another format, damaged, or a time coordinate cannot be decoded.
    """
    path = Path(path)
    kind = files.kind_of(path)
    if kind not in _ENGINES:
        raise files.refuse(path, kind)
    notes: list[str] = []
    ds, lazy = _read(path, kind, notes)
    if not ds.variables:
        raise DataError(f"{path} holds no variables", hint=_groups_hint(path, kind))
    try:
        ds = coordinates.decode_text(ds) if not lazy else ds
        ds = coordinates.rename(ds, notes)
        ds = coordinates.decode_times(ds, notes, path)
        ds = coordinates.levels_to_hpa(ds, notes)
        ds = coordinates.sort_grid(ds)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise DataError(
            f"{path} cannot be laid out under house names: {error}", hint="is it a CF NetCDF file?"
        ) from error
    if lazy:
        notes.append(f"{path} is opened lazily ({ds.nbytes / 1e9:.1f} GB): units stay as they are in the file")
    else:
        ds = _mask_fill(ds, notes)
        ds = _house_units(ds, notes) if convert_units else ds
    ds.attrs["sciml_notes"] = notes
    return ds


def _read(path: Path, kind: str, notes: list[str]) -> tuple[xr.Dataset, bool]:
    """The raw data set and whether it was left on disk."""
    if kind == "zarr" and importlib.util.find_spec("zarr") is None:
        raise DataError(f"{path} is a Zarr store and zarr is not installed", hint="pip install 'sciml[zarr]'")
    if kind == "hdf5":
        # h5netcdf prints a traceback of its own when the HDF5 library refuses a file: ask the library first.
        hdf5.open_hdf5(path).close()
    options: dict[str, object] = {"phony_dims": "access"} if kind == "hdf5" else {}
    if kind == "zarr":
        options = {"chunks": None}
    with warnings.catch_warnings():
        # Duplicate fill values, missing time units and unconsolidated metadata are dealt with here, not by the user.
        warnings.simplefilter("ignore")
        try:
            raw = xr.open_dataset(path, engine=_ENGINES[kind], decode_times=False, decode_timedelta=False, **options)
            if raw.nbytes >= LOAD_BELOW:
                return raw, True
            loaded = _load_each(raw, path)
            raw.close()
        except DataError:
            raise
        except files.ENGINE_ERRORS as error:
            raise _opening_error(path, kind, error) from error
    return loaded, False


def _load_each(raw: xr.Dataset, path: Path) -> xr.Dataset:
    """Read all values; a failing variable is named."""
    for name in raw.variables:
        try:
            raw[name].load()
        except files.ENGINE_ERRORS as error:
            text = " ".join(str(error).split())[:160] or type(error).__name__
            raise DataError(
                f"{path} is damaged or truncated ({files.path_size(path)}): variable {name!r} cannot be read: {text}",
                hint="compare its size with the source, and copy or download it again",
            ) from error
    return raw.load()


def _opening_error(path: Path, kind: str, error: BaseException) -> DataError:
    if kind == "hdf5" and "truncated" not in str(error) and "dimension" in str(error).lower():
        return DataError(
            f"{path} is HDF5 but not NetCDF-4: {error}", hint="write it with named dimensions (dimension scales)"
        )
    return files.damaged(path, error)


def _groups_hint(path: Path, kind: str) -> str:
    if kind != "hdf5":
        return "check how it was written"
    import h5py

    try:
        with h5py.File(path, "r") as file:
            groups = [name for name in file if isinstance(file[name], h5py.Group)]
    except files.ENGINE_ERRORS:
        groups = []
    if groups:
        listed = ", ".join(groups[:8])
        return f"its data lie in groups ({listed}): copy one out with `ncks -G : -g {groups[0]} in.nc out.nc`"
    return "check how it was written"


def _mask_fill(ds: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Undeclared missing values and infinities become NaN, each with a note."""
    for name in ds.data_vars:
        variable = ds[name]
        if variable.dtype.kind != "f" or not variable.size:
            continue
        values = variable.values
        with np.errstate(invalid="ignore"):
            bad = np.isinf(values) | (np.abs(values) >= _FILL_FROM)
            floor = _NEVER_BELOW.get(units.UNITS.get(_known_unit(variable), ("",))[0])
            if floor is not None and (values < floor).any():
                bad |= np.isin(values, np.array(_STAND_INS, dtype=values.dtype))
        if bad.any():
            example = float(values[bad].ravel()[0])
            notes.append(
                f"{variable.attrs['original_name']!r}: {int(bad.sum())} values like {example:g} are taken as missing"
            )
            ds[name] = variable.where(~bad)
            ds[name].attrs.update(variable.attrs)
    return ds


def _known_unit(variable: xr.DataArray) -> str:
    """Canonical unit of the values, or the house unit of the name where the file states none."""
    return units.canonical(coordinates.text_attr(variable, "units")) or units.house_units(str(variable.name))


def _house_units(ds: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Convert every variable whose unit and house unit are known and compatible."""
    for name in ds.variables:
        variable = ds[name]
        stated = coordinates.text_attr(variable, "units")
        if variable.dtype.kind not in "iuf" or not stated or name == "level":
            continue
        unit, house = units.canonical(stated), units.house_units(str(name))
        if unit is None:
            continue
        target = house or unit
        if unit == "degrees":
            continue
        if not units.compatible(unit, target):
            # Mean fluxes under the name of ERA5's accumulated energies are everyday practice: both units are right.
            if unit != "W m-2":
                name_there = variable.attrs["original_name"]
                notes.append(f"{name_there!r} stays in {unit!r}: {house!r} measures something else")
            target = unit
        if name in ds.dims:
            variable.attrs["units"] = stated
            continue
        converted = variable.copy(data=units.convert(variable.values, unit, target))
        converted.attrs["units"] = target
        ds = ds.assign_coords({name: converted}) if name in ds.coords else ds.assign({name: converted})
    return ds
