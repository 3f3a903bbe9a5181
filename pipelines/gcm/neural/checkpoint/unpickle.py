"""A pickle of NumPy arrays and plain containers, read without running anything it names.

A pickle is a program: it names functions to import and call. Here every name is looked up in a fixed table of
stand-ins, which check their arguments and build arrays from the bytes in the file; any other name is refused. Arrays
that old JAX releases pickled (a NumPy array within `jax._src.array._reconstruct_array`) and Haiku's mappings are among
the known names, so that no release of either is needed. Before that, the opcodes are read through once: a truncated
file, or one that asks for more memory than it holds bytes, is found there.
"""

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sciml.pipelines.errors import DataError

MOST_BYTES = 4 << 30  # the largest released checkpoint holds 0.15 GB
_HINT = "a NeuralGCM checkpoint holds NumPy or JAX arrays, dicts, lists, text and numbers only; nothing was executed"
# What a damaged or hostile program makes the machine raise, none of it a bug of ours.
_BROKEN = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError),
    *(OverflowError, MemoryError, RecursionError, UnicodeError, ArithmeticError),
)


class _Refused(Exception):
    """The pickle asked for something no checkpoint holds."""


class _StandIn:
    """A named thing a pickle may mention; calling it runs `build`, nothing can be set on it."""

    __slots__ = ("_build", "_name")

    def __init__(self, name: str, build: Callable | None = None):
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_build", build)

    def __call__(self, *args, **kwargs):
        if self._build is None or kwargs:
            raise _Refused(f"call {self._name}")
        return self._build(*args)

    def __setattr__(self, name: str, value: Any):
        raise _Refused(f"change {self._name}")

    def __setstate__(self, state: Any):
        raise _Refused(f"change {self._name}")


class _Dtype:
    """A dtype under construction: its code, then its state (version, byte order, subarray, names, fields, ...)."""

    __slots__ = ("value",)
    __hash__ = None

    def __init__(self, code: Any, align: bool = False, copy: bool = True):
        if code is _BFLOAT16:
            import ml_dtypes

            self.value = np.dtype(ml_dtypes.bfloat16)
            return
        if not isinstance(code, str) or code[:1] not in tuple("biufcMmUS") or not code[1:].isdigit():
            raise _Refused(f"make an array of dtype {str(code)[:60]!r}")
        self.value = np.dtype(code)

    def __setstate__(self, state: tuple):
        version, order, subarray, names, fields, *rest = state
        if (
            version not in (3, 4)
            or (subarray, names, fields) != (None, None, None)
            or order not in ("<", ">", "|", "=")
        ):
            raise _Refused("make an array of a structured dtype")
        if self.value.kind in "Mm":
            unit, count = _text(rest[-1][1][0]), rest[-1][1][1]
            self.value = np.dtype(f"{self.value.kind}8[{int(count)}{unit}]" if unit != "generic" else self.value)
        if order != "|":
            self.value = self.value.newbyteorder(order)


class _Array:
    """An array under construction; `value` once its state (version, shape, dtype, Fortran order, bytes) is known."""

    __slots__ = ("value",)
    __hash__ = None

    def __setstate__(self, state: tuple):
        _, shape, dtype, fortran, raw = state
        self.value = _array(raw, dtype, shape, "F" if fortran else "C")


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _array(raw: Any, dtype: Any, shape: tuple, order: str) -> np.ndarray:
    if not isinstance(dtype, _Dtype) or not isinstance(raw, (bytes, bytearray)):
        raise _Refused("make an array of objects")
    if not all(isinstance(n, int) and n >= 0 for n in shape) or order not in ("C", "F"):
        raise _Refused(f"make an array of shape {str(shape)[:60]}")
    if math.prod(shape) * dtype.value.itemsize != len(raw):
        raise _Refused(f"make an array of shape {str(tuple(shape))[:60]} from {len(raw)} bytes")
    values = np.frombuffer(raw, dtype=dtype.value) if raw else np.empty(0, dtype.value)
    return values.reshape(shape, order=order).astype(dtype.value.newbyteorder("="), copy=False)


def _reconstruct(subtype: Any, shape: tuple, code: Any) -> _Array:
    if subtype is not _NDARRAY:
        raise _Refused("make an array of another class")
    return _Array()


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (), "C")[()]


def _from_buffer(raw: Any, dtype: Any, shape: tuple, order: str) -> np.ndarray:
    return _array(raw, dtype, shape, order)


