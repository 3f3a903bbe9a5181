"""`sciml gcm rollout` of a NeuralGCM model as a whole command, on the public mini checkpoint and ERA5 snapshot."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

DATA = Path(__file__).resolve().parents[2].parent / "shared/data/gcm"
MINI, ERA5 = DATA / "tl63_stochastic_mini.pkl", DATA / "era5_tl31_19590102T00.nc"
public = pytest.mark.skipif(
    not (MINI.exists() and ERA5.exists()), reason="needs the public mini checkpoint and snapshot"
)
SIX_HOURS = ("--checkpoint", MINI, "--initial", ERA5, "--days", "0.25")


def sciml(*arguments, cwd, timeout=900):
    line = [sys.executable, "-m", "sciml.cli", "gcm", "rollout", *map(str, arguments)]
    return subprocess.run(
        line, cwd=cwd, capture_output=True, text=True, timeout=timeout, env={**os.environ, "COLUMNS": "200"}
    )


@public
@pytest.mark.slow
def test_six_hours_from_raw_era5(tmp_path):
    """Global means of the decoded analysis are those of the original package (float32, to four digits)."""
    done = sciml(*SIX_HOURS, "--to", "forecast.nc", "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (
        found["parameters"] == 191174
        and found["start"].startswith("1959-01-02T00")
        and Path(tmp_path, found["report"]).exists()
    )
    with xr.open_dataset(tmp_path / "forecast.nc", engine="h5netcdf") as ds:
        assert (ds.prediction_timedelta / np.timedelta64(1, "h")).values.tolist() == [0, 6]
        assert ds.sizes["level"] == 37 and all(bool(np.isfinite(ds[name]).all()) for name in ds.data_vars)
        assert float(ds.temperature.mean()) == pytest.approx(241.0, abs=0.2)
        assert float(ds.geopotential.mean()) == pytest.approx(112235, rel=1e-3)
        assert (
            float(ds.mean_sea_level_pressure[0].min()) > 950e2 and float(ds.mean_sea_level_pressure[0].max()) < 1070e2
        )
    pages = {path.stem for path in (tmp_path / "run/report").glob("*.png")}
    assert {"z500", "t850", "q700", "p_minus_e", "spectra", "global_means"} <= pages


@public
@pytest.mark.slow
@pytest.mark.parametrize("form", ["nc", "zarr"])
def test_a_killed_forecast_goes_on_to_the_same_bits(tmp_path, form):
    """SIGKILL in the middle; resumed, the file equals that of an undisturbed run, random fields and all."""
    to = f"cut.{form}"
    options = (*SIX_HOURS, "--every-hours", 1, "--members", 2, "--no-report")
    whole = sciml(*options, "--to", "whole.nc", "--out", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    line = [sys.executable, "-m", "sciml.cli", "gcm", "rollout", *map(str, options), "--to", to, "--out", "cut"]
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 800
    metrics = tmp_path / "cut/metrics.jsonl"
    while time.monotonic() < deadline and (not metrics.exists() or metrics.read_text().count("\n") < 3):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert json.loads((tmp_path / "cut/status.json").read_text())["state"] == "running"
    resumed = sciml("--resume", "cut", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    engine = {"nc": "h5netcdf", "zarr": "zarr"}[form]
    with xr.open_dataset(tmp_path / "whole.nc") as one, xr.open_dataset(tmp_path / to, engine=engine) as two:
        assert one.sizes["prediction_timedelta"] == 7
        for name in one.data_vars:
            np.testing.assert_array_equal(one[name], two[name])


@public
def test_the_sizes_of_a_run_are_said_without_running(tmp_path):
    done = sciml(*SIX_HOURS, "--members", 8, "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)["sizes"]
    assert sizes["parameters"] == 191174 and sizes["grid"] == "128 x 64 x 32" and sizes["members"] == 8
    assert not list(tmp_path.iterdir())


@public
@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"drop": "sea_surface_temperature"}, 3, "no sea_surface_temperature"),
        pytest.param({"drop": "specific_humidity"}, 3, "no specific_humidity", marks=pytest.mark.slow),
        pytest.param({"levels": slice(4, None)}, 3, "do not cover 1, 2, 3, 5 hPa", marks=pytest.mark.slow),
        ({"options": ("--days", "400")}, 3, "the forcing goes from 1959-01-02"),
        ({"options": ("--output-levels", "501")}, 2, "no 501 hPa"),
    ],
)
def test_bad_input_ends_before_any_long_work(run_here, tmp_path, change, code, words):
    with xr.open_dataset(ERA5) as file:
        ds = file.load()
    ds = ds.drop_vars(change.get("drop", [])).isel(level=change.get("levels", slice(None)))
    ds.to_netcdf(tmp_path / "bad.nc", engine="h5netcdf")
    options = change.get("options", ("--days", "0.25"))
    line = ("rollout", "--checkpoint", MINI, "--initial", "bad.nc", "--to", "f.nc", "--out", "run", *options)
    found, _, err = run_here(*line)
    assert found == code and words in err and "Traceback" not in err, err
    assert {path.name for path in tmp_path.iterdir()} == {"bad.nc"}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--checkpoint", "missing.pkl"), 3, "missing.pkl"),
        (("--model", "neuralgcm-2.8"), 2, "--random-weights"),
        (("--model", "neuralgcm-2.8", "--random-weights", "--truncation", "T85"), 2, "has its own"),
        (("--means", "daily"), 2, "--checkpoint FILE.pkl"),
    ],
)
def test_options_that_exclude_each_other(run_here, tmp_path, options, code, words):
    found, _, err = run_here("rollout", *options)
    assert found == code and words in err and "Traceback" not in err, err
    assert not list(tmp_path.iterdir())
