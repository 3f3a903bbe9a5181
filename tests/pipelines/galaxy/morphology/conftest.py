"""Small simulated galaxies, their segmaps, and statmorph's answers, made once."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sciml.pipelines.galaxy.morphology.cases import segmented
from sciml.pipelines.readers.synthetic_galaxies_images import simulate_cutouts

DATA = Path(__file__).resolve().parents[4].parent / "shared" / "data" / "galaxy"


@pytest.fixture(scope="session")
def galaxies() -> SimpleNamespace:
    """Ten galaxies on stamps of 64 to 110 pixels: images, segmaps, labels, gain."""
    made = simulate_cutouts(10, seed=5, sizes=(64, 80, 110))
    case = segmented("small", made.images, gain=made.gain)
    assert len(case.images) == 10
    return SimpleNamespace(
        images=case.images, segmaps=case.segmaps, labels=case.labels, gain=made.gain, psf=made.psf, case=case
    )


@pytest.fixture(scope="session")
def statmorph_rows(galaxies) -> list[dict]:
    """statmorph on the same galaxies."""
    pytest.importorskip("statmorph")
    from sciml.pipelines.galaxy.morphology.bench import _sources
    from sciml.pipelines.galaxy.morphology.peer import measure_source

    return [measure_source(source) for source in _sources(galaxies.case)]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real cutouts, where this machine has it."""
    if not DATA.is_dir():
        pytest.skip(f"real galaxy data is not at {DATA}")
    return DATA
