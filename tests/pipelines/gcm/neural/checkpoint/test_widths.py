"""Widths of features and outputs: the published numbers, and what cannot be computed."""

import dataclasses

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import papers, widths

# Inputs of encoder, physics, decoder networks of the published models.
PUBLISHED = {
    "neuralgcm-2.8": (1052, 2365, 784),
    "neuralgcm-1.4": (1076, 2389, 297),
    "neuralgcm-0.7": (1076, 2389, 297),
    "neuralgcm-ens-1.4": (1062, 2118, 784),
}


@pytest.mark.parametrize("name", papers.NAMES)
def test_the_published_models(name):
    config = papers.config(name)
    encoder, step, decoder = config.encoder, config.step, config.decoder
    data = widths.features(encoder.data_features, widths.data_place(config))
    model = widths.features(encoder.model_features, widths.model_place(config, encoder.randomness))
    physics = widths.features(step.physics.features, widths.model_place(config, step.randomness))
    decoded = widths.features(decoder.model_features, widths.model_place(config, decoder.randomness))
    inputs = (sum(data.values()) + sum(model.values()), sum(physics.values()), sum(decoded.values()))
    assert inputs == PUBLISHED[name]
    assert sum(widths.state_outputs(config, encoder.predicted, wind=False).values()) == 193
    assert sum(widths.state_outputs(config, step.physics.predicted, wind=True).values()) == 192
    assert sum(widths.data_outputs(config, decoder.predicted).values()) == 259
    assert "u" in widths.state_outputs(config, step.physics.predicted, wind=True)


def place(**changes):
    config = papers.config("neuralgcm-2.8")
    return dataclasses.replace(widths.model_place(config, config.step.randomness), **changes)


def test_gradients_are_three_more():
    feature = c.VelocityAndPrognostics(("temperature_variation",), gradients=True)
    found = widths.features(feature, place())
    assert set(found) == {n + s for n in ("u", "v", "temperature_variation") for s in ("", "_dlon", "_dlat", "_del2")}
    assert set(found.values()) == {32}


@pytest.mark.parametrize(
    ("limits", "kept"), [((0.0, 1.0), 32), ((0.5, 1.0), 16), ((0.0, 0.5), 16), ((0.25, 0.75), 16), ((0.9, 0.95), 1)]
)
def test_levels_within_a_range(limits, kept):
    """Layers of 1/32 whose centres lie within the limits."""
    transform = c.TruncateSigmaLevels((c.SigmaRange("pressure", *limits),))
    assert widths.features(c.PressureFeatures(transform), place()) == {"pressure": kept}


def test_what_does_not_fit_is_named():
    with pytest.raises(DataError, match='two features are called "cos_latitude"'):
        widths.features(c.CombinedFeatures((c.LatitudeFeatures(), c.LatitudeFeatures())), place())
    with pytest.raises(DataError, match="MemoryVelocityAndValues needs an encoder with memory"):
        widths.features(c.MemoryVelocityAndValues(), place(memory=False))
    with pytest.raises(DataError, match='"snow" cannot be a forcing feature; accepted: sea_ice_cover'):
        widths.features(c.ForcingFeatures(("snow",)), place())
    with pytest.raises(DataError, match='ShiftAndNormalize has no shift or scale for "pressure"'):
        widths.features(c.PressureFeatures(c.ShiftAndNormalize({}, {})), place())
    with pytest.raises(DataError, match='3 scales for the 32 levels of "pressure"'):
        widths.features(c.PressureFeatures(c.InverseLevelScale((1.0, 2.0, 3.0), ("pressure",))), place())
    with pytest.raises(DataError, match='"snow" cannot be predicted'):
        widths.data_outputs(papers.config("neuralgcm-2.8"), ("snow",))


def test_excluded_features_are_left_out():
    both = (c.LatitudeFeatures(), c.RadiationFeatures())
    found = widths.features(c.CombinedFeatures(both, ("RadiationFeatures",), ("sin_latitude",)), place())
    assert found == {"cos_latitude": 1}


@pytest.mark.parametrize(
    ("randomness", "found"),
    [
        (c.NoRandomField(), {}),
        (c.ZerosRandomField(), {"randomness": 1}),
        (c.BatchGaussianRandomFields((1.0,) * 3, (1.0,) * 3, (1.0,) * 3), {"randomness": 3}),
        (c.NamedGaussianRandomFields(("a", "b"), (1.0,) * 2, (1.0,) * 2, (1.0,) * 2), {"a": 1, "b": 1}),
    ],
)
def test_random_fields(randomness, found):
    assert widths.features(c.RandomnessFeatures(), place(randomness=randomness)) == found
