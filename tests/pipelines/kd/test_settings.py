"""Every check of the settings, each with a message that names the option."""

from pathlib import Path

import pytest

from sciml.pipelines import settings as shared
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.kd import settings
from sciml.pipelines.kd.schedules import LOSSES
from sciml.pipelines.kd.settings import Data, DataChoice, Evaluate, Export, Fit, Predict, Report

COMMANDS = (Fit, Evaluate, Predict, Export, Report, Data)


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_are_valid_and_survive_toml(command, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(shared.dump(command()), encoding="utf-8")
    assert shared.resolve(command, {}, path) == command()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command):
    for entry in shared.fields_of(command):
        assert len(entry.help) > 10, entry.name


@pytest.mark.parametrize(
    "name",
    ["horizon", "history", "lead_hours", "hidden", "layers", "epochs", "batch_size",
     "learning_rate", "clip", "patience", "seeds",
     "archive_epochs", "archive_patience", "workers", "threads", "train_issues", "max_minutes", "limit"],
)  # fmt: skip
@pytest.mark.parametrize("value", [0, -1])
def test_sizes_are_positive(name, value):
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} {value}: must be greater than 0"):
        Fit(**{name: value})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_history": 1.5}, "--min-history 1.5"),
        ({"min_history": -0.1}, "--min-history -0.1"),
        ({"tolerance_hours": -1.0}, "--tolerance-hours -1"),
        ({"latitude": (1.0, 2.0), "longitude": (1.0,)}, "--latitude has 2 values and --longitude 1"),
        ({"latitude": (1.0,), "longitude": (1.0,), "altitude": (1.0, 2.0)}, "--altitude has 2 values"),
        ({"altitude": (1.0,)}, "--altitude has 1 values"),
        ({"units": ("degC",)}, '--units "degC": expected NAME=UNIT'),
        ({"distillation_weight": 1.1}, "--distillation-weight 1.1"),
        ({"split": (0.5, 0.5)}, "--split 0.5,0.5"),
        ({"split": (0.5, 0.4, 0.2)}, "--split 0.5,0.4,0.2"),
        ({"split": (1.0, 0.0, 0.0)}, "--split 1.0,0.0,0.0"),
        ({"train_until": "2015-12-31"}, "--train-until and --validation-until"),
        ({"validation_until": "2015-12-31"}, "--train-until and --validation-until"),
        ({"quantiles": (0.5, 0.1)}, "--quantiles 0.5,0.1"),
        ({"quantiles": (0.5, 0.5)}, "--quantiles 0.5,0.5"),
        ({"quantiles": (0.0, 0.5)}, "--quantiles 0.0,0.5"),
        ({"quantiles": (0.5, 1.0)}, "--quantiles 0.5,1.0"),
        ({"quantiles": ()}, "--quantiles"),
        ({"quantiles": (0.1, 0.9), "head": "quantile"}, "must hold 0.5"),
        ({"resume": Path("a"), "init_from": Path("b")}, "exclude each other"),
        ({"mode": "residual", "schedule": "response"}, "--mode residual with --schedule response"),
    ],
)
def test_wrong_combinations(wrong, message):
    with pytest.raises(SettingsError) as caught:
        Fit(**wrong)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "right",
    [{"mode": "residual"}, {"mode": "residual", "schedule": "none"}, {"quantiles": (0.1, 0.9)}, {"min_history": 0.0}],
)
def test_accepted_combinations(right):
    Fit(**right)


def test_units_become_a_mapping():
    assert DataChoice(units=("t2m=degC", " ws10 = m s-1")).unit_map == {"t2m": "degC", "ws10": "m s-1"}
    assert Data(units=("t2m=degC",)).unit_map == {"t2m": "degC"}


@pytest.mark.parametrize(
    "wrong", [{"days": 0}, {"observed_days": 0}, {"n_stations": 0}, {"members": -1}, {"days": 10, "observed_days": 11}]
)
def test_synthetic_sizes(wrong):
    with pytest.raises(SettingsError):
        Data(**wrong)


def test_names_of_the_schedules_agree():
    from typing import get_args

    assert set(get_args(settings.Schedule)) == set(settings.SCHEDULES) == set(LOSSES) - {"pretrain"}
