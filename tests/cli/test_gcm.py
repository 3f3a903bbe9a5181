"""`sciml gcm` as a user types it: the whole way on a coarse sphere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.readers.forecast import open_forecast

INSTALLED = Path(sys.executable).with_name("sciml")
DATA = Path(__file__).resolve().parents[3] / "shared/data/gcm"
ERA5, SURFACE = DATA / "era5_tl31_19590102T00.nc", DATA / "surface_tl63.nc"
COARSE = ("--truncation", "T21", "--levels", "5", "--every-hours", "6")
LEVELS = ("--output-levels", "250,500,850")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder in which the installed command ran one coarse day, with what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    line = [sys.executable, "-m", "sciml.cli", "gcm", "rollout", "--days", "1", *COARSE, *LEVELS, "--out", "run"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=280)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_command_leaves_a_file_and_a_page(finished):
    folder, done = finished
    assert "simulated years per day" in done.stdout and "output: run/rollout.nc" in done.stdout
    assert "report: run/report/index.html" in done.stdout and "Traceback" not in done.stderr
    progress = done.stderr.splitlines()[-1]
    for word in ("rollout", "date 2000-01-02T00:00", "wind ", "T ", "ps 1000", "years/day"):
        assert word in progress, progress
    assert json.loads((folder / "run/status.json").read_text())["state"] == "finished"
    assert (folder / "run/report/index.html").stat().st_size > 50_000 and not list(folder.rglob("*.tmp"))


def test_xarray_opens_the_file(finished):
    with xr.open_dataset(finished[0] / "run/rollout.nc") as ds:
        assert ds.time.values == np.datetime64("2000-01-01") and ds.level.values.tolist() == [250, 500, 850]
        np.testing.assert_array_equal(ds.prediction_timedelta.values, np.arange(5) * np.timedelta64(6, "h"))
        assert ds.sizes == {"prediction_timedelta": 5, "level": 3, "latitude": 32, "longitude": 64}
        assert ds.temperature.attrs["units"] == "K" and ds.attrs["Conventions"].startswith("CF")
        assert "sciml gcm rollout --days 1" in ds.attrs["history"]
        assert all(np.isfinite(ds[name]).all() for name in ds.data_vars)
        # the initial state is balanced, with 1000 hPa at the surface everywhere
        assert abs(ds.surface_pressure[0] - 1e5).max() < 10
        assert 20 < float(ds.u_component_of_wind[0].max()) < 45 and float(ds.temperature.min()) > 200


def test_our_readers_take_it_as_a_forecast(finished):
    ds = open_forecast(finished[0] / "run/rollout.nc")
    assert ds.sizes["time"] == 1 and ds.sizes["prediction_timedelta"] == 5 and ds.attrs["sciml_notes"] == []


def test_the_report_can_be_drawn_again(finished, run_here, monkeypatch):
    monkeypatch.chdir(finished[0])
    Path("run/report/index.html").unlink()
    code, out, _ = run_here("report", "run")
    assert code == 0 and out.strip() == "run/report/index.html" and Path("run/report/index.html").exists()


@pytest.mark.skipif(not INSTALLED.exists(), reason="sciml is not installed beside this python")
def test_a_dry_run_integrates_nothing(tmp_path):
    line = [INSTALLED, "gcm", "rollout", "--days", "10", "--members", "8", "--dry-run", "--json"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["settings"]["members"] == 8 and found["sizes"]["steps"] == 480 and found["sizes"]["frames"] == 41
    assert found["sizes"]["memory_GB"] > 0.3 and found["sizes"]["file_GB"] > 0.3
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_object(run_here, tmp_path):
    code, out, err = run_here(
        "rollout", "--days", 0.25, *COARSE, "--output-levels", "sigma", "--out", "run", "--json", "--no-report",
        "--variables", "temperature,surface_pressure",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert found["frames"] == 2 and found["report"] is None and found["simulated_years_per_day"] > 0
    assert abs(found["drift"]["mass"]) < 1e-4 and found["case"] == "baroclinic_wave"
    with xr.open_dataset("run/rollout.nc") as ds:
        assert (
            set(ds.data_vars) == {"temperature", "surface_pressure", "geopotential_at_surface"}
            and ds.sizes["sigma"] == 5
        )


def test_zarr(run_here):
    pytest.importorskip("zarr")
    code, _, err = run_here(
        "rollout", "--days", 0.25, *COARSE, *LEVELS, "--to", "a.zarr", "--out", "run", "--no-report"
    )
    assert code == 0, err
    with xr.open_zarr("a.zarr") as ds:
        assert ds.sizes["prediction_timedelta"] == 2 and np.isfinite(ds.temperature).all()
    code, _, err = run_here("rollout", "--days", 0.25, *COARSE, "--to", "a.zarr")
    assert code == 2 and "a.zarr: exists already" in err and "--overwrite" in err


@pytest.mark.slow
def test_members_are_reproducible_and_the_first_is_the_deterministic_run(run_here, finished):
    def members(count: int, out: str) -> xr.Dataset:
        code, _, err = run_here(
            "rollout",
            "--days",
            0.5,
            *COARSE,
            *LEVELS,
            "--members",
            count,
            "--perturbation",
            1,
            "--out",
            out,
            "--no-report",
        )
        assert code == 0, err
        with xr.open_dataset(f"{out}/rollout.nc") as ds:
            return ds.load()

    three, again, two = members(3, "a"), members(3, "b"), members(2, "c")
    assert three.number.values.tolist() == [0, 1, 2]
    xr.testing.assert_equal(three, again)
    with xr.open_dataset(finished[0] / "run/rollout.nc") as alone:
        for name in ("u_component_of_wind", "temperature", "surface_pressure"):
            size = float(abs(alone[name]).max())
            # round-off, amplified by two days of weather
            assert float(abs(three[name].isel(number=0) - alone[name][:3]).max()) < 2e-5 * size
            # member n is the same whatever the size of the ensemble
            assert float(abs(three[name].isel(number=1) - two[name].isel(number=1)).max()) < 2e-5 * size
    wind = three.u_component_of_wind[0]
    difference = (wind.isel(number=1) - wind.isel(number=0)).values
    weights = np.cos(np.deg2rad(three.latitude.values))[:, None]
    v = (three.v_component_of_wind[0].isel(number=1) - three.v_component_of_wind[0].isel(number=0)).values
    rms = np.sqrt(((difference**2 + v**2) * weights).sum((-1, -2)) / (weights.sum() * 64))
    assert rms == pytest.approx(np.ones(3), rel=0.35)
    assert abs(three.u_component_of_wind.isel(number=2) - three.u_component_of_wind.isel(number=1)).max() > 0.1


@pytest.mark.parametrize(
    "case",
    [
        "held_suarez",
        "williamson2",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("rest", "steady_state", "williamson5", "galewsky")),
    ],
)
def test_every_case_runs(run_here, case):
    code, out, err = run_here("rollout", "--initial", case, "--days", 0.25, "--truncation", "T21", "--levels", 4,
                              "--out", "run", "--no-report", "--json")  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert found["case"] == case and found["frames"] == 2 and found["forced"] == (case == "held_suarez")
    with xr.open_dataset("run/rollout.nc") as ds:
        assert ("height" in ds) == (case in ("williamson2", "williamson5", "galewsky"))
        assert all(np.isfinite(ds[name]).all() for name in ds.data_vars)


@pytest.mark.slow  # test_core.py has the schemes in the quick suite
@pytest.mark.parametrize(
    "scheme",
    ["semi_implicit_leapfrog", "crank_nicolson_rk2", "crank_nicolson_rk3", "crank_nicolson_rk4", "backward_forward_euler"],
)
def test_every_scheme_runs(run_here, scheme):
    code, out, err = run_here("rollout", "--scheme", scheme, "--days", 0.125, "--truncation", "T21", "--levels", 3,
                              "--step-minutes", 10, "--out", "run", "--no-report", "--json")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["scheme"] == scheme


@pytest.mark.slow
def test_four_devices_give_the_numbers_of_one(tmp_path):
    """Two members, each on two devices; a device too many is named before anything is computed."""
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    line = [sys.executable, "-m", "sciml.cli", "gcm", "rollout", "--days", "0.25", "--members", "2", "--no-report"]
    line += ["--truncation", "T21", "--levels", "4", "--precision", "float64", "--device", "cpu"]
    for devices, code in ((1, 0), (4, 0), (5, 5)):
        done = subprocess.run(
            [*line, "--devices", str(devices), "--out", f"run{devices}"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
    assert "--devices 5: there are 4" in done.stderr and not (tmp_path / "run5").exists()
    with xr.open_dataset(tmp_path / "run1/rollout.nc") as one, xr.open_dataset(tmp_path / "run4/rollout.nc") as four:
        for name in one.data_vars:
            np.testing.assert_allclose(four[name], one[name], atol=2e-6 * float(abs(one[name]).max()))


@pytest.mark.slow
def test_double_precision(run_here):
    code, out, err = run_here("rollout", "--precision", "float64", "--days", 0.25, *COARSE, "--out", "run", "--no-report",
                              "--fix-mass", "--diffusion-hours", 12, "--json")  # fmt: skip
    assert code == 0, err
    assert abs(json.loads(out)["drift"]["mass"]) < 1e-6


@pytest.mark.skipif(not ERA5.exists(), reason="needs the shared ERA5 snapshot")
def test_a_real_analysis_over_real_mountains(run_here):
    line = ("rollout", "--initial", ERA5, *COARSE, "--days", 0.25, "--no-report", "--json")
    code, _, err = run_here(*line)
    assert code == 3 and "surface geopotential" in err and "--surface" in err
    code, out, err = run_here(*line, "--surface", SURFACE, "--out", "run")
    assert code == 0, err
    found = json.loads(out)
    assert found["start"].startswith("1959-01-02T00") and abs(found["drift"]["mass"]) < 1e-3
    with xr.open_dataset("run/rollout.nc") as ds:
        assert ds.time.values == np.datetime64("1959-01-02") and "specific_humidity" in ds
        assert ds.geopotential_at_surface.max() > 2e4 and ds.surface_pressure.min() < 7e4
        assert float(abs(ds.mean_sea_level_pressure - 101300).max()) < 8000


WRONG = [
    (("--days", "0"), 2, "--days 0"),
    (("--days", "ten"), 2, '"ten" is not accepted'),
    (("--day", "1"), 2, '--days'),
    (("--initial", "baroclinc_wave"), 2, 'did you mean "baroclinic_wave"'),
    (("--initial", "era5.nc"), 3, "era5.nc"),
    (("--truncation", "T43"), 2, "T42"),
    (("--scheme", "rk4"), 2, "crank_nicolson_rk4"),
    (("--forcing", "sun"), 2, "held_suarez"),
    (("--precision", "float16"), 2, "float32"),
    (("--variables", "temprature"), 2, 'did you mean "temperature"'),
    (("--output-levels", "850hPa"), 2, "850hPa"),
    (("--step-minutes", "7"), 2, "use --step-minutes"),
    (("--members", "0"), 2, "--members 0"),
    (("--device", "gpu7x"), 2, "--device"),
    (("--device", "tpu"), 5, "tpu"),
    (("--to", "a.grib"), 2, "a.nc"),
    (("--to", "nowhere/a.nc"), 3, "nowhere"),
    (("--surface", "s.nc"), 2, "--initial FILE"),
    (("--resume", "nothing"), 3, "nothing"),
    (("-c", "nothing.toml"), 3, "nothing.toml"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "code", "words"), WRONG, ids=lambda x: " ".join(x) if isinstance(x, tuple) else "")
def test_a_wrong_option_is_explained(run_here, tmp_path, options, code, words):
    found, out, err = run_here("rollout", "--truncation", "T21", "--levels", 3, *options, "--json")
    assert found == code, err
    assert words in err and "Traceback" not in err
    assert json.loads(out)["error"]["exit_code"] == code
    assert not list(tmp_path.glob("runs/*/*/rollout.nc"))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_an_unstable_step_says_where_and_what_to_do(run_here):
    code, _, err = run_here("rollout", "--truncation", "T42", "--levels", 4, "--step-minutes", 180, "--days", 10,
                            "--out", "run", "--no-report")  # fmt: skip
    assert code == 4, err
    for words in ("at step ", "level ", "--step-minutes 30 (now 180)", "are kept in run/rollout.nc"):
        assert words in err, err
    assert json.loads(Path("run/status.json").read_text())["state"] == "failed"
    with xr.open_dataset("run/rollout.nc") as ds:
        assert ds.sizes["prediction_timedelta"] >= 1 and all(np.isfinite(ds[name]).all() for name in ds.data_vars)


def test_an_output_that_exists_is_not_overwritten(run_here):
    Path("a.nc").write_text("precious")
    code, _, err = run_here("rollout", *COARSE, "--to", "a.nc")
    assert code == 2 and "--overwrite" in err and Path("a.nc").read_text() == "precious" and not Path("runs").exists()
    Path("run").mkdir()
    Path("run/file").touch()
    code, _, err = run_here("rollout", *COARSE, "--out", "run")
    assert code == 2 and "holds something already" in err
