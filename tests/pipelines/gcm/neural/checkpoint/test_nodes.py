"""Settings nodes: what their fields accept, and JSON that gives the same node back."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint.nodes import Node, Table, fit, from_json, to_json

NAMES = st.text(min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@dataclass(frozen=True)
class Leaf(Node):
    number: float
    word: str | None = None
    yes: bool = False


@dataclass(frozen=True)
class Branch(Node):
    parts: tuple["Leaf | Branch", ...]
    table: Table
    pair: tuple[int, float] = (1, 2.0)


leaves = st.builds(Leaf, NUMBERS, st.none() | NAMES, st.booleans())
trees = st.recursive(
    leaves, lambda inner: st.builds(Branch, st.lists(inner, max_size=3), st.dictionaries(NAMES, NUMBERS)), max_leaves=8
)


@given(trees)
def test_json_gives_the_same_node_back(tree):
    again = from_json(to_json(tree), type(tree))
    assert again == tree and hash(again) == hash(tree)
    assert to_json(again) == to_json(tree)


def test_a_table_is_equal_in_any_order():
    one, other = Table({"a": 1.0, "b": 2.0}), Table({"b": 2.0, "a": 1.0})
    assert one == other and hash(one) == hash(other) and one != Table({"a": 1.0}) and one != {"a": 1.0, "b": 2.0}


def test_fields_take_what_their_annotation_says():
    leaf = Leaf(3)
    assert isinstance(leaf.number, float)
    branch = Branch([leaf], {"u": 1}, [2, 3])
    assert branch.parts == (leaf,) and branch.table["u"] == 1.0 and branch.pair == (2, 3.0)


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (lambda: Leaf("three"), ("Leaf.number", "'three'", "finite number")),
        (lambda: Leaf(True), ("Leaf.number", "True")),
        (lambda: Leaf(float("nan")), ("Leaf.number", "nan")),
        (lambda: Leaf(float("inf")), ("Leaf.number", "inf")),
        (lambda: Leaf(1, 2), ("Leaf.word", "a word", "null")),
        (lambda: Leaf(1, yes=1), ("Leaf.yes", "true or false")),
        (lambda: Branch([Leaf(1), 3], {}), ("Branch.parts[1]", "Leaf", "Branch")),
        (lambda: Branch([], {"a": [1]}), ('Branch.table["a"]',)),
        (lambda: Branch([], {}, (1.5, 2)), ("Branch.pair[0]", "whole number")),
        (lambda: Branch([], {}, (1, 2, 3)), ("Branch.pair",)),
        (lambda: c.Grid(64, 65, 128, 64, layout="sideways"), ("Grid.layout", '"real"', '"zero_imag"')),
        (lambda: fit([1], Table, "here"), ("here", "a table")),
    ],
)
def test_a_wrong_value_is_named(made, names):
    with pytest.raises(DataError) as error:
        made()
    assert all(name in str(error.value) for name in names), error.value


GOOD = json.loads(to_json(Branch([Leaf(1.0)], {"u": 2.0})))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{", ("not JSON",)),
        ("[" * 100_000, ("not JSON",)),
        ('"word"', ("wanted a Branch",)),
        (json.dumps({**GOOD, "kind": "Banch"}), ("Banch", 'did you mean "Branch"')),
        (json.dumps({**GOOD, "kind": 3}), ("unknown kind",)),
        (json.dumps({**GOOD, "pears": 3}), ("pears", "parts")),
        (json.dumps({k: v for k, v in GOOD.items() if k != "table"}), ("lacks table",)),
        (json.dumps({**GOOD, "parts": [{"kind": "Leaf", "number": 1}]}), ("parts[0]", "lacks word, yes")),
        (json.dumps({**GOOD, "table": {"u": None}}), ("Branch.table",)),
        (json.dumps({**GOOD, "table": {"u": float("nan")}}), ("Branch.table", "nan")),
    ],
)
def test_wrong_json_is_named(text, names):
    with pytest.raises(DataError) as error:
        from_json(text, Branch, source="settings.json")
    assert "settings.json" in str(error.value) and all(name in str(error.value) for name in names), error.value
