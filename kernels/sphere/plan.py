"""A plan: the tables of one transform on one platform, as a pytree whose leaves are jit arguments.

Passing tables as arguments rather than constants keeps them out of the compiler (0.02 s against 1.3 s at TL255).
Axes: [s, p, q, m', l'] modal, [g, r, j'] nodal, see geometry.py; columns follow.
"""

import warnings
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sciml.kernels.sphere import compiled
from sciml.kernels.sphere.geometry import LONGITUDE_FOLDS, Geometry
from sciml.kernels.sphere.grids import Truncation, latitudes, truncation
from sciml.kernels.sphere.tables import latitude_tables, operator_tables, transform_tables

IMPLEMENTATIONS = ("auto", "compiled", "products")
PRECISIONS = ("float32", "BF16_BF16_F32_X3", "float64", "TF32")


@dataclass(frozen=True)
class How:
    """What a compiled transform depends on beside shapes: hashable."""

    geometry: Geometry
    precision: str
    dot_butterfly: bool
    compiled: bool = False
    mesh: Mesh | None = None
    axis: str | None = None

    @property
    def modal_spec(self) -> PartitionSpec:
        """Coefficients are shared by m'."""
        return PartitionSpec(None, None, None, self.axis)

    @property
    def nodal_spec(self) -> PartitionSpec:
        """Values are shared by j'."""
        return PartitionSpec(None, None, self.axis)

    @property
    def table_specs(self) -> tuple[PartitionSpec, ...]:
        """Legendre, Fourier, butterfly, hemisphere: only what belongs to one m' is shared."""
        return self.modal_spec, PartitionSpec(), PartitionSpec(), PartitionSpec(None, None, self.axis)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tables:
    """Those of tables.FoldedTables, on the device."""

    legendre: Array
    legendre_weighted: Array
    fourier: Array
    fourier_weighted: Array
    butterfly: Array
    hemisphere: Array | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plan:
    """The transform of one truncation; made by `make_plan`.

    sin_lat, cos_lat, sec2_lat are [*nodal, 1] up to broadcasting, to multiply values [*nodal, k]. sec2_lat is 0 at
    the poles, where winds times cos(lat) vanish.
    """

    tables: Tables
    sin_lat: Array
    cos_lat: Array
    sec2_lat: Array
    operators: dict[str, Array]
    how: How = field(metadata={"static": True})

    @property
    def geometry(self) -> Geometry:
        """Layout of the folded arrays."""
        return self.how.geometry

    @property
    def truncation(self) -> Truncation:
        """Wavenumbers and grid."""
        return self.geometry.truncation

    @property
    def modal_shape(self) -> tuple[int, ...]:
        """Shape of the modal axes."""
        return self.geometry.modal_shape

    @property
    def nodal_shape(self) -> tuple[int, ...]:
        """Shape of the nodal axes."""
        return self.geometry.nodal_shape

    @property
    def dtype(self) -> jnp.dtype:
        """float32 or float64."""
        return jnp.dtype("float64" if self.how.precision == "float64" else "float32")

    @property
    def total_wavenumber(self) -> np.ndarray:
        """l over the modal axes."""
        return self.geometry.wavenumbers[0]

    @property
    def zonal_wavenumber(self) -> np.ndarray:
        """m over the modal axes."""
        return self.geometry.wavenumbers[1]

    @property
    def mask(self) -> np.ndarray:
        """True where a coefficient is live, over the modal axes."""
        return self.geometry.wavenumbers[2]

    @property
    def longitude(self) -> np.ndarray:
        """Degrees east [i] of the standard grid, from 0."""
        return 360.0 * np.arange(self.truncation.nlon) / self.truncation.nlon

    @property
    def latitude(self) -> np.ndarray:
        """Degrees north [j] of the standard grid, from south to north."""
        return np.degrees(np.arcsin(latitudes(self.geometry.grid, self.truncation.nlat)[0]))

    @property
    def modal_sharding(self) -> NamedSharding | None:
        """Where the parts of coefficients [*modal, ...] lie on a mesh; None without one."""
        return None if self.how.mesh is None else NamedSharding(self.how.mesh, self.how.modal_spec)

    @property
    def nodal_sharding(self) -> NamedSharding | None:
        """Where the parts of values [*nodal, ...] lie on a mesh; None without one."""
        return None if self.how.mesh is None else NamedSharding(self.how.mesh, self.how.nodal_spec)

    def rows(self, table: Array, ndim: int) -> Array:
        """A nodal table [*nodal, 1] with ones for further column axes, to multiply an array of `ndim` axes."""
        axes = len(self.nodal_shape)
        return table.reshape(*table.shape[:axes], *[1] * (ndim - axes))


