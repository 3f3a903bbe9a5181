"""Where the real galaxy data lie; one thread."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def galaxy_data() -> Path:
    """The folder of real galaxy data: SCIML_TEST_DATA/galaxy, or shared/data/galaxy beside the repository."""
    default = Path(__file__).resolve().parents[5] / "shared" / "data"
    folder = Path(os.environ.get("SCIML_TEST_DATA", default)) / "galaxy"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set SCIML_TEST_DATA")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
