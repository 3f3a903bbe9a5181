"""Settings name what is wrong before anything is read."""

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.training_settings import Evaluate, Explain, Export, Models, Predict, Report, Train


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"arms": ("picture",)}, "--arms picture: expected any of fusion, image, table"),
        ({"augment": ("spin",)}, "--augment spin"),
        ({"epochs": 0}, "--epochs 0: must be greater than 0"),
        ({"validation": 0.6}, "--validation 0.6"),
        ({"test": 0.0}, "--test 0.0"),
        ({"views": 3}, "--views 3: expected 1, 2, 4 or 8"),
        ({"ema": 1.0}, "--ema 1.0"),
        ({"zoom": 0.8}, "--zoom 0.8: must lie in 1..4"),
        ({"field": 0.0}, "--field 0.0: must lie in 0..1"),
        ({"keep": "last", "patience": 3}, "--patience waits for the best epoch"),
        ({"layer_decay": 0.0}, "--layer-decay 0.0"),
        ({"focal_gamma": -1.0}, "--focal-gamma"),
        ({"folds": 0}, "--folds 0"),
        ({"select": -1}, "--select -1"),
        ({"max_correlation": 0.0}, "--max-correlation"),
    ],
)
def test_wrong_values(values, words):
    with pytest.raises(SettingsError, match=words):
        Train(**values)


def test_defaults_are_valid():
    for cls in (Train, Evaluate, Predict, Explain, Export, Report, Models):
        cls()
    with pytest.raises(SettingsError, match="--views 5"):
        Predict(views=5)
