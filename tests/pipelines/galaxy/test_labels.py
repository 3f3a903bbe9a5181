"""Labels from columns and rules; unknown, missing and useless labels are named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.labels import make_labels

FRAME = pd.DataFrame(
    {
        "phase": [0.0, -1.0, 1.0, np.nan],
        "word": ["no", "yes ", "", None],
        "P_MG": [0.4, 0.5, np.nan, 0.1],
        "gz2_class": ["Ei(m)", "Sc", None, "m"],
        "flag": [True, False, True, False],
    }  # fmt: skip
)


def test_values_in_the_order_of_numbers():
    labels = make_labels(FRAME, "phase")
    assert labels.classes == ("-1", "0", "1") and labels.values.tolist() == [1, 0, 2, -1]
    assert labels.notes == ('1 rows have no label in "phase"',)


def test_named_classes_choose_and_order():
    labels = make_labels(FRAME, "PHASE", ("0=non", "-1=pre"))
    assert labels.classes == ("non", "pre") and labels.values.tolist() == [0, 1, -1, -1] and labels.column == "phase"
    assert labels.notes[1] == "values that are no class: 1"
    assert make_labels(FRAME, "word").classes == ("no", "yes") and make_labels(FRAME, "flag").classes == ("0", "1")


@pytest.mark.parametrize(
    ("rule", "values"),
    [("P_MG>0.4", [0, 1, -1, 0]), ("p_mg >= 0.4", [1, 1, -1, 0]), ("P_MG<0.4", [0, 0, -1, 1]), ("P_MG<=0.4", [1, 0, -1, 1]), ("gz2_class~(m)", [1, 0, -1, 0])],
)  # fmt: skip
def test_rules(rule, values):
    labels = make_labels(FRAME, rule, ("no=isolated", "yes=merger"))
    assert labels.values.tolist() == values and labels.classes == ("isolated", "merger") and len(labels.notes) == 1


@pytest.mark.parametrize(
    ("label", "classes", "error", "words"),
    [
        ("fase", (), DataError, 'did you mean "phase"'), ("phase", ("5", "0"), DataError, 'no value "5"; it has -1, 0, 1'),
        ("P_MG>high", (), SettingsError, "is not a number"), ("word>1", (), DataError, "holds text"),
        ("P_MG>0.4", ("a", "b", "c"), SettingsError, "a rule makes two"),
    ],
)  # fmt: skip
def test_what_is_no_label(label, classes, error, words):
    with pytest.raises(error, match=words):
        make_labels(FRAME, label, classes)


def test_a_quantity_is_no_label():
    with pytest.raises(DataError, match="has 100 values .* too many to be classes") as caught:
        make_labels(pd.DataFrame({"mass": np.linspace(9, 11, 100)}), "mass")
    assert "mass>0.5" in caught.value.hint


@given(values=st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1))
def test_every_row_has_the_class_of_its_value(values):
    labels = make_labels(pd.DataFrame({"y": pd.array(values, dtype="Int64").to_numpy(float, na_value=np.nan)}), "y")
    found = [None if k < 0 else int(labels.classes[k]) for k in labels.values]
    assert found == values
