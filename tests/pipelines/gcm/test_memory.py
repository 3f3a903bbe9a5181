"""The estimate of memory against measured peaks, and how it grows."""

import subprocess
import sys

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.memory import estimate
from sciml.pipelines.gcm.settings import Rollout

# VmHWM and not ru_maxrss, in which the peak of the parent, pytest, survives the exec
MEASURE = """
import re, sys
from pathlib import Path
from sciml.cli.main import main
code = main(sys.argv[1:])
print(code, 1024 * int(re.search("VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize(
    "changes",
    [
        {"truncation": "T21", "levels": 5},
        pytest.param({"truncation": "T42", "members": 8}, marks=pytest.mark.slow),
        pytest.param({"truncation": "T42", "members": 4, "precision": "float64"}, marks=pytest.mark.slow),
        pytest.param({"truncation": "T85"}, marks=pytest.mark.slow),
        pytest.param({"truncation": "T85", "initial": "galewsky"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_estimate_is_near_the_measured_peak(tmp_path, changes):
    settings = Rollout(days=0.125, every_hours=1, **changes)
    options = [word for name, value in changes.items() for word in (f"--{name}", str(value))]
    line = ["gcm", "rollout", "--days", "0.125", "--every-hours", "1", "--no-report", "--device", "cpu", *options]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *line], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    code, peak = map(float, done.stdout.splitlines()[-1].split())
    assert code == 0, done.stderr
    assert 0.6 < estimate(settings)["memory_GB"] * 1e9 / peak < 1.7


def test_memory_and_disk_grow_with_what_they_hold():
    base, several = estimate(Rollout()), estimate(Rollout(members=10))
    assert base["frames"] == 41 and base["steps"] == 480 and base["grid"] == "128 x 64 x 24"
    assert several["memory_GB"] > base["memory_GB"] and several["file_GB"] == pytest.approx(10 * base["file_GB"])
    assert several["memory_per_member_GB"] == pytest.approx(base["memory_per_member_GB"])
    assert estimate(Rollout(precision="float64"))["state_MB"] == 2 * base["state_MB"]
    assert estimate(Rollout(variables=("temperature",)))["file_GB"] < base["file_GB"] / 3
    assert estimate(Rollout(output_levels=("sigma",)))["file_GB"] > 1.5 * base["file_GB"]
    assert estimate(Rollout(truncation="T85"))["state_MB"] > 3.5 * base["state_MB"]


def test_an_unknown_truncation_is_named():
    with pytest.raises(SettingsError, match="T42"):
        estimate(Rollout(truncation="T43"))
