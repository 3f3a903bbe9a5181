"""The published configurations: facts of the paper's models, and one text of the original where it is at hand."""

import os
from pathlib import Path

import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import papers, store
from sciml.pipelines.gcm.neural.checkpoint.schema import model_config

TEXTS = Path(os.environ.get("NEURALGCM_PAPER_CONFIGS", "paper_configs"))
FILES = {
    "neuralgcm-2.8": "deterministic_2_8_deg.gin",
    "neuralgcm-1.4": "deterministic_1_4_deg.gin",
    "neuralgcm-0.7": "deterministic_0_7_deg.gin",
    "neuralgcm-ens-1.4": "stochastic_1_4_deg.gin",
}


@pytest.mark.parametrize(("name", "file"), FILES.items())
def test_the_public_text_says_the_same(name, file):
    path = TEXTS / file
    if not path.exists():
        pytest.skip("NEURALGCM_PAPER_CONFIGS names no folder with the public gin files")
    assert model_config(path.read_text(), source=file) == papers.config(name)


# nodes, substeps, inner steps, step of the core [min], positional channels, memory, order of the stability filter
FACTS = {
    "neuralgcm-2.8": ((128, 64), 1, 5, 12.0, 8, True, 10),
    "neuralgcm-1.4": ((256, 128), 2, 5, 6.0, 32, True, 6),
    "neuralgcm-0.7": ((512, 256), 2, 8, 3.75, 32, True, 6),
    "neuralgcm-ens-1.4": ((256, 128), 2, 5, 6.0, 8, False, 10),
}


@pytest.mark.parametrize(("name", "facts"), FACTS.items())
def test_facts_of_the_published_models(name, facts):
    config = papers.config(name)
    step = config.step
    minutes = config.step_seconds / 60 / step.substeps / step.dycore.inner_steps
    positional = [f.latent_size for f in step.physics.features.features if isinstance(f, c.LearnedPositionalFeatures)]
    grid = config.model.grid
    found = (
        (grid.longitude_nodes, grid.latitude_nodes),
        *(step.substeps, step.dycore.inner_steps, minutes, positional[0]),
        *(config.encoder.memory, step.physics.filter.filters[0].order),
    )
    assert found == facts
    assert len(config.reference_temperature) == config.model.levels.layers == 32
    assert len(config.data.pressure_levels) == 37


def test_random_fields_of_the_stochastic_model():
    fields = papers.config("neuralgcm-ens-1.4").step.randomness
    kilometres = [84, 201, 410, 751, 1268, 2016, 3054, 4449, 6275, 8612]
    assert [length / 1000 for length in fields.correlation_lengths] == kilometres
    assert [time / 3600 for time in fields.correlation_times] == [1, 2, 4, 8, 14, 23, 35, 52, 73, 100]
    assert fields.names[0] == "GRF_001_hours_00084_km" and fields.clip == 6


def test_an_unknown_model_is_named():
    with pytest.raises(SettingsError, match='unknown model "neuralgcm-2.9"; did you mean "neuralgcm-2.8"'):
        papers.config("neuralgcm-2.9")


def test_random_weights_from_a_seed(make):
    aux = make.fixed_fields(papers.config("neuralgcm-2.8").data.grid)
    made = papers.checkpoint("neuralgcm-2.8", 5, aux)
    assert store.count(made.params) == 14_518_180 and "seed 5" in made.provenance["source"]
    assert made.params["encoder"]["tower"]["encode"]["linear_0"]["kernel"].any()
    with pytest.raises(DataError, match="the surface fields for neuralgcm-1.4"):
        papers.checkpoint("neuralgcm-1.4", 0, aux)
