"""Settings: default < file < typed option, errors that name what was found, and TOML that reads back equal."""

import dataclasses
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.settings import dump, fields_of, load, resolve, setting


@dataclasses.dataclass(frozen=True)
class Fit:
    epochs: int = setting(30, "passes over the training set", panel="Optimization")
    rate: float = setting(1e-3, "learning rate")
    name: str = setting("gru", "name")
    shuffle: bool = setting(True, "shuffle")
    teacher: Path | None = setting(None, "forecast file", metavar="FILE")
    schedule: Literal["archive", "anneal"] = setting("archive", "schedule")
    leads: tuple[int, ...] = setting((), "lead times [h]")
    fractions: tuple[float, ...] = setting((0.7, 0.15, 0.15), "split\nin time order")
    variables: tuple[str, ...] = setting(("t2m",), "variables")
    limit: int | None = setting(100, "windows at most", hidden=True)

    def __post_init__(self):
        if self.epochs < 1:
            raise SettingsError(f"--epochs {self.epochs}: must be at least 1")


def write(tmp_path, text):
    path = tmp_path / "fit.toml"
    path.write_text(text)
    return path


def test_fields_are_described():
    fields = {entry.name: entry for entry in fields_of(Fit)}
    assert fields["epochs"].panel == "Optimization" and fields["epochs"].option == "--epochs"
    assert fields["teacher"].type is Path and fields["teacher"].optional and fields["teacher"].metavar == "FILE"
    assert fields["schedule"].choices == ("archive", "anneal")
    assert fields["fractions"].is_list and fields["fractions"].type is float
    assert fields["limit"].hidden and fields["limit"].expected == "an integer or none"


def test_option_beats_file_beats_default(tmp_path):
    path = write(tmp_path, 'epochs = 5\nrate = 1e-2\nteacher = "nwp.nc"')
    settings = resolve(Fit, {"epochs": 7}, path)
    assert (settings.epochs, settings.rate, settings.teacher, settings.name) == (7, 0.01, Path("nwp.nc"), "gru")


@pytest.mark.parametrize(
    ("given_", "name", "value"),
    [
        ({"epochs": "12"}, "epochs", 12),
        ({"epochs": "1e2"}, "epochs", 100),
        ({"rate": "3"}, "rate", 3.0),
        ({"leads": "6, 12,24"}, "leads", (6, 12, 24)),
        ({"leads": ""}, "leads", ()),
        ({"leads": [6]}, "leads", (6,)),
        ({"variables": ["a", "b"]}, "variables", ("a", "b")),
        ({"limit": "none"}, "limit", None),
        ({"teacher": Path("x.nc")}, "teacher", Path("x.nc")),
        ({"schedule": "anneal"}, "schedule", "anneal"),
    ],
)
def test_typed_text_is_read_by_type(given_, name, value):
    assert getattr(resolve(Fit, given_), name) == value


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"epochs": "ten"}, '--epochs: "ten" is not accepted; expected an integer'),
        ({"epochs": "1.5"}, "--epochs: 1.5 is not accepted; expected an integer"),
        ({"epochs": True}, "--epochs: True is not accepted; expected an integer"),
        ({"shuffle": 1}, "--shuffle: 1 is not accepted; expected true or false"),
        ({"leads": "6,x"}, '--leads: "x" is not accepted; expected a list, each an integer'),
        ({"leads": 6}, "--leads: 6 is not accepted; expected a list, each an integer"),
        ({"limit": "many"}, '--limit: "many" is not accepted; expected an integer or none'),
        ({"epochs": None}, "--epochs: None is not accepted; expected an integer"),
        (
            {"schedule": "aneal"},
            '--schedule: "aneal" is not a choice; did you mean "anneal"? accepted: archive, anneal',
        ),
        ({"epoch": 3}, 'unknown setting "epoch"; did you mean "epochs"? accepted: epochs, rate'),
        ({"epochs": 0}, "--epochs 0: must be at least 1"),
    ],
)
def test_wrong_option_is_named_with_what_is_accepted(given_, message):
    with pytest.raises(SettingsError) as caught:
        resolve(Fit, given_)
    assert str(caught.value).startswith(message)


def test_unknown_key_in_a_file_names_the_file_and_the_nearest(tmp_path):
    path = write(tmp_path, "epoch = 3")
    with pytest.raises(SettingsError) as caught:
        resolve(Fit, {}, path)
    assert str(caught.value).startswith(f'{path}: unknown setting "epoch"; did you mean "epochs"?')


def test_a_file_has_types_so_text_is_no_number(tmp_path):
    with pytest.raises(SettingsError, match='fit.toml: epochs: "3" is not accepted; expected an integer'):
        resolve(Fit, {}, write(tmp_path, 'epochs = "3"'))


def test_a_file_may_write_a_count_as_1e2_and_a_key_with_a_dash(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Sizes:
        batch_size: int = setting(1, "windows per step")

    assert resolve(Sizes, {}, write(tmp_path, "batch-size = 1e2")).batch_size == 100


def test_unreadable_files_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="absent.toml: No such file"):
        load(tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load(write(tmp_path, "epochs: 3"))
    (tmp_path / "binary.toml").write_bytes(b"a = 1\n\xff\xfe")
    with pytest.raises(DataError, match=r"not UTF-8 text \(byte 6\)"):
        load(tmp_path / "binary.toml")


def test_a_byte_order_mark_is_no_error(tmp_path):
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbfepochs = 3\n")
    assert resolve(Fit, {}, path).epochs == 3


@pytest.mark.parametrize("hint", [dict, int | str, tuple[int, int], list[int]])
def test_a_type_no_option_can_have_is_a_programming_error(hint):
    cls = dataclasses.make_dataclass("Wrong", [("x", hint, setting(None, "x"))], frozen=True)
    with pytest.raises(TypeError, match="Wrong.x"):
        fields_of(cls)


def test_dump_has_help_as_comments_and_leaves_none_out():
    text = dump(Fit(), leave_out=["name"])
    assert "# passes over the training set\nepochs = 30\n" in text
    assert "# split in time order\n" in text
    assert "teacher" not in text and "name =" not in text


def test_none_survives_where_the_default_is_something_else(tmp_path):
    settings = Fit(limit=None)
    assert resolve(Fit, {}, write(tmp_path, dump(settings))) == settings


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text != "none")
finite = st.floats(allow_nan=False)


@given(
    st.builds(
        Fit,
        epochs=st.integers(1, 2**62),
        rate=finite,
        name=words,
        shuffle=st.booleans(),
        teacher=st.none() | words.map(Path),
        schedule=st.sampled_from(["archive", "anneal"]),
        leads=st.lists(st.integers(-(2**62), 2**62)).map(tuple),
        fractions=st.lists(finite).map(tuple),
        variables=st.lists(words).map(tuple),
        limit=st.none() | st.integers(0, 9),
    )
)
def test_toml_reads_back_equal(tmp_path_factory, settings):
    path = tmp_path_factory.mktemp("toml") / "settings.toml"
    path.write_text(dump(settings), encoding="utf-8", newline="")
    assert resolve(Fit, {}, path) == settings
