"""`sciml kd` as a user types it: the whole way on tiny files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import load_file

from sciml.pipelines.kd.model import load_model
from sciml.pipelines.readers.synthetic import write_kd_files

INSTALLED = Path(sys.executable).with_name("sciml")


def same_weights(a: Path, b: Path) -> bool:
    one, two = load_file(a), load_file(b)
    return one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one)


def fit(command, folder, out, *options, tiny):
    done = command("kd", "fit", "--observations", "obs.nc", *tiny, "--out", out, "--json", *options, folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_json_is_one_object_and_holds_the_table(home):
    found = json.loads((home / "stdout.json").read_text())
    methods = [row["method"] for row in found["scores"]]
    assert methods[:6] == ["persistence", "climatology", "ar", "nwp", "mos", "mos_ar"] and methods[-1] == "distilled"
    assert found["unit"] == "K" and found["comparison"]["verdict"]["text"]
    assert {row["stage"] for row in found["curves"]} == {"archive", "fit"}
    assert (home / "run" / "report" / "index.html").stat().st_size > 10_000
    assert json.loads((home / "run" / "status.json").read_text())["state"] == "finished"
    assert not list((home / "run").rglob("*.tmp"))


@pytest.mark.skipif(not INSTALLED.exists(), reason="sciml is not installed beside this python")
def test_the_installed_command_shows_the_way_on(tmp_path):
    line = [INSTALLED, "kd", "fit", "--teacher", "nwp.nc"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 3 and done.stdout == ""
    assert "sciml kd data --synthesize" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_errors_are_one_object_too(command, tmp_path):
    done = command("kd", "fit", "--json", folder=tmp_path)
    found = json.loads(done.stdout)["error"]
    assert (
        done.returncode == found["exit_code"] == 3 and "nwp.nc" in found["message"] and "--synthesize" in found["hint"]
    )


def test_the_literal_command_needs_no_observations(command, tmp_path, tiny):
    write_kd_files(tmp_path, days=150, stations=1, leads_hours=(24, 48))
    done = command("kd", "fit", "--teacher", "nwp.nc", *tiny, "--no-control", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stand for observations" in done.stderr and "distilled student" in done.stdout
    (run,) = (tmp_path / "runs" / "kd-fit").iterdir()
    assert str(run.name) in done.stdout
    # the newest run is what the other commands take
    assert command("kd", "predict", folder=tmp_path).returncode == 0
    assert command("kd", "evaluate", "-q", folder=tmp_path).returncode == 0


def test_synthesize_then_check(command, tmp_path):
    done = command("kd", "data", "--synthesize", "--days", 90, "--observed-days", 60, folder=tmp_path)
    assert done.returncode == 0 and "sciml kd fit --teacher nwp.nc --observations obs.nc" in done.stdout
    before = (tmp_path / "nwp.nc").read_bytes()
    again = command("kd", "data", "--synthesize", folder=tmp_path)
    assert again.returncode == 2 and "--overwrite" in again.stderr and (tmp_path / "nwp.nc").read_bytes() == before
    done = command("kd", "data", "--observations", "obs.nc", "--json", folder=tmp_path)
    facts = json.loads(done.stdout)
    assert facts["teacher"]["issues"] == 90 and facts["observations"]["pairs"] > 100
    in_the_way = command("kd", "data", "--synthesize", "--to", "obs.nc", folder=tmp_path)
    assert in_the_way.returncode == 3 and "Traceback" not in in_the_way.stderr


def test_a_dry_run_trains_nothing(command, home):
    before = sorted(home.iterdir())
    done = command("kd", "fit", "--observations", "obs.nc", "--dry-run", "--json", folder=home)
    found = json.loads(done.stdout)
    assert found["parameters"] > 10_000 and found["windows"]["train"] > 50 and "distilled-2" in found["jobs"]
    assert sorted(home.iterdir()) == before


def test_the_stored_settings_repeat_the_run(command, home):
    done = command("kd", "fit", "-c", "run/settings.toml", "--out", "again", folder=home)
    assert done.returncode == 0, done.stderr
    for name in ("best", "last", "alone-0", "distilled-0", "shuffled-0"):
        one, two = (home / run / "checkpoints" / f"{name}.safetensors" for run in ("run", "again"))
        assert same_weights(one, two), name


def test_typed_options_win_over_the_file(command, home):
    done = command("kd", "fit", "-c", "run/settings.toml", "--hidden", "5", "--dry-run", "--json", folder=home)
    assert json.loads(done.stdout)["settings"]["hidden"] == 5 and json.loads(done.stdout)["settings"]["epochs"] == 3


def test_evaluate_repeats_the_held_out_score(command, home):
    done = command("kd", "evaluate", "--model", "run", "--json", folder=home)
    found, trained = json.loads(done.stdout), json.loads((home / "stdout.json").read_text())
    # evaluate keeps elements that only baselines of the training run lacked
    assert found["scores"][-1]["rmse"] == pytest.approx(trained["scores"][-1]["rmse"], rel=0.02)
    assert found["issues"][0] == trained["data"]["blocks"]["test"]["start"]
    month = command("kd", "evaluate", "--model", "run", "--start", "2018-07", "--end", "2018-07", "--json", folder=home)
    assert json.loads(month.stdout)["issues"] == ["2018-07-01T00:00", "2018-07-31T00:00"]


def test_evaluate_without_overlap(command, home):
    done = command("kd", "evaluate", "--model", "run", "--start", "2030-01-01", folder=home)
    assert done.returncode == 2 and "2030-01-01" in done.stderr and "2018-08-28" in done.stderr


def test_predict_writes_cf_netcdf(command, home):
    done = command("kd", "predict", "--model", "run", "--to", "f/forecast.nc", "--start", "2018-07-01", folder=home)
    assert done.returncode == 0, done.stderr
    model = load_model(home / "run")
    design = model.read(None, home / "obs.nc")
    wanted, _ = model.forecast(design, np.arange(len(design.pairs.anchor)))
    with xr.open_dataset(home / "f/forecast.nc", engine="h5netcdf") as ds:
        field = ds["2m_temperature"]
        assert field.dims == ("time", "prediction_timedelta", "station")
        assert field.dtype == np.float32 and field.attrs["units"] == "K"
        assert np.issubdtype(ds.prediction_timedelta.dtype, np.timedelta64) and ds.attrs["Conventions"].startswith("CF")
        assert ds.time.attrs["standard_name"] == "forecast_reference_time"
        assert list(ds.station.values) == list(model.config["stations"]) and "latitude" in ds.coords
        assert ds.time.values[0] == np.datetime64("2018-07-01") and ds.time.values[-1] == design.pairs.teacher.issue[-1]
        assert (ds.prediction_timedelta.values / np.timedelta64(1, "h")).tolist() == [24.0, 48.0]
        rows = np.searchsorted(design.pairs.teacher.issue, ds.time.values)
        np.testing.assert_array_equal(field.values, wanted[rows, :, :, 0].astype(np.float32))
    again = command("kd", "predict", "--model", "run", "--to", "f/forecast.nc", folder=home)
    assert again.returncode == 2 and "--overwrite" in again.stderr
    assert (
        command("kd", "predict", "--model", "run", "--to", "f/forecast.nc", "--overwrite", folder=home).returncode == 0
    )


@pytest.mark.parametrize("to", ["obs.nc/forecast.nc", "run"])
def test_a_forecast_that_cannot_be_written(command, home, to):
    done = command("kd", "predict", "--model", "run", "--to", to, "--overwrite", folder=home)
    assert done.returncode == 3 and to in done.stderr and "Traceback" not in done.stderr
    assert not list(home.glob("*.tmp"))


def test_its_own_forecast_can_teach(command, home, tiny):
    done = command("kd", "predict", "--model", "run", "--to", "student.nc", "--start", "2018-01-01", folder=home)
    assert done.returncode == 0, done.stderr
    done = command("kd", "data", "--teacher", "student.nc", "--observations", "obs.nc", "--json", folder=home)
    assert json.loads(done.stdout)["observations"]["pairs"] > 100


def test_export_can_be_used_and_teaches(command, home, tiny):
    done = command("kd", "export", "--model", "run", "--to", "model", "--json", folder=home)
    assert done.returncode == 0, done.stderr
    files = {"model.safetensors", "config.json", "normalization.json", "README.md"}
    assert set(json.loads(done.stdout)["files"]) == files
    assert "library_name: sciml" in (home / "model/README.md").read_text()
    moved = command("kd", "predict", "--model", "model", "--observations", "obs.nc", "--to", "moved.nc", folder=home)
    assert moved.returncode == 0, moved.stderr
    alone = command("kd", "evaluate", "--model", "model", folder=home)
    assert alone.returncode == 2 and "--observations" in alone.stderr
    options = ("--teacher", "model", "--schedule", "response", "--stations", "Seoul", "--horizon", "1")
    found = fit(command, home, "hinton", *options, tiny=tiny)
    assert found["stations"] == ["Seoul"] and found["lead_hours"] == [24.0]


def test_export_into_something_else(command, home):
    for to in ("run", "obs.nc", "obs.nc/model"):
        done = command("kd", "export", "--model", "run", "--to", to, folder=home)
        assert done.returncode in (2, 3) and to in done.stderr and "Traceback" not in done.stderr


def test_report_can_be_drawn_again(command, home):
    page = home / "run/report/index.html"
    page.unlink()
    assert command("kd", "report", "--model", "run", folder=home).returncode == 0 and page.exists()


def test_residual_needs_the_forecast(command, home, tiny):
    found = fit(command, home, "residual", "--mode", "residual", "--head", "quantile", tiny=tiny)
    rmse = {row["method"]: row["rmse"] for row in found["scores"]}
    assert rmse["distilled"] < 0.7 * rmse["alone"]
    assert command("kd", "export", "--model", "residual", "--to", "residual-model", folder=home).returncode == 0
    options = ("--model", "residual-model", "--observations", "obs.nc", "--to", "residual.nc")
    blind = command("kd", "predict", *options, folder=home)
    assert blind.returncode == 2 and "--teacher" in blind.stderr and not (home / "residual.nc").exists()
    seeing = command("kd", "predict", *options, "--teacher", "nwp.nc", folder=home)
    assert seeing.returncode == 0, seeing.stderr
    with xr.open_dataset(home / "residual.nc", engine="h5netcdf") as ds:
        levels = ds["2m_temperature_quantile"]
        assert levels.dims[-1] == "quantile" and (np.diff(levels.values, axis=-1) >= 0).all()
        middle = levels.sel(quantile=0.5).values
        np.testing.assert_array_equal(middle, ds["2m_temperature"].values)
    scored = json.loads(command("kd", "evaluate", "--model", "residual", "--json", folder=home).stdout)
    assert 0 < scored["scores"][-1]["crps"] < 3 and 0 <= scored["scores"][-1]["coverage"] <= 1
    # the arm that sees no forecast has another shape, and starts from its seed
    fit(command, home, "warm-start", "--mode", "residual", "--head", "quantile", "--init-from", "residual", tiny=tiny)
    teaching = command("kd", "fit", "--teacher", "residual", "--observations", "obs.nc", *tiny, folder=home)
    assert teaching.returncode == 2 and "sciml kd predict" in teaching.stderr


def test_gaussian_head_and_ensemble_spread(command, tmp_path, tiny):
    write_kd_files(tmp_path, days=180, stations=1, leads_hours=(24, 48), members=4, observed_days=120)
    options = ("--head", "gaussian", "--soft-weight", "spread", "--student", "lstm", "--no-control")
    found = fit(command, tmp_path, "run", *options, tiny=tiny)
    assert found["data"]["members"] == 4
    assert command("kd", "predict", "--model", "run", "--to", "f.nc", folder=tmp_path).returncode == 0
    with xr.open_dataset(tmp_path / "f.nc", engine="h5netcdf") as ds:
        spread = ds["2m_temperature_standard_deviation"]
        assert (spread > 0).all() and spread.attrs["units"] == "K"


def test_wind_becomes_power_through_a_fitted_relation(command, tmp_path, tiny):
    write_kd_files(tmp_path, days=200, stations=1, leads_hours=(24, 48), observed_days=None, wind=True)
    with xr.open_dataset(tmp_path / "obs.nc", engine="h5netcdf") as ds:
        speed = ds["10m_wind_speed"].to_dataframe().reset_index()
    power = np.clip(speed["10m_wind_speed"], 0, 8) ** 3
    speed.assign(power=power)[["time", "station", "power"]].to_csv(tmp_path / "power.csv", index=False)
    options = ("--predictor", "10m_wind_speed", "--operator", "isotonic", "--no-control")
    found = fit(command, tmp_path, "run", *options, "--observations", "power.csv", tiny=tiny)
    rmse = {row["method"]: row["rmse"] for row in found["scores"]}
    assert found["operator"] == "isotonic" and rmse["nwp"] < 0.9 * rmse["climatology"]
    assert command("kd", "predict", "--model", "run", "--to", "f.nc", folder=tmp_path).returncode == 0
    with xr.open_dataset(tmp_path / "f.nc", engine="h5netcdf") as ds:
        assert list(ds.data_vars) == ["power"] and np.isfinite(ds["power"]).all()


def test_the_leads_of_a_self_taught_student_stay_its_own(command, tmp_path, tiny):
    """The file holds more leads than the student was trained for."""
    write_kd_files(tmp_path, days=150, stations=1, leads_hours=(24, 48, 72))
    done = command("kd", "fit", "--horizon", "2", *tiny, "--no-control", "--out", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert command("kd", "predict", "--model", "run", folder=tmp_path).returncode == 0
    with xr.open_dataset(tmp_path / "forecast.nc", engine="h5netcdf") as ds:
        assert (ds.prediction_timedelta.values / np.timedelta64(1, "h")).tolist() == [48.0]


def test_weights_to_start_from_must_fit(command, home, tiny):
    done = command(
        "kd", "fit", "--observations", "obs.nc", *tiny, "--hidden", "5", "--init-from", "run", "--out", "misfit", folder=home
    )  # fmt: skip
    assert done.returncode == 2 and "hidden 4 instead of 5" in done.stderr and not (home / "misfit").exists()


def test_a_failed_run_says_so(command, home, tiny):
    done = command(
        "kd", "fit", "--observations", "obs.nc", *tiny, "--learning-rate", "1e30", "--out", "nan", folder=home
    )
    assert done.returncode == 4 and "--learning-rate" in done.stderr
    status = json.loads((home / "nan/status.json").read_text())
    assert status["state"] == "failed" and "RMSE" in status["reason"]
