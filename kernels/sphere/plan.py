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
from jax.sharding import Mesh

from sciml.kernels.sphere import reference
from sciml.kernels.sphere.geometry import LONGITUDE_FOLDS, Geometry
from sciml.kernels.sphere.grids import Truncation, latitudes, truncation

PRECISIONS = ("float32", "BF16_BF16_F32_X3", "float64", "TF32")


@dataclass(frozen=True)
class How:
    """What a compiled transform depends on beside shapes: hashable."""

    geometry: Geometry
    precision: str
    dot_butterfly: bool
    mesh: Mesh | None = None
    axis: str | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tables:
    """legendre [s, p, q, m', j', l'], fourier [s, p, q, r, m'] or [p, q, r, (s m')] and the butterfly [g, b].

    The `_weighted` ones carry the quadrature weights. hemisphere [h, p, m'] only where the half turn is not folded.
    """

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
    longitude = "quarter" if t.nlon % 4 == 0 else "half" if t.nlon % 2 == 0 else "mirror"
    equator = True
    if platform != "cpu":
        longitude = "half" if t.nlon % 2 == 0 else "none"
    if platform == "tpu" and t.zonal < 192:
        # A matrix unit of 128 pads shorter sums: folding the equator at TL127 and the longitudes at TL63 saves nothing.
        equator, longitude = False, longitude if t.zonal >= 96 else "none"
    return Geometry(t, grid, equator, longitude, shares)


def _legendre(geometry: Geometry) -> np.ndarray:
    """P [s, p, q, m', j', l'] float64, 0 at dead entries."""
    t, (_, p, q, m, n) = geometry.truncation, geometry.modal_shape
    table = reference.legendre(t.zonal, t.total, geometry.sin_lat_weights[0])
    table = np.pad(table, ((0, q * m - t.zonal), (0, 0), (0, p * n - t.total)))
    table = table.reshape(m, q, -1, n, p).transpose(4, 1, 0, 2, 3)
    live = geometry.wavenumbers[2]
    return np.where(live[:, :, :, :, None, :], table[None], 0.0)


def _fourier(geometry: Geometry) -> np.ndarray:
    """F [s, p, q, r, m'] float64, 0 at dead entries."""
    t, (s, p, q, m, _) = geometry.truncation, geometry.modal_shape
    longitude = 2 * np.pi * np.arange(geometry.rows) / t.nlon
    table = np.pad(reference.fourier(t.zonal, longitude), ((0, 0), (0, 0), (0, q * m - t.zonal)))
    table[1, :, 0] = 0.0
    table = table.reshape(s, geometry.rows, m, q).transpose(0, 3, 1, 2)[:, None]
    return np.broadcast_to(table, (s, p, q, geometry.rows, m)).copy()


def _tables(geometry: Geometry, dtype) -> Tables:
    legendre, fourier = _legendre(geometry), _fourier(geometry)
    weighted = legendre * geometry.sin_lat_weights[1][:, None]
    fourier_weighted = fourier * geometry.longitude_weights[:, None]
    if geometry.mirrors == 1:  # cosine and sine are one sum
        fourier, fourier_weighted = (
            f.transpose(1, 2, 3, 0, 4).reshape(*f.shape[1:4], -1) for f in (fourier, fourier_weighted)
        )
    hemisphere = geometry.hemisphere_signs
    return Tables(
        *(jnp.asarray(a, dtype) for a in (legendre, weighted, fourier, fourier_weighted, geometry.signs)),
        None if hemisphere is None else jnp.asarray(hemisphere, dtype),
    )


def operator_tables(geometry: Geometry) -> dict[str, np.ndarray]:
    """Float64 tables [*modal, 1] of the spectral operators, see operators.py; all zero at dead entries."""
    total, zonal, live = geometry.wavenumbers
    l, m = total.astype(np.float64), zonal.astype(np.float64)
    one = np.where(live, 1.0, 0.0)
    a = one * np.sqrt(np.maximum(l**2 - m**2, 0) / (4 * l**2 - 1) * (l > 0))
    b = one * np.sqrt(np.maximum((l + 1) ** 2 - m**2, 0) / (4 * (l + 1) ** 2 - 1))
    b = np.where(total < geometry.truncation.total - 1, b, 0.0)
    sign = np.where(np.arange(2) == 0, 1.0, -1.0).reshape(2, 1, 1, 1, 1)
    inverse = -one / np.where(total > 0, l * (l + 1), 1.0) * (total > 0)
    tables = {
        "zonal": sign * m * one,
        "gradient_down": (l + 1) * a,
        "gradient_up": -l * b,
        "divergence_down": (l - 1) * a,
        "divergence_up": -(l + 2) * b,
        "laplacian": -l * (l + 1) * one,
        "inverse_laplacian": inverse,
    }
    return {name: table[..., None] for name, table in tables.items()}


def make_plan(
    name: str | Truncation,
    *,
    grid: str = "gauss",
    precision: str = "float32",
    fold: str = "auto",
    platform: str | None = None,
    mesh: Mesh | None = None,
    axis: str | None = None,
) -> Plan:
    """The plan of a truncation ("T42", "TL63", ... or a Truncation) on a grid.

    precision: float32; BF16_BF16_F32_X3 (three passes of bfloat16 on an accelerator, 7e-6 over a transform, float32 on
    a CPU); float64 (jax_enable_x64 needed); TF32 (one pass, 4e-4: only when asked for, with a warning).
    fold: auto, or "<equator|whole>-<quarter|half|mirror|none>". mesh, axis: devices that share m' and j'.
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
    if mesh is not None:
        axis = axis or mesh.axis_names[-1]
    shares = 1 if mesh is None else mesh.shape[axis]
    t = truncation(name) if isinstance(name, str) else name
    geometry = _geometry(t, grid, fold, "cpu" if platform == "cpu" else platform, shares)
    dtype = jnp.float64 if precision == "float64" else jnp.float32
    sin_lat = geometry.sin_lat_weights[0]
    southern = np.where(geometry.copies[:, 0] == 1, -1.0, 1.0).reshape(-1, 1, 1)
    cos2 = (1 - sin_lat) * (1 + sin_lat)
    sec2 = np.where(cos2 > 1e-12, 1 / np.where(cos2 > 1e-12, cos2, 1.0), 0.0)
    return Plan(
        tables=_tables(geometry, dtype),
        sin_lat=jnp.asarray((southern * sin_lat)[..., None], dtype),
        cos_lat=jnp.asarray(np.sqrt(cos2)[None, None, :, None], dtype),
        sec2_lat=jnp.asarray(sec2[None, None, :, None], dtype),
        operators={name: jnp.asarray(table, dtype) for name, table in operator_tables(geometry).items()},
        how=How(geometry, precision, platform == "cpu", mesh, axis),
    )
