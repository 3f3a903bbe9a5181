"""The gin subset: values as Python reads them, messages with lines, and the original parser as oracle."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import original, papers
from sciml.pipelines.gcm.neural.checkpoint.gin import Binding, Macro, Reference, parse

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_a_literal_is_what_python_reads(value):
    (binding,) = parse(f"a/B.c = {value!r}\n", source="text")
    assert binding.value == value and type(binding.value) is type(value)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aB_.=@%/()[]{}'\"\\#:,-+ \n\t019eE\0é", max_size=60))
def test_any_text_is_bindings_or_a_data_error(text):
    try:
        bindings = parse(text, source="text")
    except DataError as error:
        assert str(error).startswith("text, line ")
    else:
        assert all(isinstance(binding, Binding) for binding in bindings)


def test_every_form():
    text = (
        "# comment\nN = 3\na/b/Name.value = [1, -2.5e-3,  # why\n  (True,), (4), 'x' 'y']\n"
        "Name.fn = \\\n    @scope/other/Fn\nmodule.Name.made = @Grid()\n\nName.again = {'u': %N, 'v': %s/M}"
    )
    bindings = parse(text, source="text")
    assert bindings == [
        Binding((), "N", "", 3, 2),
        Binding(("a", "b"), "Name", "value", [1, -0.0025, (True,), 4, "xy"], 3),
        Binding((), "Name", "fn", Reference(("scope", "other"), "Fn", False), 5),
        Binding((), "Name", "made", Reference((), "Grid", True), 7),
        Binding((), "Name", "again", {"u": Macro("N"), "v": Macro("s/M")}, 9),
    ]
    assert [str(binding) for binding in bindings[:2]] == ["N", "a/b/Name.value"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os", 'line 1: "import" is refused'),
        ("from os import system", 'line 1: "from" is refused'),
        ("\ninclude 'other.gin'", 'line 2: "include" is refused'),
        ("Name:\n  value = 1", "line 1: blocks are not read"),
        ("A.b = os.system('x')", 'line 1: found "os", expected a value'),
        ("A.b = lambda: 1", 'found "lambda"'),
        ("A.b = f'{1}'", "line 1"),
        ("A.b = b'raw'", "not a value of a model"),
        ("A.b = 1j", "not a value of a model"),
        ("A.b = @Fn(1)", "called without arguments"),
        ("A.b = {1: 2}", "a key of a table must be text"),
        ("a.b/c.d = 1", "a scope has no dot"),
        ("A.b = 1\nA.c = (1", "EOF"),
        ("A.b = [1 2]", 'expected "," or "]"'),
        ("A.b = 1 2", "expected the end of the line"),
        ("A.b =", 'found "the end of the line"'),
        ("A.b", 'expected "="'),
        ("A.b = " + "[" * 80 + "]" * 80, "within each other"),
    ],
)
def test_what_is_not_read_is_named(text, message):
    with pytest.raises(DataError) as error:
        parse(text, source="model.gin")
    assert str(error.value).startswith("model.gin, line ") and message in str(error.value), error.value


@pytest.mark.parametrize("name", ["neuralgcm-1.4"])
def test_the_original_parser_agrees(name):
    config_parser = pytest.importorskip("gin.config_parser")

    class Delegate(config_parser.ParserDelegate):
        def configurable_reference(self, scoped_name, evaluate):
            scope, _, selector = scoped_name.rpartition("/")
            return Reference(tuple(scope.split("/")) if scope else (), selector, evaluate)

        def macro(self, name):
            return Macro(name)

    text = original.to_gin(papers.config(name))
    theirs = list(config_parser.ConfigParser(text, Delegate()))
    ours = parse(text, source=name)
    assert len(ours) == len(theirs) > 300
    for one, other in zip(ours, theirs, strict=True):
        assert ("/".join(one.scope), one.name, one.parameter) == (other.scope, other.selector, other.arg_name)
        assert one.value == other.value and one.line == other.location.line_num


def test_the_original_parser_agrees_on_the_mini_checkpoint(mini):
    config_parser = pytest.importorskip("gin.config_parser")

    class Delegate(config_parser.ParserDelegate):
        def configurable_reference(self, scoped_name, evaluate):
            return scoped_name, evaluate

        def macro(self, name):
            return Macro(name)

    text = mini["model_config_str"]
    theirs = list(config_parser.ConfigParser(text, Delegate()))
    ours = parse(text, source="mini")
    assert [(str(b), b.line) for b in ours] == [
        ("/".join(filter(None, (t.scope, t.selector))) + (f".{t.arg_name}" if t.arg_name else ""), t.location.line_num)
        for t in theirs
    ]
