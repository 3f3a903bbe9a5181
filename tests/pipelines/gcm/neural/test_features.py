"""Features at the grid points: closed forms of gradients, the original's numbers, rows and blocks of rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.kernels.sphere import layout, transform
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.dynamics.state import SPECIFIC_HUMIDITY
from sciml.pipelines.gcm.neural import features as f

LEVELS = 3


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


@pytest.fixture
def state(plan, states):
    made, _ = states.random(plan, LEVELS, seed=1, members=(1,))
    return made


def on_map(plan, x):
    return np.asarray(layout.to_standard(plan, x))[..., 0, :]


def every(name, memory=False):
    return [f.Spectral(name, kind, memory) for kind in ("", *f.DERIVATIVES)]


def test_derivatives_of_closed_forms(plan):
    lon, lat = (np.radians(x) for x in np.meshgrid(plan.longitude, plan.latitude, indexing="ij"))
    field = np.sin(lat) + 0.5 * np.cos(lat) * np.cos(lon)
    modal = transform.analysis(plan, jnp.asarray(layout.from_standard(plan, field)[..., None, None], jnp.float32))
    found = f.spectral_features(plan, every("x"), {"x": f.Modal(modal)})
    expected = {
        "x": field,
        "x_dlon": -0.5 * np.sin(lon),
        "x_dlat": np.cos(lat) - 0.5 * np.sin(lat) * np.cos(lon),
        "x_del2": -2 * field,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(on_map(plan, found[name])[..., 0], value, atol=1e-4)


def test_solid_rotation_blows_with_the_cosine_of_latitude(plan, states):
    state, _ = states.random(plan, 1, members=(1,))
    sine = jnp.broadcast_to(plan.sin_lat, (*plan.nodal_shape, 1))[..., None]
    zero = jnp.zeros_like(state.vorticity)
    rotating = jax.tree.map(lambda x: x, state).__class__(
        transform.analysis(plan, 2 * sine), zero, zero, zero, state.tracers
    )
    found = f.spectral_features(plan, [f.Spectral("u"), f.Spectral("v")], f.state_fields(plan, rotating))
    np.testing.assert_allclose(
        found["u"][..., 0, 0], np.broadcast_to(plan.cos_lat, (*plan.nodal_shape, 1))[..., 0], atol=1e-5
    )
    np.testing.assert_allclose(found["v"], 0, atol=1e-6)


def test_names():
    assert f.Spectral("u", "dlat").name == "u_dlat" and f.Spectral("u", "", True).name == "memory_u"


def test_the_largest_wavenumber_is_kept_in_fields_and_cut_in_gradients(plan):
    largest = plan.total_wavenumber == plan.truncation.total - 1
    modal = jnp.asarray(
        np.where(largest & plan.mask & (plan.zonal_wavenumber > 0), 1.0, 0.0)[..., None, None], jnp.float32
    )
    found = f.spectral_features(plan, every("x"), {"x": f.Modal(modal)})
    assert float(jnp.abs(found["x"]).max()) > 0.1 and float(jnp.abs(found["x_del2"]).max()) > 10
    assert float(jnp.abs(found["x_dlon"]).max()) == 0


def test_fixed_fields_and_their_gradients(plan):
    lat = np.radians(plan.latitude)[None] + 0 * plan.longitude[:, None]
    field = jnp.asarray(layout.from_standard(plan, np.sin(lat))[..., None, None], jnp.float32)
    found = f.fixed_fields(plan, {"height": field, "mask": field}, ("height",))
    assert sorted(found) == [
        "cos_latitude",
        "height",
        "height_del2",
        "height_dlat",
        "height_dlon",
        "mask",
        "sin_latitude",
    ]
    np.testing.assert_allclose(on_map(plan, found["height_dlat"])[..., 0], np.cos(lat), atol=2e-5)
    np.testing.assert_allclose(on_map(plan, found["sin_latitude"])[..., 0], np.sin(lat), atol=1e-6)


def test_positional_values_lie_on_their_grid_points(plan):
    values = np.random.default_rng(0).normal(size=(2, plan.truncation.nlon, plan.truncation.nlat)).astype(np.float32)
    found = on_map(plan, f.positional(plan, jnp.asarray(values), 0.5))
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), 0.5 * values, rtol=1e-6)


def test_rows_and_back(plan):
    rng = np.random.default_rng(0)
    one = jnp.asarray(rng.normal(size=(*plan.nodal_shape, 1, 2)))
    two = jnp.asarray(rng.normal(size=(*plan.nodal_shape, 3, 4)))
    back = f.from_rows(plan, f.to_rows(plan, {"one": one, "two": two}))
    np.testing.assert_array_equal(back["two"], two)
    np.testing.assert_array_equal(back["one"], jnp.broadcast_to(one, (*plan.nodal_shape, 3, 2)))


def test_blocks_of_rows_give_what_all_rows_give(plan, monkeypatch):
    rows = {"a": {"x": jnp.asarray(np.random.default_rng(0).normal(size=(2048, 3)), jnp.float32)}}
    function = lambda given: {"y": jnp.cumsum(given["a"]["x"], -1)}  # noqa: E731
    np.testing.assert_array_equal(f.map_rows(plan, function, rows)["y"], function(rows)["y"])
    monkeypatch.setattr(f, "BLOCK_ROWS", 100)
    np.testing.assert_array_equal(f.map_rows(plan, function, rows)["y"], function(rows)["y"])


def test_against_the_original(plan, state, peer):
    """Fields and gradients of one random state, the wind's and the previous state's included."""
    pytest.importorskip("neuralgcm")
    import haiku as hk
    from neuralgcm.legacy import features, transforms

    sphere, sigma = peer.spherical_harmonic, peer.sigma_coordinates
    coords = peer.coordinate_systems.CoordinateSystem(sphere.Grid.T21(), sigma.SigmaCoordinates.equidistant(LEVELS))
    names = ("vorticity", "divergence", "temperature_variation", "log_surface_pressure")
    inputs = {name: peer.to_rows(plan, getattr(state, name)[..., 0, :]) for name in names}
    inputs["tracers"] = {name: peer.to_rows(plan, x[..., 0, :]) for name, x in state.tracers.items()}

    def run(inputs):
        kinds = {"coords": coords, "dt": 0.1, "physics_specs": None, "aux_features": {}}
        given = inputs | {"sim_time": 0.0}
        now = features.VelocityAndPrognostics(**kinds, compute_gradients_module=transforms.ToModalDiffOperators)
        before = features.MemoryVelocityAndValues(**kinds)
        return now(given) | before(given, given)

    expected = jax.jit(hk.without_apply_rng(hk.transform(run)).apply)({}, inputs)
    bases = ("u", "v", *names, *state.tracers)
    wanted = [*(one for name in bases for one in every(name)), *(f.Spectral(name, "", True) for name in bases)]

    @jax.jit
    def ours(plan, state):
        fields = f.state_fields(plan, state)
        return f.spectral_features(plan, wanted, fields, fields)

    found = ours(plan, state)
    assert sorted(found) == sorted(expected) and f"{SPECIFIC_HUMIDITY}_del2" in found
    for name, x in expected.items():
        there = np.moveaxis(np.asarray(x, np.float64), 0, -1)
        error = np.linalg.norm(on_map(plan, found[name]) - there) / np.linalg.norm(there)
        # derivatives lose a digit to the differences between the two transforms
        assert error <= (3e-6 if "_d" in name else 1e-6), (name, error)
