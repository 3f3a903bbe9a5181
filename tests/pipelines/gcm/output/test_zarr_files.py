"""The Zarr folder: how many frames there are stands in one file, replaced after the frame's chunks are written."""

import shutil

import numpy as np
import pytest
import xarray as xr

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.output import zarr_files
from sciml.pipelines.gcm.output.files import Layout, open_output

zarr = pytest.importorskip("zarr")


def layout(frames: int = 4, members: int = 1) -> Layout:
    return Layout(
        ("temperature", "surface_pressure"), np.arange(6) * 60.0, np.linspace(-50, 50, 4), np.datetime64("2020-01-01T00"),
        3600, frames, members=members, pressures=(500.0, 850.0), attributes={"Conventions": "CF-1.11"},
    )  # fmt: skip


def frame(what: Layout, number: int) -> dict:
    return {name: np.full(what.shape(name), 280.0 + number) for name in what.variables}


@pytest.mark.parametrize("members", [1, 3])
def test_xarray_sees_the_committed_frames(tmp_path, members):
    what = layout(members=members)
    output = open_output(tmp_path / "a.zarr", what)
    output.create()
    for number in range(3):
        with xr.open_dataset(output.path, engine="zarr") as ds:
            assert ds.sizes["prediction_timedelta"] == number
        output.append(frame(what, number))
    with xr.open_dataset(output.path, engine="zarr") as ds:
        assert ds.prediction_timedelta.values.tolist() == [n * 3600 * 10**9 for n in range(3)]
        assert ds.temperature.dims == what.dims("temperature") and ds.temperature.attrs["units"] == "K"
        assert ds.time.values == np.datetime64("2020-01-01") and ds.attrs["Conventions"] == "CF-1.11"
        for number in range(3):
            assert (ds.temperature[number] == 280 + number).all() and ds.temperature.dtype == np.float32
    assert zarr.open_group(output.path)["temperature"].metadata.zarr_format == 3
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_kill_before_the_commit_hides_the_half_frame(tmp_path, monkeypatch):
    what = layout()
    output = open_output(tmp_path / "a.zarr", what)
    output.create()
    output.append(frame(what, 0))
    monkeypatch.setattr(zarr_files, "_show_frames", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        output.append(frame(what, 1))
    with xr.open_dataset(output.path, engine="zarr") as ds:
        assert ds.sizes["prediction_timedelta"] == 1 and float(ds.temperature[0].max()) == 280
    # read without the consolidated metadata, frames to come are missing values, and nothing fails
    with xr.open_dataset(output.path, engine="zarr", consolidated=False) as ds:
        assert ds.sizes["prediction_timedelta"] == 4 and np.isnan(ds.temperature[3]).all()


def test_a_finished_folder_can_be_extended(tmp_path):
    output = open_output(tmp_path / "a.zarr", layout(2))
    output.create()
    for number in range(2):
        output.append(frame(layout(), number))
    longer = open_output(output.path, layout(5))
    longer.reopen(2)
    for number in (2, 3, 4):
        longer.append(frame(layout(), number))
    with xr.open_dataset(output.path, engine="zarr") as ds:
        assert ds.prediction_timedelta.values[-1] == np.timedelta64(4, "h") and float(ds.temperature[4].min()) == 284


def test_what_is_not_continued(tmp_path):
    with pytest.raises(DataError, match="not the Zarr folder"):
        open_output(tmp_path / "a.zarr", layout()).reopen(1)
    output = open_output(tmp_path / "a.zarr", layout())
    output.create()
    with pytest.raises(DataError, match="holds 0 frames"):
        open_output(output.path, layout()).reopen(1)
    shutil.rmtree(output.path / "temperature")
    (output.path / "zarr.json").write_text("{")
    with pytest.raises(DataError, match="not the Zarr folder"):
        open_output(output.path, layout()).reopen(0)


def test_without_zarr_installed(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(SettingsError) as caught:
        open_output(tmp_path / "a.zarr", layout())
    assert "sciml[zarr]" in caught.value.hint