def _of_jax(build: Any, args: tuple, state: tuple, aval: Any = None) -> np.ndarray:
    if not isinstance(build, _StandIn):
        raise _Refused("call what is no array")
    array = build(*args)
    if isinstance(array, _Array):
        array.__setstate__(state)
        return array.value
    return array


def _mapping(entries: Any = ()) -> dict:
    return dict(entries)


def _encode(text: str, encoding: str) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _Refused(f"encode text as {str(encoding)[:30]}")
    return text.encode("latin1")


_NDARRAY = _StandIn("numpy.ndarray")
_BFLOAT16 = _StandIn("ml_dtypes.bfloat16")
_KNOWN = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": _StandIn("numpy.dtype", _Dtype),
    "numpy.core.multiarray._reconstruct": _StandIn("numpy.core.multiarray._reconstruct", _reconstruct),
    "numpy.core.multiarray.scalar": _StandIn("numpy.core.multiarray.scalar", _scalar),
    "numpy.core.numeric._frombuffer": _StandIn("numpy.core.numeric._frombuffer", _from_buffer),
    "ml_dtypes.bfloat16": _BFLOAT16,
    "jax._src.array._reconstruct_array": _StandIn("jax._src.array._reconstruct_array", _of_jax),
    "jax._src.device_array.reconstruct_device_array": _StandIn("jax._src.device_array", _of_jax),
    "collections.OrderedDict": _StandIn("collections.OrderedDict", _mapping),
    "haiku._src.data_structures.FlatMapping": _StandIn("haiku.FlatMapping", _mapping),
    "haiku._src.data_structures.FlatMap": _StandIn("haiku.FlatMap", _mapping),
    "_codecs.encode": _StandIn("_codecs.encode", _encode),
    "__builtin__.bytes": _StandIn("bytes", lambda: b""),  # protocol 2 writes empty bytes so
}


class _Restricted(pickle.Unpickler):
    """An unpickler to which only the stand-ins exist."""

    def find_class(self, module: str, name: str) -> _StandIn:
        known = _KNOWN.get(f"{module.replace('numpy._core', 'numpy.core')}.{name}")
        if known is None:
            raise _Refused(f'load "{module}.{name}"')
        return known

    def persistent_load(self, identifier: Any):
        raise _Refused(f"load the persistent object {str(identifier)[:60]!r}")


def load(path: str | Path) -> Any:
    """What the pickle file holds: dicts, lists, tuples, text, numbers and NumPy arrays (read-only).

    Raises:
      DataError: no such file, truncated, not a pickle, or it names anything but arrays and plain containers; the
        message names that thing. Nothing the file names is imported or called.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(
                f"{path} holds {path.stat().st_size >> 20} MB; a checkpoint holds at most {MOST_BYTES >> 20}"
            )
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return loads(data, source=str(path))


def loads(data: bytes, *, source: str) -> Any:
    """As `load`, from bytes; `source` names them in messages."""
    try:
        _survey(data)
        value = _Restricted(io.BytesIO(data)).load()
        return _finished(value, {})
    except _Refused as refused:
        raise DataError(f"{source} is refused: its pickle wants to {refused}", hint=_HINT) from refused
    except _BROKEN as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise DataError(f"{source} is no whole pickle: {reason[:200]}", hint=_HINT) from error


def _survey(data: bytes) -> None:
    """Reads the opcodes without carrying any out."""
    if data[:1] != b"\x80":
        raise pickle.UnpicklingError("it does not start like a pickle (protocol 2 to 5)")
    for count, (opcode, argument, position) in enumerate(pickletools.genops(data)):
        if opcode.name.startswith("EXT"):
            raise _Refused(f"load the extension {argument}")
        # A memo index far beyond the number of opcodes only serves to make the reader allocate that much.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > count:
            raise _Refused(f"use memo {argument} after {count} opcodes")
        if opcode.name == "STOP" and position + 1 != len(data):
            raise pickle.UnpicklingError(f"{len(data) - position - 1} bytes follow its end")


def _finished(value: Any, done: dict[int, Any]) -> Any:
    """`value` with the arrays under construction replaced; each container once, so that shared ones stay shared."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, (_StandIn, _Dtype)):
        raise _Refused("hold an object that is no array")
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) in done:
        if done[id(value)] is None:
            raise _Refused("hold a container within itself")
        return done[id(value)][1]
    done[id(value)] = None
    keys = list(value) if isinstance(value, dict) else None
    items = (_finished(item, done) for item in (value.values() if keys is not None else value))
    new = dict(zip(keys, items, strict=True)) if keys is not None else type(value)(items)
    done[id(value)] = (value, new)  # the original is kept alive, so that its id stays its own
    return new
