"""The state file gives back the very state; a changed field moves it by the analysis of the change and nothing else."""

import jax
import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural import rollout_state
from sciml.pipelines.gcm.neural.inputs import simulated_inputs
from sciml.pipelines.gcm.neural.inputs_sea_surface import simulated_sea_surface

START = np.datetime64("2020-01-01T06", "s")
NAMES = (
    "geopotential", "temperature", "u_component_of_wind", "v_component_of_wind", "specific_cloud_ice_water_content",
    "specific_cloud_liquid_water_content", "specific_humidity",
)  # fmt: skip


@pytest.fixture
def written(stand_in, tmp_path):
    """(file, state) of two members."""
    inputs = simulated_inputs(stand_in.plan, stand_in.pressure_levels, NAMES, None).nodal(stand_in.plan)
    state = stand_in.encode(inputs, {}, jax.random.key(0), 2, np.float32(1.5))
    path = tmp_path / "state.nc"
    rollout_state.write_state(
        path, stand_in, state, START, simulated_sea_surface(stand_in.plan, START).at(START), {"a": 1}
    )
    return path, state


def changed(path, name, change):
    with xr.open_dataset(path, engine="h5netcdf") as file:
        ds = file.load()
    ds[name].values[:] = change(ds[name].values)
    ds.to_netcdf(path, engine="h5netcdf")


def test_an_untouched_file_is_the_state_bit_for_bit(written, stand_in):
    path, state = written
    found, start, edited = rollout_state.read_state(path, stand_in, jax.eval_shape(lambda: state))
    assert start == START and edited == [] and rollout_state.is_state_file(path)
    for before, after in zip(jax.tree.leaves(state), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_file_holds_physical_fields_with_units(written):
    with xr.open_dataset(written[0], engine="h5netcdf") as ds:
        assert ds.temperature.dims == ("number", "sigma", "latitude", "longitude") and ds.temperature.units == "K"
        assert ds.temperature.min() > 180 and ds.temperature.max() < 320
        np.testing.assert_allclose(ds.surface_pressure, 1e5, rtol=1e-4)
        assert ds.sea_surface_temperature.max() > 299 and ds.time.values == START


@pytest.mark.parametrize(
    ("name", "part", "change"),
    [
        ("temperature", "temperature_variation", lambda x: x + 1),
        ("specific_humidity", "tracers", lambda x: 1.1 * x),
        ("surface_pressure", "log_surface_pressure", lambda x: 1.01 * x),
        ("u_component_of_wind", "vorticity", lambda x: 2 * x),
    ],
)
def test_a_changed_field_changes_its_part_alone(written, stand_in, name, part, change):
    path, state = written
    before = rollout_state.physical(stand_in, state.state)
    changed(path, name, change)
    found, _, edited = rollout_state.read_state(path, stand_in, jax.eval_shape(lambda: state))
    after = rollout_state.physical(stand_in, found.state)
    assert edited == [name]
    wanted = change(before[name])
    assert np.linalg.norm(after[name] - wanted) < 0.02 * np.linalg.norm(wanted - before[name])
    wind = ("vorticity", "divergence")
    for other in ("vorticity", "divergence", "temperature_variation", "log_surface_pressure"):
        if other != part and not (part in wind and other in wind):
            np.testing.assert_array_equal(getattr(found.state, other), getattr(state.state, other))
    np.testing.assert_array_equal(found.sim_time, state.sim_time)
    np.testing.assert_array_equal(found.randomness, state.randomness)
    # the memory of the step before moves along, so that the network sees no jump
    one, two = (rollout_state.physical(stand_in, x.memory)[name] for x in (state, found))
    assert np.linalg.norm(two - one - (after[name] - before[name])) < 0.02 * np.linalg.norm(after[name] - before[name])


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_an_impossible_change_is_refused(written, stand_in, value):
    path, state = written

    def spoil(x):
        x[0, 3, 4] = value
        return x

    changed(path, "surface_pressure", spoil)
    with pytest.raises(DataError, match="surface_pressure"):
        rollout_state.read_state(path, stand_in, jax.eval_shape(lambda: state))


def test_another_number_of_members_is_refused(written, stand_in):
    path, state = written
    one = jax.tree.map(lambda x: x[..., :1, :] if x.ndim > 1 else x, state)
    with pytest.raises(DataError, match="members") as caught:
        rollout_state.read_state(path, stand_in, jax.eval_shape(lambda: one))
    assert "--members 2" in caught.value.hint


def test_other_files_are_no_states(tmp_path):
    (tmp_path / "a.nc").write_bytes(b"CDF\x02 something")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    for name in ("a.nc", "b.nc", "missing.nc"):
        assert not rollout_state.is_state_file(tmp_path / name)
