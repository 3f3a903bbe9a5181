"""A registry imports what is chosen, and nothing before."""

import sys

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.registry import Registry


def test_get_imports_on_first_use(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    registry = Registry("colour", {"hls": "colorsys:rgb_to_hls"})
    assert "colorsys" not in sys.modules
    assert registry.get("hls")(0.0, 0.0, 0.0) == (0.0, 0.0, 0.0)
    assert "colorsys" in sys.modules


def test_names_keep_their_order_and_check_imports_nothing():
    registry = Registry("student", {"gru": "absent_module:GRU", "lstm": "absent_module:LSTM"})
    assert registry.names() == ("gru", "lstm")
    assert "gru" in registry and "rnn" not in registry
    assert registry.check("lstm") == "lstm"


def test_unknown_name_gets_a_suggestion():
    registry = Registry("student", {"gru": "m:GRU", "lstm": "m:LSTM"})
    with pytest.raises(SettingsError, match='unknown student "lsmt"; did you mean "lstm"\\? accepted: gru, lstm'):
        registry.get("lsmt")


def test_malformed_entry_is_refused_at_once():
    with pytest.raises(ValueError, match="module:attribute"):
        Registry("student", {"gru": "module.attribute"})
