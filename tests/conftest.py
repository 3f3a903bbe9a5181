"""What all tests share: an empty working folder, and a terminal that looks the same everywhere."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    """Runs are written under the working folder: each test gets its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sciml(tmp_path):
    """Runs the command line in a process of its own and returns it, finished: `sciml("runs", "list").stdout`."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "sciml.cli", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            timeout=300,
        )

    return run
