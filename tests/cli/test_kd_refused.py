"""What `sciml kd fit` refuses before it writes anything, and what two processes say together."""

import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr


def test_a_file_of_settings_beside_resume(home, command, tmp_path):
    (tmp_path / "other.toml").write_text("epochs = 99\n")
    done = command("kd", "fit", "--resume", "run", "-c", tmp_path / "other.toml", folder=home)
    assert done.returncode == 2 and "--config" in done.stderr and "--resume" in done.stderr


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_joint_without_a_record_leaves_no_folder(home, command, tmp_path, dry):
    """Forecasts every third day: their shortest leads do not make a past without holes."""
    with xr.open_dataset(home / "nwp.nc") as ds:
        ds.isel(time=slice(0, None, 3)).to_netcdf(tmp_path / "nwp.nc", engine="h5netcdf")
    shutil.copy(home / "obs.nc", tmp_path)
    line = ("kd", "fit", "--observations", "obs.nc", "--schedule", "joint", "--history", "4", "--min-history", "0.9")
    done = command(*line, "--out", "new", *dry, folder=tmp_path)
    assert done.returncode == 3 and "record" in done.stderr and "--schedule response" in done.stderr, done.stderr
    assert not (tmp_path / "new").exists()


def test_too_few_forecasts_to_choose_by(home, command):
    done = command(
        "kd", "fit", "--observations", "obs.nc", "--limit", "15", "--history", "2", "--out", "few", folder=home
    )
    assert done.returncode == 3 and "validation block" in done.stderr and "--limit" in done.stderr, done.stderr
    assert not (home / "few").exists()


def test_two_processes_speak_once(home, tiny):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), "-m", "sciml.cli"]
    line = [sys.executable, "-m", *launcher, "kd", "fit", "--observations", "obs.nc", *tiny, "--out", "two"]
    done = subprocess.run(line, cwd=home, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stderr
    said = [
        text for text in done.stderr.splitlines() if "device cpu" in text or "past of" in text or "train 20" in text
    ]
    assert len(said) == 3, done.stderr
    assert np.isfinite(
        [float(n) for n in done.stdout.split() if n.count(".") == 1 and n.replace(".", "").isdigit()]
    ).all()
