"""Features: each kind has its defaults, and combined ones take each kind."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c


def test_combined_features_hold_features_and_themselves():
    inner = c.CombinedFeatures((c.LatitudeFeatures(), c.RadiationFeatures()))
    outer = c.CombinedFeatures([inner, c.VelocityAndPrognostics(["u"], gradients=True), c.NullFeatures()])
    assert (
        outer.features[0] == inner and outer.features[1].fields == ("u",) and outer.transform == c.IdentityTransform()
    )


def test_a_feature_slot_refuses_a_transform():
    with pytest.raises(DataError, match=r"CombinedFeatures.features\[0\] is SoftClip"):
        c.CombinedFeatures((c.SoftClip(16),))


def test_no_embedding_is_a_constant():
    assert c.NodalLandSeaIceEmbedding() == c.NodalLandSeaIceEmbedding(None, None, None)
