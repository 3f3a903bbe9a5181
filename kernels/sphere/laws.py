"""What a transform must keep, measured: each law as a number with its limit.

Against the float64 reference, back and forth, as transposes of each other, operators on fields with closed forms, and
no transposition of memory in the compiled program. Coefficients are x[cos/sin, m, l, column].
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import layout, operators, reference, transform
from sciml.kernels.sphere.contestants import coefficients
from sciml.kernels.sphere.grids import latitudes, truncation
from sciml.kernels.sphere.plan import Plan, make_plan

CASES = ("T21", "T42", "TL63", "T85", "TL127")
LIMITS = {"float32": 5e-7, "float64": 1e-12}
COLUMNS = 3


def _relative(a: Any, b: Any) -> float:
    return float(np.linalg.norm(np.asarray(a, np.float64) - b) / np.linalg.norm(b))


def _errors(plan: Plan) -> dict[str, float]:
    """Relative errors of both directions against the reference, and of the round trip."""
    t = plan.truncation
    sin_lat, weights = latitudes("gauss", t.nlat)
    x = coefficients(t, COLUMNS)
    f = np.random.default_rng(1).normal(size=(t.nlon, t.nlat, COLUMNS))
    mine = jnp.asarray(layout.join(plan, x), plan.dtype)
    z = transform.synthesis(plan, mine)
    y = transform.analysis(plan, jnp.asarray(layout.from_standard(plan, f), plan.dtype))
    inside = np.arange(t.total) >= np.arange(t.zonal)[:, None]
    exact = reference.analysis(f, t.zonal, t.total, sin_lat, weights) * inside[None, ..., None]
    # on the TL grids the largest total wavenumber has the Gauss latitudes for zeros, and cannot come back
    back = layout.split(plan, np.asarray(transform.analysis(plan, z)))[:, :, : t.zonal]
    return {
        "synthesis": _relative(layout.to_standard(plan, np.asarray(z)), reference.synthesis(x, t.nlon, sin_lat)),
        "analysis": _relative(layout.split(plan, np.asarray(y)), exact),
        "round trip": _relative(back, x[:, :, : t.zonal]),
    }


def _adjoint(plan: Plan) -> float:
    """Gap between <S x, z> and <x, S' z>, relative to the sizes of the two factors."""
    rng = np.random.default_rng(2)
    x, z = (jnp.asarray(rng.normal(size=(*s, 2)), plan.dtype) for s in (plan.modal_shape, plan.nodal_shape))
    x = x * jnp.asarray(plan.mask[..., None], plan.dtype)
    values = transform.synthesis(plan, x)
    gap = abs(jnp.vdot(values, z) - jnp.vdot(x, transform.adjoint(plan, z)))
    return float(gap / (jnp.linalg.norm(values) * jnp.linalg.norm(z)))


def _rotation(plan: Plan) -> float:
    """Solid-body rotation u = cos(lat): largest error of its vorticity, of its divergence and of the wind back."""
    still = jnp.zeros((*plan.nodal_shape, 1), plan.dtype)
    zeta, delta = operators.vorticity_divergence(plan, plan.cos_lat + still, still)
    u, v = (transform.synthesis(plan, x) for x in operators.cos_lat_wind(plan, zeta, delta))
    errors = transform.synthesis(plan, zeta) - 2 * plan.sin_lat, delta, u - plan.cos_lat**2, v
    return max(float(jnp.abs(x).max()) for x in errors)


def _harmonic(plan: Plan) -> float:
    """Operators on f = cos(lat)^2 sin(lat) cos(2 lon), a harmonic of l = 3: largest relative error."""
    s, lon = latitudes("gauss", plan.truncation.nlat)[0], np.radians(plan.longitude)[:, None]
    c2 = 1 - s**2

    def modal(values: np.ndarray) -> jax.Array:
        return transform.analysis(plan, jnp.asarray(layout.from_standard(plan, values[..., None]), plan.dtype))

    x = modal(c2 * s * np.cos(2 * lon))
    pairs = {
        operators.d_dlon: -2 * c2 * s * np.sin(2 * lon),
        operators.cos_lat_d_dlat: c2 * (c2 - 2 * s**2) * np.cos(2 * lon),
        operators.laplacian: -12 * c2 * s * np.cos(2 * lon),
    }
    found = {f: layout.to_standard(plan, np.asarray(transform.synthesis(plan, f(plan, x))))[..., 0] for f in pairs}
    return max(_relative(found[f], exact) for f, exact in pairs.items())


def _transposes(plan: Plan) -> int:
    compiled = jax.jit(transform.synthesis).lower(plan, jnp.zeros((*plan.modal_shape, 32), plan.dtype)).compile()
    return len(re.findall(r"= \S+ transpose\(", compiled.as_text()))


def measure(cases: Iterable[str] = CASES) -> Iterator[dict[str, Any]]:
    """Rows law, case, what, value, unit, least, most, kept of every case, in both precisions."""
    for name in cases:
        for precision, most in LIMITS.items():
            with jax.enable_x64(precision == "float64"):
                plan = make_plan(truncation(name), precision=precision)
                # one rounding at the largest wavenumber l weighs l times more after a derivative, l^2 after two
                l = plan.truncation.zonal
                loose = {"solid-body rotation": l * most, "operators on a harmonic": l**2 * most}
                found = {
                    **{f"error of the {what}": value for what, value in _errors(plan).items()},
                    "adjointness": _adjoint(plan), "solid-body rotation": _rotation(plan),
                    "operators on a harmonic": _harmonic(plan),
                }  # fmt: skip
                rows = [(what, value, loose.get(what, most)) for what, value in found.items()]
                rows.append(("transposes in the compiled synthesis", _transposes(plan), 0))
            for what, value, bound in rows:
                yield {
                    "law": "transform", "case": f"{name} {precision}", "what": what, "value": value, "unit": "1",
                    "least": 0, "most": bound, "kept": bool(value <= bound),
                }  # fmt: skip
