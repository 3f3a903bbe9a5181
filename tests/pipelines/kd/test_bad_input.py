"""Bad input, as a user types it: file, variable, time and the way out are named, and nothing is left half done."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sciml.pipelines.kd.design import make_design
from sciml.pipelines.kd.pairs import pair
from sciml.pipelines.kd.settings import Fit
from sciml.pipelines.kd.teacher import read_teacher

# what is wrongly accepted is at least trained quickly
QUICK = ("--hidden", "2", "--epochs", "1", "--archive-epochs", "1", "--seeds", "1", "--workers", "1", "--no-control")


def fit(command, folder, *options, code=3):
    """What `kd fit` says on stderr when it refuses with `code`; it leaves the folder as it was."""
    before = sorted(folder.rglob("*"))
    done = command("kd", "fit", *QUICK, *options, folder=folder)
    assert done.returncode == code, f"{done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr and "error: " in done.stderr and done.stdout == ""
    assert sorted(folder.rglob("*")) == before
    return done.stderr


def table(home) -> pd.DataFrame:
    with xr.open_dataset(home / "obs.nc", engine="h5netcdf") as ds:
        frame = ds["2m_temperature"].to_dataframe().reset_index()[["time", "station", "2m_temperature"]]
    return frame.rename(columns={"time": "valid_time", "2m_temperature": "t2m"})


@pytest.fixture(scope="module")
def teacher(home) -> xr.Dataset:
    with xr.open_dataset(home / "nwp.nc", engine="h5netcdf") as ds:
        return ds.load()


# ---- observations


def in_other_years(frame):
    return frame.assign(valid_time=frame["valid_time"] + pd.Timedelta(days=5000))


def with_mixed_zones(frame):
    text = frame["valid_time"].dt.strftime("%Y-%m-%dT%H:%M")
    return frame.assign(valid_time=[t + ("+09:00" if n % 2 else "") for n, t in enumerate(text)])


def doubled(frame):
    return pd.concat([frame, frame.iloc[:3].assign(t2m=frame["t2m"].iloc[:3] + 1)])


def in_celsius_without_saying(frame):
    return frame.assign(t2m=frame["t2m"] - 273.15)


def in_fahrenheit_without_saying(frame):
    return frame.assign(t2m=(frame["t2m"] - 273.15) * 1.8 + 32)


def another_quantity(frame):
    return frame.rename(columns={"t2m": "power"}).assign(power=lambda f: f["power"] / 400)


def other_stations(frame):
    return frame.assign(station=frame["station"] + "-x")


def nothing_seen(frame):
    return frame.assign(t2m=np.nan)


def words_among_numbers(frame):
    column = frame["t2m"].astype(object)
    column.iloc[7] = "warm"
    return frame.assign(t2m=column)


def no_times(frame):
    return frame.drop(columns="valid_time")


def bad_time(frame):
    text = frame["valid_time"].dt.strftime("%Y-%m-%d").tolist()
    text[5] = "2018-02-31"
    return frame.assign(valid_time=text)


def ten_days(frame):
    return frame[frame["valid_time"] > frame["valid_time"].max() - pd.Timedelta(days=10)]


BAD_TABLES = {
    in_other_years: (3, ["share no valid time", "2018", "2031"]),
    with_mixed_zones: (3, ["valid_time", "zone"]),
    doubled: (3, ["2018-03-31", "Seoul", "more than once", "drop or average"]),
    in_celsius_without_saying: (3, ["Kelvin against Celsius", "--units 2m_temperature=degC"]),
    in_fahrenheit_without_saying: (3, ["Fahrenheit", "--units 2m_temperature=degF"]),
    another_quantity: (2, ["power", "another quantity", "--operator isotonic"]),
    other_stations: (3, ["Seoul-x", "Seoul"]),
    nothing_seen: (3, ["missing"]),
    words_among_numbers: (3, ["t2m", "warm", "line"]),
    no_times: (3, ["time"]),
    bad_time: (3, ["valid_time", "2018-02-31"]),
    ten_days: (3, ["at least 10 are needed", "--history"]),
}


@pytest.mark.parametrize("spoil", BAD_TABLES, ids=lambda f: f.__name__)
def test_bad_observations(command, home, tmp_path, spoil):
    code, words = BAD_TABLES[spoil]
    spoil(table(home)).to_csv(tmp_path / "obs.csv", index=False)
    said = fit(command, tmp_path, "--teacher", home / "nwp.nc", "--observations", "obs.csv", code=code)
    assert "obs.csv" in said and all(word in said for word in words), said


def test_one_misspelt_station_is_named(command, home, tmp_path):
    frame = table(home)
    frame.assign(station=frame["station"].replace("Seoul", "Seol")).to_csv(tmp_path / "obs.csv", index=False)
    done = command("kd", "data", "--teacher", home / "nwp.nc", "--observations", "obs.csv", folder=tmp_path)
    assert done.returncode == 0 and "Seol" in done.stdout + done.stderr and "obs.csv" in done.stdout + done.stderr


def test_the_stated_unit_is_the_way_out(command, home, tmp_path):
    in_celsius_without_saying(table(home)).to_csv(tmp_path / "obs.csv", index=False)
    line = ("kd", "data", "--teacher", home / "nwp.nc", "--observations", "obs.csv", "--units", "2m_temperature=degC")
    done = command(*line, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert command(*line[:-1], "t2m=degC", folder=tmp_path).returncode == 0


# ---- teachers

SPOILED = {
    "missing.nc": None,
    "empty.nc": b"",
    "page.nc": b"<!DOCTYPE html><html><body>404</body></html>",
    "pointer.nc": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
    "table.nc": b"time,station,t2m\n2018-01-01,Seoul,280.0\n",
}
WORDS = {"page.nc": "HTML", "pointer.nc": "LFS", "empty.nc": "empty"}


@pytest.mark.parametrize("name", [*SPOILED, "truncated.nc"])
@pytest.mark.parametrize("role", ["--teacher", "--observations"])
def test_files_that_are_something_else(command, home, tmp_path, name, role):
    whole = (home / "nwp.nc").read_bytes()
    content = SPOILED.get(name, whole[: len(whole) // 3])
    if content is not None:
        (tmp_path / name).write_bytes(content)
    files = {"--teacher": home / "nwp.nc", "--observations": home / "obs.nc"} | {role: name}
    said = fit(command, tmp_path, *(word for item in files.items() for word in item))
    assert name in said and WORDS.get(name, "") in said, said


def all_missing(ds):
    return ds.assign({"2m_temperature": ds["2m_temperature"] * np.nan})


def constant(ds):
    field = ds["2m_temperature"]
    return ds.assign({"2m_temperature": (field * 0 + 280).assign_attrs(field.attrs)})


def repeated(ds):
    half = ds.isel(time=slice(0, 50))
    return xr.concat([half, half], "time")


def accumulated(ds):
    rain = np.abs(ds["2m_temperature"] - ds["2m_temperature"].mean()) / 1e4
    growing = rain.cumsum("prediction_timedelta").assign_attrs(units="m", GRIB_stepType="accum", long_name="rain")
    return ds.drop_vars("2m_temperature").assign(tp=growing)


def without_times(ds):
    return ds.isel(time=0, drop=True)


def only_analyses(ds):
    return ds.isel(prediction_timedelta=[0]).assign_coords(prediction_timedelta=[np.timedelta64(0, "ns")])


def another_variable(ds):
    return ds.rename({"2m_temperature": "msl"}).assign(msl=lambda d: (d["msl"] * 350).assign_attrs(units="Pa"))


BAD_TEACHERS = {
    all_missing: (3, ["2m_temperature", "missing"]),
    constant: (3, ["2m_temperature", "constant"]),
    repeated: (3, ["2018-01-01"]),
    without_times: (3, ["time"]),
    only_analyses: (3, ["lead"]),
    another_variable: (2, ["msl", "another quantity", "--predictor"]),
}


@pytest.mark.parametrize("spoil", BAD_TEACHERS, ids=lambda f: f.__name__)
def test_bad_teachers(command, home, teacher, tmp_path, spoil):
    code, words = BAD_TEACHERS[spoil]
    spoil(teacher).to_netcdf(tmp_path / "bad.nc", engine="h5netcdf")
    said = fit(command, tmp_path, "--teacher", "bad.nc", "--observations", home / "obs.nc", code=code)
    assert "bad.nc" in said and all(word in said for word in words), said


def test_an_accumulated_field(command, home, teacher, tmp_path):
    accumulated(teacher).to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    rng = np.random.default_rng(0)
    table(home).assign(tp=lambda f: rng.gamma(1, 1e-3, len(f)))[["valid_time", "station", "tp"]].to_csv(
        tmp_path / "rain.csv", index=False
    )
    said = fit(command, tmp_path, "--teacher", "rain.nc", "--observations", "rain.csv", "--units", "tp=m")
    assert "rain.nc" in said and "tp" in said and "--deaccumulate" in said


def same_design(one, two):
    a, b = (make_design(pair(read_teacher(s), s), s) for s in (one, two))
    np.testing.assert_array_equal(a.pairs.truth, b.pairs.truth)
    np.testing.assert_array_equal(a.corrected, b.corrected)
    assert np.array_equal(a.train, b.train) and np.array_equal(a.test, b.test)


def test_order_of_times_does_not_matter(home, teacher, tmp_path):
    shuffled = np.random.default_rng(0).permutation(teacher.sizes["time"])
    teacher.isel(time=shuffled).to_netcdf(tmp_path / "nwp.nc", engine="h5netcdf")
    table(home).to_csv(tmp_path / "sorted.csv", index=False)
    table(home).sample(frac=1, random_state=0).to_csv(tmp_path / "shuffled.csv", index=False)
    same_design(
        Fit(teacher=home / "nwp.nc", observations=tmp_path / "sorted.csv"),
        Fit(teacher=tmp_path / "nwp.nc", observations=tmp_path / "shuffled.csv"),
    )


def test_gaps_are_accepted(command, home, teacher, tmp_path):
    teacher.isel(time=np.r_[0:100, 110:150, 151:240]).to_netcdf(tmp_path / "nwp.nc", engine="h5netcdf")
    frame = table(home)
    day = frame["valid_time"].dt.day_of_year
    frame[(day < 130) | (day > 140)].to_csv(tmp_path / "obs.csv", index=False)
    done = command("kd", "fit", "--observations", "obs.csv", "--dry-run", folder=tmp_path)
    assert done.returncode == 0, done.stderr


# ---- options

BAD_OPTIONS = {
    "horizon": (["--horizon", "9"], 2, "holds 2 leads"),
    "station": (["--stations", "Seol"], 2, 'did you mean "Seoul"'),
    "target": (["--target", "t2n"], 2, "t2n"),
    "device": (["--device", "tpu"], 2, "expected auto"),
    "core": (["--device", "cpu:3"], 2, "expected auto"),
    "epochs": (["--epochs", "0"], 2, "greater than 0"),
    "number": (["--epochs", "abc"], 2, "an integer"),
    "schedule": (["--schedule", "archiv"], 2, "archive"),
    "option": (["--epoch", "3"], 2, "--epochs"),
    "split": (["--split", "0.5,0.5"], 2, "three positive fractions"),
    "no config": (["-c", "missing.toml"], 3, "missing.toml"),
    "both": (["--resume", "a", "--init-from", "b"], 2, "exclude each other"),
    "residual": (["--mode", "residual", "--schedule", "joint"], 2, "residual"),
    "weights": (["--init-from", "nothing"], 3, "nothing"),
    "date": (["--train-until", "soon", "--validation-until", "later"], 2, "soon"),
    "limit": (["--limit", "5"], 3, "at least 10 are needed"),
    "history": (["--history", "5000"], 3, "--history"),
    "zone": (["--zone", "Asia/Soul"], 3, "Asia/Soul"),
    "column": (["--units", "nothing=degC"], 2, "nothing"),
    "unit": (["--units", "t2m=parsec"], 3, "parsec"),
    "train issues": (["--train-issues", "5000"], 2, "the training block holds"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options(command, home, tmp_path, name):
    options, code, words = BAD_OPTIONS[name]
    table(home).to_csv(tmp_path / "obs.csv", index=False)
    said = fit(command, tmp_path, "--teacher", home / "nwp.nc", "--observations", "obs.csv", *options, code=code)
    assert words in said, said


def test_a_missing_device_is_said_before_data_is_read(command, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    said = fit(command, tmp_path, "--device", "cuda", "--teacher", "missing.nc", code=5)
    assert "CUDA" in said and "--device cpu" in said and "missing.nc" not in said


BAD_FILES = {
    "syntax": ("epochs = = 3\n", ["bad.toml"]),
    "key": ("epoch = 3\n", ["bad.toml", "epoch", "epochs"]),
    "value": ('epochs = "many"\n', ["bad.toml", "epochs", "many"]),
    "choice": ('schedule = "archiv"\n', ["bad.toml", "archive"]),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_settings_files(command, tmp_path, name):
    text, words = BAD_FILES[name]
    (tmp_path / "bad.toml").write_text(text)
    done = command("kd", "fit", "-c", "bad.toml", folder=tmp_path)
    assert done.returncode in (2, 3) and all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_is_never_overwritten(command, home):
    said = fit(command, home, "--observations", "obs.nc", "--out", "run", code=2)
    assert "run" in said and "--resume" in said
    assert "obs.nc" in fit(command, home, "--observations", "obs.nc", "--out", "obs.nc", code=2)


def test_a_run_folder_that_cannot_be_made(command, home):
    said = fit(command, home, "--observations", "obs.nc", "--out", "obs.nc/run")
    assert "obs.nc/run" in said and "--out" in said


# ---- trained students


def test_models_that_are_none(command, home, tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "config.json").write_text("[]")
    (tmp_path / "text" / "model.safetensors").write_bytes((home / "run/checkpoints/best.safetensors").read_bytes())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"format": "sciml-kd-1"}')
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"")
    for name in ("missing", "text", "broken"):
        done = command("kd", "predict", "--model", name, "--observations", home / "obs.nc", folder=tmp_path)
        assert done.returncode == 3 and name in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (tmp_path / "forecast.nc").exists()


def test_observations_of_another_step(command, home, tmp_path):
    """A past of 14 three-hourly steps is not the past of 14 days that was learned."""
    with xr.open_dataset(home / "obs.nc", engine="h5netcdf") as ds:
        ds.load().resample(time="3h").interpolate("linear").to_netcdf(tmp_path / "often.nc", engine="h5netcdf")
    done = command("kd", "predict", "--model", home / "run", "--observations", "often.nc", folder=tmp_path)
    assert done.returncode == 3 and "often.nc: observed every 3 h" in done.stderr and "24 h" in done.stderr


def test_observations_without_the_station(command, home, tmp_path):
    other_stations(table(home)).to_csv(tmp_path / "obs.csv", index=False)
    done = command("kd", "predict", "--model", home / "run", "--observations", "obs.csv", folder=tmp_path)
    assert done.returncode in (2, 3) and "obs.csv" in done.stderr and "Traceback" not in done.stderr


def test_a_past_that_is_too_short(command, home, tmp_path):
    ten_days(table(home)).iloc[:6].to_csv(tmp_path / "obs.csv", index=False)
    done = command("kd", "predict", "--model", home / "run", "--observations", "obs.csv", folder=tmp_path)
    assert done.returncode == 3 and "past" in done.stderr and "Traceback" not in done.stderr, done.stderr
