"""Networks: towers of towers."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c


def test_a_mapping_holds_the_tower_of_its_sort():
    column = c.ColumnTower(c.Mlp(8, 1, activation="gelu_tanh"))
    assert c.NodalMapping(c.EpdTower(8, 1, column, column, column)).tower.encode is column
    with pytest.raises(DataError, match=r"NodalVolumeMapping.tower is ColumnTower; accepted: VerticalConvTower"):
        c.NodalVolumeMapping(column)


def test_an_unknown_activation_is_named():
    with pytest.raises(DataError, match=r"Mlp.activation is 'gelu'; accepted: .gelu_tanh., .gelu_erf., .relu., .silu."):
        c.Mlp(8, 1, activation="gelu")
