"""What `sciml kd fit` refuses before it writes anything."""

import shutil

import pytest
import xarray as xr

from sciml.cli.main import main
from sciml.pipelines.compute import workers


def test_a_file_of_settings_beside_resume(home, command, tmp_path):
    (tmp_path / "other.toml").write_text("epochs = 99\n")
    done = command("kd", "fit", "--resume", "run", "-c", tmp_path / "other.toml", "--workers", "1", folder=home)
    assert done.returncode == 2 and "--config" in done.stderr and "--resume" in done.stderr


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_joint_without_a_record_leaves_no_folder(home, command, tmp_path, dry):
    """Forecasts every third day: their shortest leads do not make a past without holes."""
    with xr.open_dataset(home / "nwp.nc") as ds:
        ds.isel(time=slice(0, None, 3)).to_netcdf(tmp_path / "nwp.nc", engine="h5netcdf")
    shutil.copy(home / "obs.nc", tmp_path)
    line = ("kd", "fit", "--observations", "obs.nc", "--schedule", "joint", "--history", "4", "--min-history", "0.9")
    done = command(*line, "--workers", "1", "--out", "new", *dry, folder=tmp_path)
    assert done.returncode == 3 and "record" in done.stderr and "--schedule response" in done.stderr, done.stderr
    assert not (tmp_path / "new").exists()


def test_too_few_forecasts_to_choose_by(home, command):
    done = command(
        "kd", "fit", "--observations", "obs.nc", "--limit", "15", "--history", "2", "--workers", "1", "--out", "few", folder=home
    )
    assert done.returncode == 3 and "validation block" in done.stderr and "--limit" in done.stderr, done.stderr
    assert not (home / "few").exists()


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("--teacher here.nc", True),
        ("--teacher here.nc --workers 1", False),
        ("--teacher absent.nc", False),
        ("--teacher here.nc --observations absent.nc", False),
        ("--resume absent", False),
        ("--resume here.nc --config settings.toml", False),
    ],
)
def test_no_helper_is_started_for_what_is_refused_by_name(line, starts, tmp_path, monkeypatch):
    (tmp_path / "here.nc").write_bytes(b"no forecast")
    (tmp_path / "settings.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr(workers, "warm", lambda *modules: started.append(modules))
    assert main(["kd", "fit", *line.split()]) in (2, 3) and bool(started) == starts
