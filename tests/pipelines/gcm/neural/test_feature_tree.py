"""Settings resolved for a place: the published widths, the order of the columns, and what is refused."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural.checkpoint import config, papers
from sciml.pipelines.gcm.neural.encoder import data_place
from sciml.pipelines.gcm.neural.feature_tree import Place, embedding, feature_set, random_widths
from sciml.pipelines.gcm.neural.features import Spectral
from sciml.pipelines.gcm.neural.physics import state_place

PLACE = Place({"u": 4, "v": 4, "t": 4, "log_surface_pressure": 1}, (np.arange(4) + 0.5) / 4)
# model: columns read by encoder, physics and decoder
WIDTHS = {
    "neuralgcm-2.8": (1052, 2365, 784),
    "neuralgcm-1.4": (1076, 2389, 297),
    "neuralgcm-0.7": (1076, 2389, 297),
    "neuralgcm-ens-1.4": (1062, 2118, 784),
}


def total(features):
    return sum(features.widths.values())


@pytest.mark.parametrize("name", sorted(WIDTHS))
def test_published_widths(name):
    settings = papers.config(name)
    node = settings.encoder
    place = state_place(settings, node.randomness, memory=False)
    encoder = total(feature_set(node.data_features, data_place(settings))) + total(
        feature_set(node.model_features, place)
    )
    place = state_place(settings, settings.step.randomness, node.memory)
    physics = total(feature_set(settings.step.physics.features, place))
    place = state_place(settings, settings.decoder.randomness, memory=False)
    assert (encoder, physics, total(feature_set(settings.decoder.model_features, place))) == WIDTHS[name]


def test_columns_are_in_ascii_order():
    settings = papers.config("neuralgcm-2.8")
    place = state_place(settings, settings.step.randomness, memory=True)
    names = list(feature_set(settings.step.physics.features, place).widths)
    assert names == sorted(names) and names[:4] == ["CNN1D_0", "CNN1D_1", "CNN1D_10", "CNN1D_11"]
    assert names[-4:] == ["vorticity", "vorticity_del2", "vorticity_dlat", "vorticity_dlon"]


def test_wind_is_always_there_where_vorticity_is():
    node = config.VelocityAndPrognostics(("t",), gradients=True)
    assert set(feature_set(node, PLACE).widths) == {n + k for n in "tuv" for k in ("", "_del2", "_dlat", "_dlon")}
    data = Place(PLACE.fields, PLACE.centers, winds=False)
    assert set(feature_set(config.VelocityAndPrognostics(("t",)), data).widths) == {"t"}


def test_pressure_needs_the_surface_pressure():
    features = feature_set(config.PressureFeatures(), PLACE)
    assert features.widths == {"pressure": 4} and features.spectral == (Spectral("log_surface_pressure"),)


def test_random_fields():
    named = config.NamedGaussianRandomFields(("a", "b"), (1.0, 2.0), (1.0, 2.0), (1.0, 1.0))
    assert random_widths(named) == {"a": 1, "b": 1} and random_widths(config.NoRandomField()) == {}
    batch = config.BatchGaussianRandomFields((1.0, 2.0), (1.0, 2.0), (1.0, 1.0))
    assert random_widths(batch) == {"randomness": 2}


def test_parts_are_left_out_by_kind_and_by_name():
    parts = (config.LatitudeFeatures(), config.PressureFeatures())
    node = config.CombinedFeatures(parts, ("PressureFeatures",), ("sin_latitude",))
    assert feature_set(node, PLACE).widths == {"cos_latitude": 1}


def test_refusals():
    with pytest.raises(SettingsError, match="previous state"):
        feature_set(config.MemoryVelocityAndValues(), PLACE)
    twice = config.CombinedFeatures((config.LatitudeFeatures(), config.LatitudeFeatures()))
    with pytest.raises(SettingsError, match="features made twice: cos_latitude, sin_latitude"):
        feature_set(twice, PLACE).widths  # noqa: B018
    tower = config.VerticalConvTower((2,), 3)
    uneven = config.ModalToNodalEmbedding(config.VelocityAndPrognostics(), config.NodalVolumeMapping(tower))
    with pytest.raises(SettingsError, match=r"levels \[1, 4\]|fields of \[1, 4\] levels"):
        embedding(uneven, PLACE, {"x": 4}).inputs  # noqa: B018
