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


@pytest.fixture(scope="session")
def bc03(galaxy_data):
    """The real grid of 40 populations."""
    from sciml.pipelines.galaxy.spectra.ssp import read_bc03

    return read_bc03(galaxy_data / "ssp_small" / "bc03_mpajhu")


@pytest.fixture(scope="session")
def cloudy(galaxy_data):
    """The real grid of emission lines."""
    from sciml.pipelines.galaxy.spectra.nebular import read_lines

    return read_lines(galaxy_data / "ssp_small" / "ZAU_ND_mist.lines")


@pytest.fixture(scope="session")
def sdss(galaxy_data):
    """Ten real spectra."""
    from sciml.pipelines.readers.sdss import read_spectrum

    return [read_spectrum(path) for path in sorted((galaxy_data / "sdss_matched10" / "spectra").glob("*.fits"))]
