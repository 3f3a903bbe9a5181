"""What a run needs is checked against the model before anything long is done."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural import rollout_prepare as module
from sciml.pipelines.gcm.settings import Rollout
from sciml.pipelines.gcm.setups import simulated
from sciml.pipelines.progress import Progress

BASE = Rollout(model="neuralgcm-ens-1.4", random_weights=True, days=1, every_hours=6)


def prepared(settings):
    return module.prepare(settings, Progress(), "cpu")


def analysis(plan, path, **changes):
    """A file with analysis and sea surface on the plan's grid, at 2020-01-01."""
    levels = np.array([10.0, 100, 250, 500, 700, 850])
    found = simulated.pressure_level_fields(plan, levels)
    variables = {name: (("longitude", "latitude", "level"), x.astype(np.float32)) for name, x in found.items()}
    variables |= {name: (("longitude", "latitude"), x) for name, x in simulated.sea_surface(plan).items()}
    coords = {
        "longitude": plan.longitude,
        "latitude": plan.latitude,
        "level": levels,
        "time": np.datetime64("2020-01-01", "ns"),
    }
    ds = xr.Dataset(variables, coords)
    ds = ds.drop_vars(changes.get("without", ()))
    ds.to_netcdf(path, engine="h5netcdf")
    return replace(BASE, initial=str(path))


def test_a_file_is_all_that_is_needed(as_neural, tmp_path):
    found = prepared(analysis(as_neural.plan, tmp_path / "a.nc"))
    assert found.layout.start == np.datetime64("2020-01-01") and found.steps_per_interval == 6
    assert found.layout.pressures == as_neural.pressure_levels and "a.nc" in found.title


@pytest.mark.parametrize("missing", ["temperature", "specific_humidity", "sea_ice_cover"])
def test_what_is_missing_is_named(as_neural, tmp_path, missing):
    with pytest.raises(DataError, match=f"no {missing}"):
        prepared(analysis(as_neural.plan, tmp_path / "a.nc", without=[missing]))


def test_a_sea_surface_that_does_not_cover_the_run_is_refused_before_it(as_neural, tmp_path):
    settings = analysis(as_neural.plan, tmp_path / "a.nc")
    with pytest.raises(DataError, match="the forcing goes from 2020-01-01"):
        prepared(replace(settings, days=400))
    prepared(replace(settings, days=400, persist_sst=True))


def test_a_file_without_time_needs_one(as_neural, tmp_path):
    settings = analysis(as_neural.plan, tmp_path / "a.nc", without=["time"])
    with pytest.raises(DataError, match="no time"):
        prepared(settings)
    assert prepared(replace(settings, start="2001-02-03")).layout.start == np.datetime64("2001-02-03")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output_levels": ("500", "600")}, "no 600 hPa"),
        ({"output_levels": ("sigma",)}, "--outputs default,sigma"),
        ({"model": "neuralgcm-2.8", "members": 4}, "deterministic"),
        ({"variables": ("total_precipitation",)}, "gives none of it"),
    ],
)
def test_options_the_model_cannot_meet(as_neural, changes, words):
    with pytest.raises(SettingsError) as caught:
        prepared(replace(BASE, **changes))
    assert words in f"{caught.value} {caught.value.hint}"


def test_an_interval_of_half_steps_is_refused(stand_in):
    coarse = SimpleNamespace(**{**vars(stand_in.config), "step_seconds": 7200.0})
    with pytest.raises(SettingsError, match="steps by 2 h"):
        module.check_settings(replace(BASE, every_hours=3), coarse)


def test_increments_of_options_and_model_add_up(as_neural, tmp_path):
    from sciml.pipelines.gcm.neural.checkpoint import config as nodes

    settings = replace(analysis(as_neural.plan, tmp_path / "a.nc"), sst_increment=1.0)
    forcing = nodes.PersistenceDataForcing(nodes.Table({}), nodes.IncrementSSTForcingTransform(2.0))
    config = SimpleNamespace(**{**vars(as_neural.config), "forcing": forcing})
    sea = module._sea(settings, config, as_neural.plan, np.datetime64("2020-01-01", "s"), Progress())
    assert sea.increment == 3.0 and sea.persist


def test_ground_of_a_file(stand_in, tmp_path):
    plan = stand_in.plan
    dims = ("longitude", "latitude")
    ds = xr.Dataset(
        {"zs": (dims, np.full((64, 32), 50.0), {"units": "m"}), "lsm": (dims, np.ones((64, 32)))},
        {"longitude": plan.longitude, "latitude": plan.latitude},
    )
    ds.to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    found = module.ground(replace(BASE, initial="a.nc", surface=Path(tmp_path / "s.nc")), stand_in.config)
    np.testing.assert_allclose(found["geopotential_at_surface"], 50 * 9.80665, rtol=1e-6)
    assert (found["land_sea_mask"] == 1).all()
    ds.drop_vars("lsm").to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="no land_sea_mask"):
        module.ground(replace(BASE, initial="a.nc", surface=Path(tmp_path / "t.nc")), stand_in.config)


def test_the_error_of_a_precision_is_measured(stand_in):
    assert 1e-9 < module.transform_error(stand_in.plan) < 2e-6
