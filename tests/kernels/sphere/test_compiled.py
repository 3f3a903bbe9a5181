"""The compiled transform against the matrix products; skipped where it was not built."""

import os
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import compiled, transform
from sciml.kernels.sphere.geometry import Geometry
from sciml.kernels.sphere.grids import custom, truncation
from sciml.kernels.sphere.plan import make_plan

needs_code = pytest.mark.skipif(not compiled.built(), reason="not built at installation")


def drawn(plan, columns):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(*plan.modal_shape, columns)) * plan.mask[..., None]
    return jnp.asarray(x, plan.dtype), jnp.asarray(rng.normal(size=(*plan.nodal_shape, columns)), plan.dtype)


def relative(a, b):
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


@needs_code
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "columns"),
    [
        *(("T21", columns) for columns in (2, 9, 33, 200)),
        *((custom(n), columns) for n in (11, 13) for columns in (9, 200)),
        # T21 has them in the quick suite
        *(pytest.param(custom(n), columns, marks=pytest.mark.slow) for n in (11, 13) for columns in (2, 33)),
    ],
    ids=lambda t: getattr(t, "name", t),
)
def test_equal_to_the_products(name, columns, precision):
    t = truncation(name) if isinstance(name, str) else name
    if t.nlon % 2:
        t = type(t)("odd rows", t.zonal, t.total, t.nlon + 1, 2 * (t.nlat // 2) + 1)  # an equator row
    with jax.enable_x64(precision == "float64"):
        ours, plain = (make_plan(t, precision=precision, implementation=a) for a in ("compiled", "products"))
        assert ours.how.compiled and not plain.how.compiled
        x, z = drawn(ours, columns)
        limit = 5e-7 if precision == "float32" else 1e-14
        for function, a in ((transform.synthesis, x), (transform.analysis, z), (transform.adjoint, z)):
            assert relative(function(ours, a), function(plain, a)) < limit, function.__name__
        loss = lambda plan: lambda z: (jnp.tanh(transform.analysis(plan, z)) ** 2).sum()  # noqa: E731
        assert relative(jax.grad(loss(ours))(z), jax.grad(loss(plain))(z)) < 10 * limit
        assert not np.asarray(transform.analysis(ours, z))[~ours.mask].any()


@needs_code
def test_entries_below_the_diagonal_are_never_read():
    plan = make_plan("T21", implementation="compiled")
    x, _ = drawn(plan, 3)
    below = plan.total_wavenumber < plan.zonal_wavenumber
    poisoned = jnp.where(below[..., None], jnp.nan, x)
    np.testing.assert_array_equal(transform.synthesis(plan, poisoned), transform.synthesis(plan, x))


@needs_code
def test_an_unknown_value_stays_in_its_column():
    plan = make_plan("T21", implementation="compiled")
    x, _ = drawn(plan, 40)
    z = transform.synthesis(plan, x.at[..., 17].set(jnp.nan))
    assert jnp.isnan(z[..., 17]).all() and jnp.isfinite(jnp.delete(z, 17, -1)).all()


@needs_code
def test_one_answer_for_any_number_of_threads():
    """Columns are shared out, sums are not: the same bits from one thread as from all."""
    code = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}) if sys.argv[1] == 'one' else None\n"
        "import hashlib, jax.numpy as jnp, numpy as np\n"
        "from sciml.kernels.sphere import transform\nfrom sciml.kernels.sphere.plan import make_plan\n"
        "p = make_plan('TL63', implementation='compiled')\n"
        "z = transform.synthesis(p, jnp.asarray(np.random.default_rng(0).normal(size=(*p.modal_shape, 300)), jnp.float32))\n"
        "print(hashlib.sha1(np.asarray(z).tobytes()).hexdigest())\n"
    )
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no way to pin a process here")
    found = {
        subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=True).stdout
        for how in ("one", "all")
    }
    assert len(found) == 1


@needs_code
def test_several_callers_at_once():
    plan = make_plan("T21", implementation="compiled")
    x, _ = drawn(plan, 64)
    there_and_back = jax.jit(lambda x: transform.analysis(plan, transform.synthesis(plan, x)))
    wanted, found = there_and_back(x), []
    threads = [
        threading.Thread(target=lambda: found.extend(np.array_equal(there_and_back(x), wanted) for _ in range(5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


def test_what_it_is_not_for():
    with pytest.raises(ValueError, match="fold whole-none: it is for one CPU device"):
        make_plan("T21", implementation="compiled", fold="whole-none")
    with pytest.raises(ValueError, match="on gpu"):
        make_plan("T21", implementation="compiled", platform="gpu")
    with pytest.raises(ValueError, match="accepted: auto, compiled, products"):
        make_plan("T21", implementation="fast")
    assert not compiled.fits(Geometry(truncation("T21"), longitude_fold="half"))


def test_products_where_nothing_was_built(monkeypatch):
    monkeypatch.setattr(compiled, "_folded", None)
    plan = make_plan("T21")
    assert not plan.how.compiled
    assert jnp.isfinite(transform.synthesis(plan, drawn(plan, 2)[0])).all()


@needs_code
def test_a_single_column_takes_the_products():
    plan = make_plan("T21", implementation="compiled")
    for columns, target in ((1, "dot"), (2, "sciml_sphere_synthesis")):
        program = jax.jit(transform.synthesis).lower(plan, drawn(plan, columns)[0]).compile().as_text()
        assert target in program and ("sciml_sphere" in program) == (columns > 1)
