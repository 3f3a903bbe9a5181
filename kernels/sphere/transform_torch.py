"""The transform for PyTorch: the same folded tables, the same three matrix products, autograd through both.

    y[s,p,q,m',j',n] = P x,    f[s,p,q,r,j',n] = F y,    z[g,r,j',n] = H f      (see transform.py, geometry.py)

Every product is linear and its tables are constants, so autograd's own rules give the exact transpose.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sciml.kernels.sphere.geometry import Geometry
from sciml.kernels.sphere.grids import Truncation, truncation
from sciml.kernels.sphere.tables import transform_tables

_DTYPES = {torch.float32, torch.float64}


@dataclass(frozen=True)
class TorchPlan:
    """Tables of one transform on one device; made by `make_plan`. Leading axes as in plan.Plan, columns last."""

    geometry: Geometry
    legendre: Tensor
    legendre_weighted: Tensor
    fourier: Tensor
    fourier_weighted: Tensor
    butterfly: Tensor
    points: Tensor
    representatives: Tensor

    @property
    def modal_shape(self) -> tuple[int, ...]:
        """Shape of the modal axes."""
        return self.geometry.modal_shape

    @property
    def nodal_shape(self) -> tuple[int, ...]:
        """Shape of the nodal axes."""
        return self.geometry.nodal_shape

    @property
    def mask(self) -> np.ndarray:
        """True where a coefficient is live, over the modal axes."""
        return self.geometry.wavenumbers[2]


def make_plan(
    name: str | Truncation,
    *,
    grid: str = "gauss",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> TorchPlan:
    """The plan of a truncation ("T42", "TL63", ... or a Truncation) on a grid; float32 or float64, ValueError otherwise.

    On CUDA in float32 the products obey torch's TF32 switch, which is off unless it was turned on.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"dtype {dtype}; accepted: torch.float32, torch.float64")
    t = truncation(name) if isinstance(name, str) else name
    # Other circles are left whole but for the mirror image: one order of axes, three products, whatever the grid.
    folds = (True, "quarter") if t.nlon % 4 == 0 else (False, "mirror")
    geometry = Geometry(t, grid, *folds)
    tables = transform_tables(geometry)
    lon, lat = geometry.points
    return TorchPlan(
        geometry,
        *(
            torch.as_tensor(np.ascontiguousarray(a), dtype=dtype, device=device)
            for a in (
                tables.legendre,
                tables.legendre_weighted,
                tables.fourier,
                tables.fourier_weighted,
                tables.butterfly,
            )
        ),
        points=torch.as_tensor(lon * t.nlat + lat, device=device),
        representatives=torch.as_tensor(geometry.representatives, device=device),
    )


def _checked(x: Tensor, shape: tuple[int, ...], dtype: torch.dtype, what: str) -> Tensor:
    if tuple(x.shape[: len(shape)]) != shape:
        raise ValueError(f"{what} has shape {tuple(x.shape)}; its leading axes must be {shape}, columns after them")
    return x.to(dtype).reshape(*shape, -1)


def synthesis(plan: TorchPlan, x: Tensor) -> Tensor:
    """Coefficients x[*modal, ...] to values [*nodal, ...]."""
    (s, p, q, m, _), (g, r, j) = plan.modal_shape, plan.nodal_shape
    flat = _checked(x, plan.modal_shape, plan.legendre.dtype, "modal array")
    y = torch.matmul(plan.legendre, flat)
    f = torch.matmul(plan.fourier, y.reshape(s, p, q, m, -1))
    z = torch.matmul(plan.butterfly, f.reshape(plan.butterfly.shape[1], -1))
    return z.reshape(g, r, j, *x.shape[5:])


def analysis(plan: TorchPlan, z: Tensor) -> Tensor:
    """Values z[*nodal, ...] to coefficients [*modal, ...]; exactly 0 at dead coefficients."""
    (s, p, q, m, l), (g, r, j) = plan.modal_shape, plan.nodal_shape
    flat = _checked(z, plan.nodal_shape, plan.legendre.dtype, "nodal array")
    f = torch.matmul(plan.butterfly.T, flat.reshape(g, -1))
    y = torch.matmul(plan.fourier_weighted, f.reshape(s, p, q, r, -1))
    x = torch.matmul(plan.legendre_weighted, y.reshape(s, p, q, m, j, -1))
    return x.reshape(s, p, q, m, l, *z.shape[3:])


def to_standard(plan: TorchPlan, z: Tensor) -> Tensor:
    """Values z[*nodal, ...] as [longitude, latitude, ...], latitudes from south to north."""
    return (
        _checked(z, plan.nodal_shape, z.dtype, "nodal array")
        .flatten(0, 2)[plan.representatives]
        .reshape(*plan.representatives.shape, *z.shape[3:])
    )


def from_standard(plan: TorchPlan, f: Tensor) -> Tensor:
    """Values f[longitude, latitude, ...] as [*nodal, ...]; ValueError for another grid."""
    grid = plan.geometry.truncation.nlon, plan.geometry.truncation.nlat
    if tuple(f.shape[:2]) != grid:
        raise ValueError(
            f"field of shape {tuple(f.shape)}; the grid has {grid[0]} longitudes and {grid[1]} latitudes first"
        )
    return f.flatten(0, 1)[plan.points]
