"""The file of frames: the same data set in both forms, CF attributes, kills and full disks, other readers."""

import os

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.output.files import Layout, NetCDFOutput, open_output
from sciml.pipelines.gcm.output.netcdf3 import RecordFile
from sciml.pipelines.readers.forecast import open_forecast

LONGITUDE, LATITUDE = np.arange(8) * 45.0, np.linspace(-60, 60, 5)


def layout(**changes) -> Layout:
    given = {
        "variables": ("temperature", "surface_pressure"), "longitude": LONGITUDE, "latitude": LATITUDE,
        "start": np.datetime64("2020-02-28T12"), "interval_seconds": 21600, "frames": 5, "pressures": (500.0, 850.0),
        "attributes": {"Conventions": "CF-1.11", "title": "a test"},
    }  # fmt: skip
    return Layout(**{**given, **changes})


def frame(what: Layout, number: int) -> dict:
    rng = np.random.default_rng(number)
    return {name: (280 + rng.normal(size=what.shape(name))).astype(np.float32) for name in what.variables}


def written(path, what: Layout, frames: int = 3):
    output = open_output(path, what)
    output.create()
    for number in range(frames):
        output.append(frame(what, number))
    return output


CASES = {
    "pressure": {},
    "sigma": {"pressures": None, "sigma": (0.1, 0.5, 0.9)},
    "one level": {"pressures": None, "variables": ("height", "vorticity")},
    "members": {"members": 3},
    "half levels": {"pressures": (12.5, 850.0)},
    "minutes": {"interval_seconds": 1200},
    "surface": {"surface": {"geopotential_at_surface": np.ones((5, 8))}},
    "both verticals": {
        "sigma": (0.1, 0.5, 0.9),
        "variables": ("temperature", "temperature_on_sigma", "surface_pressure"),
    },
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
def test_both_forms_decode_to_the_same_data_set(tmp_path, changes):
    what = layout(**changes)
    output = written(tmp_path / "a.nc", what)
    with xr.open_dataset(output.path, engine="scipy") as running:
        running.load()
    assert output.finish() == "" and not list(tmp_path.glob("*.tmp"))
    with xr.open_dataset(output.path, engine="h5netcdf") as done:
        done.load()
    xr.testing.assert_identical(running, done)
    assert done.prediction_timedelta.values.tolist() == [n * what.interval_seconds * 10**9 for n in range(3)]
    assert done.prediction_timedelta.dtype == "timedelta64[ns]"
    assert done.time.values == np.datetime64("2020-02-28T12") and done.time.dims == ()
    assert done.latitude.attrs["units"] == "degrees_north" and done.attrs["Conventions"] == "CF-1.11"
    for name in what.variables:
        assert done[name].dims == what.dims(name) and done[name].dtype == np.float32 and done[name].attrs["units"]
        for number in range(3):
            np.testing.assert_array_equal(done[name][number], frame(what, number)[name])


def test_the_finished_file_is_chunked_by_frame_and_compressed(tmp_path):
    import h5py

    written(tmp_path / "a.nc", layout()).finish()
    with h5py.File(tmp_path / "a.nc") as file:
        field = file["temperature"]
        assert field.chunks == (1, 2, 5, 8) and field.compression == "gzip" and field.compression_opts == 1
        assert field.shuffle and field.maxshape[0] is None


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("members", [1, 2])
def test_our_own_reader_takes_it_as_a_forecast(tmp_path, finished, members):
    output = written(tmp_path / "a.nc", layout(members=members))
    if finished:
        output.finish()
    ds = open_forecast(output.path)
    assert ds.sizes["time"] == 1 and ds.sizes["prediction_timedelta"] == 3 and ds.sizes.get("number", 1) == members
    assert ds.level.values.tolist() == [500, 850] and ds.temperature.attrs["units"] == "K"
    assert ds.attrs["sciml_notes"] == []


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
@pytest.mark.parametrize("finished", [False, True])
def test_a_file_is_continued_where_the_checkpoint_says(tmp_path, suffix, finished):
    if suffix == "zarr":
        pytest.importorskip("zarr")
    what = layout()
    output = written(tmp_path / f"a.{suffix}", what, 4)
    output.finish() if finished else output.close()
    again = open_output(output.path, what)
    again.reopen(2)
    assert again.frames == 2
    for number in (2, 3, 4):
        again.append(frame(what, number))
    again.finish()
    with xr.open_dataset(output.path, engine="zarr" if suffix == "zarr" else "h5netcdf") as ds:
        assert ds.sizes["prediction_timedelta"] == 5
        for number in range(5):
            np.testing.assert_array_equal(ds.temperature[number], frame(what, number)["temperature"])
    assert not list(tmp_path.glob("*.tmp"))


def test_a_file_that_is_gone_or_another_is_not_continued(tmp_path):
    what = layout()
    with pytest.raises(DataError, match="gone"):
        open_output(tmp_path / "a.nc", what).reopen(1)
    (tmp_path / "a.nc").write_text("text")
    with pytest.raises(DataError, match="not the file"):
        open_output(tmp_path / "a.nc", what).reopen(1)
    written(tmp_path / "b.nc", layout(variables=("temperature",))).finish()
    with pytest.raises(DataError, match="surface_pressure"):
        open_output(tmp_path / "b.nc", what).reopen(1)
    written(tmp_path / "c.nc", what, 1).close()
    with pytest.raises(DataError, match="1 of the 2 frames"):
        open_output(tmp_path / "c.nc", what).reopen(2)


def test_no_room_for_the_compressed_copy_keeps_the_first_form(tmp_path, monkeypatch):
    import h5netcdf

    output = written(tmp_path / "a.nc", layout())

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5netcdf, "File", full)
    assert "No space left" in output.finish()
    with xr.open_dataset(output.path, engine="scipy") as ds:
        assert ds.sizes["prediction_timedelta"] == 3
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("step", ["header", "frame"])
def test_a_full_disk_is_a_data_error_that_says_what_is_kept(tmp_path, monkeypatch, step):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    output = open_output(tmp_path / "a.nc", layout())
    if step == "header":
        monkeypatch.setattr(RecordFile, "create", full)
        with pytest.raises(DataError, match="nothing was written"):
            output.create()
        return
    output.create()
    output.append(frame(layout(), 0))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DataError, match=r"a\.nc: No space left on device; its 1 frames are kept") as caught:
        output.append(frame(layout(), 1))
    assert "--resume" in caught.value.hint


def test_what_netcdf3_cannot_hold_is_sent_to_zarr(tmp_path):
    with pytest.raises(SettingsError) as caught:
        NetCDFOutput(tmp_path / "a.nc", layout(members=100_000_000))
    assert ".zarr" in caught.value.hint


def test_frames_of_unequal_distance_and_means(tmp_path):
    what = layout(leads=(0, 744, 1440), cell_methods="time: mean", interval_seconds=3600, frames=3)
    output = written(tmp_path / "a.nc", what)
    assert output.finish() == ""
    with xr.open_dataset(output.path, engine="h5netcdf") as done:
        assert (done.prediction_timedelta / np.timedelta64(1, "h")).values.tolist() == [0, 744, 1440]
        assert done.temperature.attrs["cell_methods"] == "time: mean"
