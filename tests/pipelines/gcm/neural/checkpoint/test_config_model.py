"""The whole model's settings: slots and defaults."""

import dataclasses

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import papers


def test_parts_can_be_exchanged():
    config = papers.config("neuralgcm-2.8")
    fixed = c.SequentialStepFilter((config.step.dycore.filter, c.FixGlobalMeanFilter()))
    dycore = dataclasses.replace(config.step.dycore, filter=fixed)
    edited = dataclasses.replace(config, step=dataclasses.replace(config.step, dycore=dycore))
    assert edited != config and edited.step.physics == config.step.physics


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("scale", "metric", '"atmospheric", "default"'),
        ("forcing", c.NoDiagnostics(), "DynamicDataForcing"),
        ("reference_temperature", (280.0, None), "finite number"),
        ("step", None, "Step"),
    ],
)
def test_wrong_parts_are_named(field, value, accepted):
    with pytest.raises(DataError, match=f"ModelConfig.{field}.*{accepted}"):
        dataclasses.replace(papers.config("neuralgcm-2.8"), **{field: value})


def test_water_is_vapour_ice_and_liquid():
    assert c.PrecipitationMinusEvaporationDiagnostics().moisture_species == c.WATER and len(c.WATER) == 3


IMPOSSIBLE = {
    "substeps": lambda k: dataclasses.replace(k, step=dataclasses.replace(k.step, substeps=0)),
    "inner_steps": lambda k: dataclasses.replace(k.step.dycore, inner_steps=-1),
    "step_seconds": lambda k: dataclasses.replace(k, step_seconds=0),
    "latent_size": lambda k: dataclasses.replace(k.encoder.mapping.tower, latent_size=0),
    "correlation_times": lambda k: c.BatchGaussianRandomFields((0.0,), (1.0,), (1.0,)),
    "tau_seconds": lambda k: c.ExponentialFilter(0.0),
    "max_value": lambda k: c.SoftClip(0.0),
    "output_size": lambda k: dataclasses.replace(k.step.physics.features.features[0], output_size=0),
    "kernel_size": lambda k: c.VerticalConvTower((3,), 0),
    "reference temperatures": lambda k: dataclasses.replace(k, reference_temperature=(280.0,)),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_numbers_are_named(name):
    with pytest.raises(DataError, match=name):
        IMPOSSIBLE[name](papers.config("neuralgcm-2.8"))
