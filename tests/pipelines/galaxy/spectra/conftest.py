"""Real grids and spectra."""

import pytest


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