def _geometry(t: Truncation, grid: str, fold: str, platform: str, shares: int) -> Geometry:
    """`auto`: as much as the grid allows on a CPU; on a GPU and a TPU the half turn, which keeps the dots large."""
    if fold != "auto":
        latitude, _, longitude = fold.partition("-")
        if latitude not in ("equator", "whole") or longitude not in LONGITUDE_FOLDS:
            folds = ", ".join(f"{a}-{b}" for a in ("equator", "whole") for b in LONGITUDE_FOLDS)
            raise ValueError(f"fold {fold!r}; accepted: auto, {folds}")
        return Geometry(t, grid, latitude == "equator", longitude, shares)
    longitude = "quarter" if t.nlon % 2 == 0 else "mirror"
    equator = True
    if platform != "cpu":
        longitude = "half" if t.nlon % 2 == 0 else "none"
    if platform == "tpu" and t.zonal < 192:
        # A matrix unit of 128 pads shorter sums: folding the equator at TL127 and the longitudes at TL63 saves nothing.
        equator, longitude = False, longitude if t.zonal >= 96 else "none"
    return Geometry(t, grid, equator, longitude, shares)


def _put(table: np.ndarray | None, dtype, how: How, spec: PartitionSpec) -> Array | None:
    """The table on the device, or its parts on those of the mesh."""
    if table is None:
        return None
    if how.mesh is None:
        return jnp.asarray(table, dtype)
    return jax.device_put(np.asarray(table, dtype), NamedSharding(how.mesh, spec))


def _tables(how: How, dtype) -> Tables:
    built, (legendre, fourier, butterfly, hemisphere) = transform_tables(how.geometry), how.table_specs
    specs = {"butterfly": butterfly, "hemisphere": hemisphere}
    specs |= {f"legendre{end}": legendre for end in ("", "_weighted")}
    specs |= {f"fourier{end}": fourier for end in ("", "_weighted")}
    return Tables(**{name: _put(getattr(built, name), dtype, how, spec) for name, spec in specs.items()})


def _compiled(implementation: str, geometry: Geometry, platform: str) -> bool:
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"implementation {implementation!r}; accepted: {', '.join(IMPLEMENTATIONS)}")
    can = platform == "cpu" and geometry.shares == 1 and compiled.fits(geometry)
    if implementation == "compiled" and not can:
        where = platform if geometry.shares == 1 else "several devices"
        fold = f"{'equator' if geometry.fold_latitude else 'whole'}-{geometry.longitude_fold}"
        built = "was" if compiled.built() else "was not"
        raise ValueError(
            f"implementation compiled on {where} with fold {fold}: it is for one CPU device and equator-quarter, "
            f"and {built} built at installation"
        )
    return can and implementation != "products"


def make_plan(
    name: str | Truncation,
    *,
    grid: str = "gauss",
    precision: str = "float32",
    fold: str = "auto",
    implementation: str = "auto",
    platform: str | None = None,
    mesh: Mesh | None = None,
    axis: str | None = None,
) -> Plan:
    """The plan of a truncation ("T42", "TL63", ... or a Truncation) on a grid.

    precision: float32; BF16_BF16_F32_X3 (three passes of bfloat16 on an accelerator, 7e-6 over a transform, float32 on
    a CPU); float64 (jax_enable_x64 needed); TF32 (one pass, 4e-4: only when asked for, with a warning).
    implementation: products is XLA's matrix products; compiled the code for CPUs of _folded.c, faster, for the fold
    equator-quarter on one device or with members shared by several; auto takes it where it can.
    fold: auto, or "<equator|whole>-<quarter|half|mirror|none>".
    mesh, axis: devices; those along `axis` share m' and j', the other axes of the mesh share the columns (members) where
    they divide them. Give the mesh for members alone, too: columns that are shared behind the plan's back are gathered
    by the compiled implementation.
    ValueError names what is accepted.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}; accepted: {', '.join(PRECISIONS)}")
    if precision == "float64" and not jax.config.jax_enable_x64:
        raise ValueError("precision float64 needs jax.config.update('jax_enable_x64', True) before the first array")
    if precision == "TF32":
        warnings.warn(
            "TF32 keeps 10 bits: fields are visibly noisy after a day; BF16_BF16_F32_X3 is as fast", stacklevel=2
        )
    platform = platform or jax.default_backend()
    if axis is not None and (mesh is None or axis not in mesh.axis_names):
        raise ValueError(f"axis {axis!r} of {'no mesh' if mesh is None else mesh.axis_names}")
    shares = 1 if axis is None else mesh.shape[axis]
    t = truncation(name) if isinstance(name, str) else name
    geometry = _geometry(t, grid, fold, "cpu" if platform == "cpu" else platform, shares)
    dtype = jnp.float64 if precision == "float64" else jnp.float32
    fast = _compiled(implementation, geometry, platform)
    how = How(geometry, precision, platform == "cpu", fast, mesh, axis)
    sin_lat, cos_lat, sec2_lat = (_put(a[..., None], dtype, how, how.nodal_spec) for a in latitude_tables(geometry))
    return Plan(
        tables=_tables(how, dtype),
        sin_lat=sin_lat,
        cos_lat=cos_lat,
        sec2_lat=sec2_lat,
        operators={name: _put(a, dtype, how, how.modal_spec) for name, a in operator_tables(geometry).items()},
        how=how,
    )
