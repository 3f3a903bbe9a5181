"""Checkpoint files: safetensors with a JSON header in the metadata key "sciml"; no pickle is ever executed.

Convention: a file is written to `<file>.tmp`, flushed to disk and renamed, so a reader sees the old one or the new one.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sciml.pipelines.errors import DataError

_HEADER_KEY = "sciml"


def save_tensors(path: Path, tensors: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Write named numpy arrays and a JSON header as one safetensors file, atomically."""
    import numpy as np
    from safetensors.numpy import save

    # ascontiguousarray would turn a scalar into a vector of length one
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    metadata = {_HEADER_KEY: json.dumps(dict(header), default=scalar)}
    write_atomic(Path(path), save(arrays, metadata=metadata))


def load_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays by name, header) of a file `save_tensors` wrote; DataError if it is missing, truncated or foreign."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_HEADER_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({error})") from None
    if text is None:
        raise DataError(f"{path}: a safetensors file, but not one that sciml wrote: its metadata has no sciml header")
    return tensors, json.loads(text)


def write_atomic(path: Path, data: bytes) -> None:
    """Write beside `path`, flush to disk, rename: a kill at any point leaves the old file whole."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror}", hint=_space(path.parent)) from None


def _space(folder: Path) -> str:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return "the folder is gone"
    return f"{free / 1e9:.1f} GB are free on that disk"


def scalar(value: Any) -> Any:
    """numpy and framework scalars as Python ones, paths as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"cannot write a {type(value).__name__} as JSON")


def plain(value: Any) -> Any:
    """JSON values only: NaN and infinity, which JSON cannot say, become None."""
    if isinstance(value, float):
        return float(value) if abs(value) < float("inf") else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return plain(scalar(value))
