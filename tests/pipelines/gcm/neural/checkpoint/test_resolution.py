"""Scopes, macros, references and defaults, with the original's gin as oracle; idle and circular bindings."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.gin import parse
from sciml.pipelines.gcm.neural.checkpoint.resolution import IGNORED, Known, Param, Resolver, check_names, check_used

KNOWN = {
    "Outer": Known(
        lambda **given: ("outer", given),
        {
            "part": Param(None),
            "late_part": Param(None, late=True),
            "parts": Param(()),
            "size": Param(0),
            "name": IGNORED,
        },
    ),
    "Inner": Known(lambda **given: ("inner", given), {"size": Param(-1), "more": Param(None)}),
    "Made": Known(lambda **given: ("made", given), {"size": Param()}, called=True),
    "Speed": Known(lambda: "speed", {"up": IGNORED}, free=True),
}
TEXTS = {
    "inherited scope": "Outer.part = @Inner\nOuter.parts = (@a/Inner, @b/Inner)\na/Inner.size = 1\nInner.size = 2",
    "scope within a reference": "Outer.part = @a/Outer\na/Outer.part = @Inner\na/Inner.size = 3\nInner.more = 'x'",
    "a scope replaces another": "Outer.part = @a/Outer\na/Outer.part = @b/Inner\na/Inner.size = 3\nb/Inner.more = 1",
    "nested scopes": "Outer.part = @a/b/Inner\na/Inner.size = 4\na/b/Inner.more = 5\nInner.size = 6",
    "macro of a number": "N = 7\nOuter.size = %N\nOuter.part = @Inner\nInner.size = %N",
    "macro of a reference": "P = @Inner\nOuter.part = @a/Outer\na/Outer.part = %P\na/Inner.size = 8\nP/Inner.size = 9",
    "macro that calls": "G = @Made()\nOuter.part = %G\nG/Made.size = 10\nMade.size = 11",
    "macro that calls with a scope": "G = @s/Made()\nOuter.part = %G\nG/Made.size = 10\ns/Made.size = 12",
    "call within a scope": "Outer.part = @a/Outer\na/Outer.part = @Made()\na/Made.size = 13\nMade.size = 14",
    "macro of a macro": "A = %B\nB = 15\nOuter.size = %A",
    "the last binding wins": "Outer.size = 1\nOuter.size = 2",
}


def resolved(text, known=KNOWN):
    return Resolver(parse(text, source="text"), known, source="text").build("Outer")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_gin_itself_agrees(text):
    gin = pytest.importorskip("gin")
    gin.clear_config(clear_constants=True)

    def made(value):
        """Calls factories as the original's constructors do, within the scope of their own construction."""
        if isinstance(value, tuple) and not (value and value[0] in ("outer", "inner", "made")):
            return tuple(made(item) for item in value)
        return value() if callable(value) else value

    names = {}
    for name, known in KNOWN.items():
        defaults = {parameter: param.default for parameter, param in known.params.items()}

        def configurable(_name=name, _defaults=defaults, **given):
            values = {k: made(v) for k, v in {**_defaults, **given}.items() if k != "name"}
            return _name.lower(), values

        configurable.__name__ = name
        names[name] = gin.external_configurable(configurable, name=name, module="test_resolution")
    try:
        gin.parse_config(text)
        theirs = names["Outer"]()
    finally:
        gin.clear_config(clear_constants=True)
        for name in KNOWN:
            gin.config._REGISTRY.pop(f"test_resolution.{name}")
    assert resolved(text) == theirs


def test_what_is_called_at_run_time_sees_no_scope():
    text = "Outer.part = @a/Outer\na/Outer.late_part = @Inner\na/Outer.part = @Inner\na/Inner.size = 1\nInner.size = 2"
    _, outer = resolved(text)
    _, inner = outer["part"]
    assert inner["part"][1]["size"] == 1 and inner["late_part"][1]["size"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Outer.part = @Iner", 'line 1: Outer.part: unknown "Iner"; did you mean "Inner"'),
        ("Outer.size = %N\nM = 1", 'unknown macro "%N"; '),
        ("Outer.part = @Made()", "lacks Made.size"),
        ("Outer.part = @Made\nMade.size = 1", "write @Made()"),
        ("Outer.part = @Inner()", "write @Inner"),
        ("Outer.part = @Outer", "circle"),
        ("A = %B\nB = %A\nOuter.size = %A", "circle"),
    ],
)
def test_broken_references_are_named(text, message):
    with pytest.raises(DataError) as error:
        resolved(text)
    assert message in str(error.value), error.value


def test_unknown_names_are_named():
    with pytest.raises(DataError, match='line 2: unknown "a/Innner.size"; did you mean "Inner"'):
        check_names(parse("N = 1\na/Innner.size = 2", source="text"), KNOWN, source="text")
    with pytest.raises(DataError, match='Inner has no parameter "sise"; did you mean "size"'):
        check_names(parse("Inner.sise = 2", source="text"), KNOWN, source="text")


@pytest.mark.parametrize("value", ["@Iner", "(@Inner, {'x': [@b/Iner]})"])
def test_a_name_in_a_value_that_never_comes_into_force_is_known_too(value):
    """The original refuses it when it reads the text: a part under scope `a` hides it here."""
    text = f"Outer.part = {value}\na/Outer.part = @Inner"
    with pytest.raises(DataError, match='line 1: Outer.part: unknown "Iner"; did you mean "Inner"'):
        check_names(parse(text, source="text"), KNOWN, source="text")


def _check(text):
    bindings = parse(text, source="text")

    def walk(others):
        resolver = Resolver(others, KNOWN, source="text")
        resolver.build("Outer")
        return resolver.used

    check_used(bindings, KNOWN, walk(bindings), walk, source="text")


def test_idle_bindings_are_named():
    with pytest.raises(DataError, match="line 2: b/Inner.size is bound but plays no part"):
        _check("Outer.part = @a/Inner\nb/Inner.size = 1")
    with pytest.raises(DataError, match="line 1: N is bound but plays no part"):
        _check("N = 1\nOuter.size = 2")


def test_what_a_later_line_left_idle_is_accepted():
    _check("Outer.part = @a/Inner\na/Inner.size = 1\nOuter.part = @b/Inner\nb/Inner.size = 2\nx/Speed.up = 1")


def test_references_that_double_end():
    """Thirty macros, each twice the one before: a thousand million parts."""
    text = "A0 = 1\n" + "".join(f"A{i} = (%A{i - 1}, %A{i - 1})\n" for i in range(1, 31)) + "Outer.size = %A30"
    with pytest.raises(DataError, match="multiply to more than 20000 parts"):
        resolved(text)
