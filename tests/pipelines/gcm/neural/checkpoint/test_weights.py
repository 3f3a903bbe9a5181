"""Which weights a model has: published counts, no name twice, siblings told apart."""

import dataclasses
import math

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import papers
from sciml.pipelines.gcm.neural.checkpoint.weights import snake, weights

COUNTS = {
    "neuralgcm-2.8": 14_518_180,
    "neuralgcm-1.4": 18_343_580,
    "neuralgcm-0.7": 31_123_612,
    "neuralgcm-ens-1.4": 11_519_823,
}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_published_counts(name, count):
    found = weights(papers.config(name))
    assert sum(math.prod(weight.shape) for weight in found) == count
    assert len({weight.path for weight in found}) == len({(w.module, w.name) for w in found}) == len(found)


def test_siblings_of_one_name_are_numbered(make):
    """Without names of their own, the three stages of a tower are told apart by number."""
    config = make.small("neuralgcm-2.8")
    tower = config.decoder.mapping.tower
    plain = {n: dataclasses.replace(getattr(tower, n), name=None) for n in ("encode", "process", "decode")}
    decoder = dataclasses.replace(config.decoder, mapping=c.NodalMapping(dataclasses.replace(tower, **plain)))
    found = [
        w.module for w in weights(dataclasses.replace(config, decoder=decoder)) if w.path[:2] == ("decoder", "tower")
    ]
    stages = list(dict.fromkeys(module.split("epd_tower/")[1].split("/")[0] for module in found))
    assert stages == ["column_tower", "column_tower_1", "column_tower_2"]
    assert snake("NodalLandSeaIceEmbedding") == "nodal_land_sea_ice_embedding"


def test_two_learned_diagnostics_are_refused(make):
    config = make.small("neuralgcm-2.8")
    embedding = c.ModalToNodalEmbedding(c.PressureFeatures(), config.decoder.mapping)
    both = c.CombinedDiagnostics((c.PrecipitationDiagnosticsConstrained(embedding),) * 2)
    with pytest.raises(DataError, match="2 PrecipitationDiagnosticsConstrained; accepted: at most one"):
        weights(dataclasses.replace(config, step=dataclasses.replace(config.step, diagnostics=both)))


def test_a_convolution_takes_fields_of_equal_levels(make):
    config = make.small("neuralgcm-2.8")
    mapping = config.step.physics.features.features[1].embedding.mapping
    mixed = c.CombinedFeatures((c.PressureFeatures(), c.RadiationFeatures()))
    volume = c.EmbeddingVolumeFeatures("CNN1D", 2, c.ModalToNodalEmbedding(mixed, mapping))
    physics = dataclasses.replace(config.step.physics, features=c.CombinedFeatures((volume,)))
    with pytest.raises(DataError, match="fields of different levels for one convolution"):
        weights(dataclasses.replace(config, step=dataclasses.replace(config.step, physics=physics)))
