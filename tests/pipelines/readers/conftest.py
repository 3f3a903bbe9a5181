"""Where the real data sets lie, and small ways to write files."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def real_data():
    """The folder of real data: SCIML_TEST_DATA, or shared/data beside the repository."""
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("SCIML_TEST_DATA", default))
    if not (folder / "kd").is_dir():
        pytest.skip(f"no real data at {folder}: set SCIML_TEST_DATA")
    return folder


@pytest.fixture
def write(tmp_path):
    """Writes text (or bytes) to a file of the test's folder and returns its path."""

    def to(name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return to
