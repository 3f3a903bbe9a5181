"""The transform of the eightfold-folded layout as compiled code for CPUs, where the installation could build it.

One pass over memory per chunk of columns in place of three products: see _folded.c. float32 and float64; the caller
falls back on transform.py's products otherwise.
"""

import jax
import numpy as np
from jax import Array

from sciml.kernels.sphere.geometry import Geometry

try:
    from sciml.kernels.sphere import _folded
except ImportError:  # no compiler at installation
    _folded = None

# A single column fills an eighth of a vector: its products are then 2 to 3 times faster as XLA's.
LEAST_COLUMNS = 2

if _folded is not None:
    for _name, _capsule in _folded.targets().items():
        jax.ffi.register_ffi_target(f"sciml_sphere_{_name}", _capsule, platform="cpu")


def built() -> bool:
    """Whether the installation could compile it."""
    return _folded is not None


def fits(geometry: Geometry) -> bool:
    """Whether the compiled transform exists here and knows this fold."""
    return _folded is not None and geometry.fold_latitude and geometry.longitude_fold == "quarter"


def _call(name: str, x: Array, legendre: Array, fourier: Array, shape: tuple[int, ...], flipped: bool) -> Array:
    call = jax.ffi.ffi_call(f"sciml_sphere_{name}_{x.dtype}", jax.ShapeDtypeStruct((*shape, x.shape[-1]), x.dtype))
    return call(x, legendre, fourier, flipped=np.int32(flipped))


def synthesis(x: Array, legendre: Array, fourier: Array, *_: Array, geometry: Geometry, flipped: bool) -> Array:
    """Coefficients x[*modal, n] to values [*nodal, n]; `flipped` tables have their last two axes swapped."""
    return _call("synthesis", x, legendre, fourier, geometry.nodal_shape, flipped)


def gather(z: Array, legendre: Array, fourier: Array, *_: Array, geometry: Geometry, flipped: bool) -> Array:
    """The transpose of `synthesis`: values z[*nodal, n] to [*modal, n]."""
    return _call("gather", z, legendre, fourier, geometry.modal_shape, flipped)
