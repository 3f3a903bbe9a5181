"""The transform shared by eight devices: the numbers of one, one exchange per transform, none for members."""

import os
import subprocess
import sys

import pytest

SETUP = """
import re
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from sciml.kernels.sphere import layout, operators, transform
from sciml.kernels.sphere.plan import make_plan

assert len(jax.devices()) == 8

def coefficients(plan, columns):
    l, m, live = plan.geometry.wavenumbers
    s = np.indices(live.shape)[0]
    value = np.where(live, np.sin(1.0 + l + 7 * m + 3 * s), 0.0)[..., None]
    return jnp.asarray(value * (1 + np.arange(columns)), plan.dtype)

def exchanges(function, *arguments):
    text = jax.jit(function).lower(*arguments).compile().as_text()
    names = ("all-to-all", "all-gather", "all-reduce", "reduce-scatter", "collective-permute")
    return {name: len(re.findall(rf"= .* {name}(?:-start)?\\(", text)) for name in names}
"""

SHARED_STATE = """
single = make_plan("T42", fold=FOLD)
mesh = Mesh(np.array(jax.devices()), ("state",))
plan = make_plan("T42", mesh=mesh, axis="state", fold=FOLD)
x = coefficients(plan, 5)
x = jax.device_put(x, plan.modal_sharding)
z = jax.jit(transform.synthesis)(plan, x)
assert z.sharding.is_equivalent_to(plan.nodal_sharding, z.ndim), z.sharding
y = jax.jit(transform.analysis)(plan, z)
assert y.sharding.is_equivalent_to(plan.modal_sharding, y.ndim), y.sharding
one = transform.synthesis(single, coefficients(single, 5))
there, here = layout.to_standard(plan, np.asarray(z)), layout.to_standard(single, np.asarray(one))
assert abs(there - here).max() <= 2e-6 * abs(here).max()
np.testing.assert_allclose(y, x, atol=2e-5)
only = {"all-to-all": 1, "all-gather": 0, "all-reduce": 0, "reduce-scatter": 0, "collective-permute": 0}
assert exchanges(transform.synthesis, plan, x) == only, exchanges(transform.synthesis, plan, x)
assert exchanges(transform.analysis, plan, z) == only, exchanges(transform.analysis, plan, z)
local = dict.fromkeys(only, 0)
assert exchanges(operators.cos_lat_wind, plan, x, x) == local
assert exchanges(lambda z: plan.rows(plan.sec2_lat, 4) * z, z) == local

def loss(plan, x):
    return (transform.synthesis(plan, x) ** 2).sum()

gradient = jax.jit(jax.grad(loss, 1))(plan, x)
wanted = jax.grad(loss, 1)(single, coefficients(single, 5))
np.testing.assert_allclose(
    layout.split(plan, np.asarray(gradient)), layout.split(single, np.asarray(wanted)), rtol=1e-4, atol=1e-2
)
members = jax.vmap(lambda x: transform.synthesis(plan, x))(jnp.stack([x, 2 * x]))
np.testing.assert_allclose(members[1], 2 * z, rtol=1e-5, atol=1e-3)
"""

SHARED_MEMBERS = """
mesh = Mesh(np.array(jax.devices()), ("member",))
single, plan = make_plan("T21"), make_plan("T21", mesh=mesh, implementation=IMPLEMENTATION)
x = jnp.stack([coefficients(plan, 3) * (1 + n) for n in range(8)], axis=5)
shared = jax.device_put(x, NamedSharding(mesh, P(None, None, None, None, None, "member")))
def there_and_back(plan, x):
    return transform.analysis(plan, jnp.tanh(transform.synthesis(plan, x)))
found = exchanges(there_and_back, plan, shared)
assert not any(found.values()), found
np.testing.assert_allclose(jax.jit(there_and_back)(plan, shared), jax.jit(there_and_back)(single, x), atol=1e-5)
"""

BOTH = """
mesh = Mesh(np.array(jax.devices()).reshape(2, 4), ("member", "state"))
single, plan = make_plan("T21"), make_plan("T21", mesh=mesh, axis="state")
x = jnp.stack([coefficients(plan, 3) * (1 + n) for n in range(2)], axis=5)
shared = jax.device_put(x, NamedSharding(mesh, P(None, None, None, "state", None, "member")))
found = exchanges(transform.synthesis, plan, shared)
assert found == {"all-to-all": 1, "all-gather": 0, "all-reduce": 0, "reduce-scatter": 0, "collective-permute": 0}, found
z = layout.to_standard(plan, np.asarray(jax.jit(transform.synthesis)(plan, shared)))
one = layout.to_standard(single, np.asarray(transform.synthesis(single, coefficients(single, 3))))
np.testing.assert_allclose(z[:, :, 1], 2 * one, rtol=1e-4, atol=1e-3)
"""


@pytest.mark.parametrize(
    "script",
    [
        SHARED_STATE.replace("FOLD", '"auto"'),
        SHARED_STATE.replace("FOLD", '"equator-mirror"'),
        SHARED_MEMBERS.replace("IMPLEMENTATION", '"auto"'),
        SHARED_MEMBERS.replace("IMPLEMENTATION", '"products"'),
        BOTH,
    ],
    ids=["state", "state without half turn", "members", "members by products", "members and state"],
)
def test_on_eight_devices(script):
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SETUP + script], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
