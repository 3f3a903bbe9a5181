"""What a file is, told from its first bytes, before any library opens it and answers with a riddle.

Magic numbers: HDF5 superblock at byte 0, 512, 1024, 2048 ... (HDF5 file format specification, section II.A);
NetCDF classic "CDF" + version byte 1, 2 or 5 (NetCDF user guide, appendix B); GRIB edition 1 and 2 "GRIB" (WMO-No.
306).
"""

import struct
import tokenize
import zlib
from pathlib import Path

from sciml.pipelines.errors import DataError, suggest

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS = (0, 512, 1024, 2048)

# What h5py, h5netcdf, scipy, zarr and xarray raise on a damaged file. Each open or read of a foreign file is wrapped
# with it.
ENGINE_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
# And numpy, which hands the header of an array to Python's own parser, and Pillow.
ARRAY_ERRORS = (*ENGINE_ERRORS, SyntaxError, tokenize.TokenError)

_FOREIGN = {
    "grib": (
        "is GRIB, not NetCDF",
        "convert it: `grib_to_netcdf -o out.nc in.grib` (ecCodes), `cdo -f nc4 copy in.grib out.nc`, or "
        "`xarray.open_dataset(path, engine='cfgrib').to_netcdf('out.nc', engine='h5netcdf')`",
    ),
    "html": ("is an HTML page, not data: the download answered with a web page", "download it again after logging in"),
    "lfs": ("is a Git LFS pointer, not the data itself", "run `git lfs pull` in the repository it came from"),
    "gzip": ("is gzip-compressed", "run `gunzip` on it first"),
    "zip": (
        "is a zip archive; the Copernicus data store packs instantaneous and accumulated fields in separate files",
        "run `unzip` on it, then give one of the NetCDF files in it",
    ),
    "netcdf5": ("is NetCDF CDF-5 (64-bit data), which the readers do not take", "run `nccopy -k nc4 in.nc out.nc`"),
    "pickle": ("is a Python pickle, which is never executed", "write it again as NetCDF"),
    "numpy": ("is a NumPy file, without names or times", "write it again as NetCDF"),
    "parquet": ("is a Parquet file", "write it again as NetCDF or CSV"),
    "text": ("is a text file, not NetCDF", "forecasts are read from NetCDF; tables of observations may be CSV"),
    "excel": ("is an Excel workbook", "save it as CSV (UTF-8)"),
    "unknown": ("starts with bytes of no known data format", "give a NetCDF-4, NetCDF-3 or Zarr data set"),
}


def require_file(path: Path) -> None:
    """Raise DataError unless `path` exists and is a non-empty file or a Zarr folder."""
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot look at {str(path)!r}: {error}") from error
    if not exists:
        raise DataError(f"{path} does not exist", hint=_near(path))
    if path.is_dir() and not is_zarr(path):
        names = sorted(child.name for child in path.iterdir() if child.is_file())
        listed = ", ".join(names[:8]) or "no files"
        raise DataError(f"{path} is a folder, not a file or a Zarr store", hint=f"give one of its files: {listed}")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes)", hint="the download or the writing program did not finish")


def _near(path: Path) -> str:
    """Names of neighbouring files, nearest first."""
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either"
    names = sorted(child.name for child in folder.iterdir() if not child.name.startswith("."))
    if not names:
        return f"the folder {folder} is empty"
    shown = (
        names if len(names) <= 12 else [name for name in names if Path(name).suffix == path.suffix][:12] or names[:12]
    )
    return f"in {folder}: {suggest(path.name, shown)}"


def is_zarr(path: Path) -> bool:
    """True for a Zarr group folder of version 2 or 3."""
    return any((path / marker).is_file() for marker in (".zgroup", ".zmetadata", "zarr.json"))


def kind_of(path: Path) -> str:
    """One word for the format: zarr, hdf5, netcdf3, or a key of the table of foreign formats.

    Raises:
        DataError: the file is missing, a plain folder, empty or unreadable.
    """
    require_file(path)
    if path.is_dir():
        return "zarr"
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}", hint="check its permissions") from error
    return _kind_of_bytes(head)


def _kind_of_bytes(head: bytes) -> str:
    if any(head[offset : offset + 8] == HDF5_MAGIC for offset in HDF5_OFFSETS):
        return "hdf5"
    if head[:3] == b"CDF":
        return {1: "netcdf3", 2: "netcdf3", 5: "netcdf5"}.get(head[3] if len(head) > 3 else 0, "unknown")
    starts = (
        (b"GRIB", "grib"),
        (b"version https://git-lfs", "lfs"),
        (b"\x1f\x8b", "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"PK\x05\x06", "zip"),
        (b"\xd0\xcf\x11\xe0", "excel"),
        (b"\x93NUMPY", "numpy"),
        (b"PAR1", "parquet"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x80\x05\x95", "pickle"),
    )
    for magic, kind in starts:
        if head.startswith(magic):
            return kind
    if head.lstrip()[:256].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "html"
    # WMO bulletin headers and stray bytes may precede the first GRIB message.
    if b"GRIB" in head[:256] and b"\x00" in head[:512]:
        return "grib"
    return "unknown" if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")) else "text"


def refuse(path: Path, kind: str) -> DataError:
    """The error for a file of a format the caller cannot read."""
    found, hint = _FOREIGN.get(kind, _FOREIGN["unknown"])
    return DataError(f"{path} {found}", hint=hint)


def damaged(path: Path, error: BaseException) -> DataError:
    """The error for a file that starts like the right format and then fails."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, PermissionError):
        return DataError(f"{path} cannot be read: permission denied", hint="check its permissions")
    return DataError(
        f"{path} is damaged or truncated ({path_size(path)}): {text}",
        hint="compare its size with the source, and copy or download it again",
    )


def path_size(path: Path) -> str:
    """Size as text, for messages."""
    return f"{path.stat().st_size:,} bytes" if path.is_file() else "a folder"
