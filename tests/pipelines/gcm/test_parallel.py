"""The model on eight devices and in two processes: the numbers of one device, and one exchange per transform."""

import os
import socket
import subprocess
import sys

import pytest

SETUP = """
import os, re, sys
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)  # round-off is then told from anything else
if len(sys.argv) > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
from sciml.kernels.sphere import layout
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.core import _advance, make_core
from sciml.pipelines.gcm.dynamics.filters import exponential
from sciml.pipelines.gcm.dynamics.primitive_equations import primitive_equations
from sciml.pipelines.gcm.dynamics.vertical import equidistant
from sciml.pipelines.gcm.parallel import STATE, device_mesh, share, whole
from sciml.pipelines.gcm.scales import ATMOSPHERIC
from sciml.pipelines.gcm.setups.baroclinic import baroclinic_wave
from sciml.pipelines.gcm.setups.case import Where
from sciml.pipelines.gcm.setups.initial import atmosphere, orography

def model(plan, members):
    levels = equidistant(4)
    case = baroclinic_wave(Where.of(plan, levels))
    equation = primitive_equations(plan, levels, case.reference_temperature, orography(plan, case.surface_geopotential))
    dt = ATMOSPHERIC.nondim(20.0, "min")
    core = make_core(equation, dt, filters=(exponential(plan, dt),))
    state = atmosphere(plan, case)
    def ensemble(x):
        x = np.asarray(x)
        return np.stack([x * (1 + 1e-3 * n) for n in range(members)], axis=5) if members > 1 else x
    return core, jax.tree.map(ensemble, state)

def check(members, steps=4):
    alone = make_plan("T21", implementation="products", precision="float64")
    core, state = model(alone, members)
    one = jax.tree.map(np.asarray, jax.device_get(core.advance(jax.tree.map(jnp.asarray, state), steps)))
    mesh = device_mesh(members)
    plan = make_plan("T21", mesh=mesh, axis=STATE, precision="float64")
    core, state = model(plan, members)
    core, state = share(plan, core), share(plan, state)
    text = _advance.lower(core, state, steps).compile().as_text()
    many = whole(plan, core.advance(state, steps))
    for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one)):
        a, b = layout.split(plan, a), layout.split(alone, b)
        assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max(), (members, a.shape, np.abs(a - b).max(), np.abs(b).max())
    return dict(mesh.shape), {name: len(re.findall(rf"= .* {name}(?:-start)?\\(", text)) for name in
        ("all-to-all", "all-gather", "all-reduce", "reduce-scatter", "collective-permute")}
"""

EIGHT = """
# three evaluations of a synthesis and an analysis
only = {"all-to-all": 6, "all-gather": 0, "all-reduce": 0, "reduce-scatter": 0, "collective-permute": 0}
mesh, found = check(1)
assert mesh == {"member": 1, "state": 8} and found == only, (mesh, found)
mesh, found = check(8)
assert mesh == {"member": 8, "state": 1}, mesh
assert not any(found.values()), found
mesh, found = check(2)
assert mesh == {"member": 2, "state": 4} and found == only, (mesh, found)
"""

TWO = """
assert jax.process_count() == 2 and len(jax.devices()) == 4
mesh, found = check(1, 2)
assert mesh == {"member": 1, "state": 4}
mesh, found = check(2, 2)
assert mesh == {"member": 2, "state": 2}
"""


def start(script, devices, *arguments):
    environment = {
        **os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", SETUP + script, *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_on_eight_devices():
    process = start(EIGHT, 8)
    errors = process.communicate(timeout=500)[1]
    assert process.returncode == 0, errors[-3000:]


@pytest.mark.slow
def test_in_two_processes():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = [start(TWO, 2, address, str(n)) for n in range(2)]
    try:
        errors = [process.communicate(timeout=500)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(e[-2000:] for e in errors)
