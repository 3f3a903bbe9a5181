"""Every example runs as it stands, without arguments, and leaves what it promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sciml.pipelines.kd.settings import Fit
from sciml.pipelines.settings import resolve

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
def test_distill_station(tmp_path):
    script = EXAMPLES / "distill_station.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "distilled student" in done.stdout and "Distillation" in done.stdout
    assert Path(tmp_path, done.stdout.splitlines()[-1]).is_file()


@pytest.mark.slow
def test_recover_initial_state(tmp_path):
    script = EXAMPLES / "recover_initial_state.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    before, after = (float(x) for x in re.findall(r"([\d.]+) m", done.stdout))
    assert after < 0.5 * before and (tmp_path / "recovered.png").stat().st_size > 10_000


@pytest.mark.slow
def test_neuralgcm_forecast(tmp_path):
    script = EXAMPLES / "neuralgcm_forecast.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    assert "all finite: True" in done.stdout and (tmp_path / "neuralgcm_forecast.png").stat().st_size > 10_000


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_examples_are_short(path):
    assert len(path.read_text().splitlines()) <= 60


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("settings/*.toml")), ids=lambda p: p.name)
def test_settings_files_are_accepted(path):
    assert resolve(Fit, {}, path).mode == "residual"
