"""Options of a NeuralGCM rollout: what excludes what, with which words, and what follows from them."""

from pathlib import Path

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural_settings import MODELS, OUTPUT_GROUPS
from sciml.pipelines.gcm.settings import Rollout
from sciml.pipelines.settings import dump, resolve

UNTRAINED = {"model": "neuralgcm-2.8", "random_weights": True}
CHECKPOINT = {"checkpoint": Path("a.pkl")}


def test_a_rollout_is_neural_with_a_checkpoint_or_a_model():
    assert not Rollout().neural and Rollout(**UNTRAINED).neural and Rollout(**CHECKPOINT).neural
    assert Rollout(**CHECKPOINT).report_frames == (0, 13, 27, 40)


def test_groups_of_variables():
    s = Rollout(**CHECKPOINT)
    assert s.neural_variables[:2] == ("geopotential", "u_component_of_wind")
    assert "precipitation_minus_evaporation" in s.neural_variables and "vertical_velocity" not in s.neural_variables
    both = Rollout(**CHECKPOINT, outputs=("surface", "sigma")).neural_variables
    assert both.count("surface_pressure") == 1 and "vorticity_on_sigma" in both
    assert Rollout(**CHECKPOINT, variables=("vertical_velocity",)).neural_variables == ("vertical_velocity",)


@pytest.mark.parametrize(("every", "sample"), [(1, 1), (3, 3), (6, 6), (24, 6)])
def test_means_sample_every_six_hours_or_more_often(every, sample):
    assert Rollout(**CHECKPOINT, every_hours=every, means=("daily",), days=10).sample_hours == sample


def test_settings_come_back_from_a_file(tmp_path):
    wanted = Rollout(**UNTRAINED, outputs=("default", "omega"), means=("monthly",), sst_increment=2.0, persist_sst=True)
    (tmp_path / "s.toml").write_text(dump(wanted))
    assert resolve(Rollout, {}, tmp_path / "s.toml") == wanted


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_paper_is_accepted(name):
    assert Rollout(model=name, random_weights=True).neural


WRONG = [
    ({**CHECKPOINT, **UNTRAINED}, "--checkpoint a.pkl and --model"),
    ({"model": "neuralgcm-2.8"}, "without weights"),
    ({"model": "neuralgcm-2.9", "random_weights": True}, 'did you mean "neuralgcm-2.8"'),
    ({**CHECKPOINT, "random_weights": True}, "the checkpoint has weights"),
    ({"random_weights": True}, "--random-weights belongs to a NeuralGCM model"),
    ({"sst_increment": 2.0}, "--sst-increment belongs to a NeuralGCM model"),
    ({"means": ("daily",)}, "--means belongs"),
    ({**CHECKPOINT, "truncation": "T85"}, "--truncation T85: the NeuralGCM model has its own"),
    ({**CHECKPOINT, "levels": 30}, "--levels 30"),
    ({**CHECKPOINT, "step_minutes": "10"}, "--step-minutes 10"),
    ({**CHECKPOINT, "scheme": "crank_nicolson_rk3"}, "--scheme"),
    ({**CHECKPOINT, "initial": "held_suarez"}, "starts from an analysis"),
    ({**CHECKPOINT, "initial": "galewsky"}, "starts from an analysis"),
    ({**CHECKPOINT, "precision": "float64"}, "float32"),
    ({**CHECKPOINT, "initial": "a.nc", "surface": Path("s.nc")}, "the checkpoint holds orography"),
    ({**CHECKPOINT, "outputs": ("everything",)}, 'no "everything"'),
    ({**CHECKPOINT, "outputs": ()}, "at least one group"),
    ({**CHECKPOINT, "outputs": ("sigma", "sigma")}, "stands twice"),
    ({**CHECKPOINT, "means": ("yearly",)}, 'no "yearly"'),
    ({**CHECKPOINT, "variables": ("temprature",)}, 'did you mean "temperature"'),
    ({**CHECKPOINT, "sst_increment": 30.0}, "between -20 and 20 K"),
    ({**CHECKPOINT, "forcing_shift_hours": -24.0}, "must not be negative"),
    ({**CHECKPOINT, "every_hours": 0.5}, "whole hours"),
    ({**CHECKPOINT, "every_hours": 5, "days": 5, "means": ("daily",)}, "a day must hold whole intervals"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_excludes_each_other_is_said(given, words):
    with pytest.raises(SettingsError) as caught:
        Rollout(**given)
    assert words in str(caught.value), str(caught.value)


def test_groups_name_no_variable_that_is_unknown():
    from sciml.pipelines.gcm.output.variables import ATTRIBUTES

    assert {name for names in OUTPUT_GROUPS.values() for name in names} <= set(ATTRIBUTES)
