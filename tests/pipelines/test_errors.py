"""Errors carry exit codes, and unknown names get the nearest accepted one."""

import pytest

from sciml.pipelines.errors import (
    DataError,
    DeviceError,
    NumericalError,
    ScimlError,
    SettingsError,
    Stopped,
    nearest,
    suggest,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(ScimlError, 1), (SettingsError, 2), (DataError, 3), (NumericalError, 4), (DeviceError, 5)],
)
def test_each_error_has_its_exit_code(kind, code):
    error = kind("what happened", hint="what to do")
    assert (error.exit_code, str(error), error.hint) == (code, "what happened", "what to do")
    assert isinstance(error, ScimlError)


@pytest.mark.parametrize(("signum", "code"), [(2, 130), (15, 143)])
def test_stopped_exits_with_the_signal(signum, code):
    assert Stopped(signum, "stopped").exit_code == code


def test_suggest_names_the_nearest_and_all_accepted():
    assert suggest("t2n", ["t2m", "ssrd"]) == 'did you mean "t2m"? accepted: t2m, ssrd'


def test_suggest_without_a_near_name_only_lists():
    assert suggest("zzz", ["t2m", "ssrd"]) == "accepted: t2m, ssrd"
    assert suggest("zzz", []) == "accepted: none"


def test_nearest_ignores_case():
    assert nearest("GRU", ["gru", "lstm"]) == "gru"


def test_suggest_cuts_a_list_nobody_reads():
    text = suggest("resnet5", [f"resnet{i}" for i in range(1000)])
    assert "(1000 in all)" in text
    assert len(text) < 300
