"""Which column identifies an object, and what becomes of rows that repeat, contradict or lack it."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.identifiers import identified, text
from sciml.pipelines.galaxy.settings import Choice
from sciml.pipelines.galaxy.sources import ImageSet


@dataclass
class Made:
    """What `gather` collects."""

    notes: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    roles: dict = field(default_factory=dict)


def ids_of(frame, pictures=None, **choice):
    made = Made()
    kept, ids = identified(pd.DataFrame(frame), Choice(**{"most_skipped": 1.0, **choice}), pictures, made)
    return kept, ids.tolist(), made


def test_the_unique_named_column_is_taken():
    _, ids, made = ids_of({"mass": [1, 2], "field_id": ["1", "1"], "objid": ["a", "b"]})
    assert ids == ["a", "b"] and made.roles == {"objid": "identifier"}


def test_ids_that_repeat_between_snapshots_take_the_snapshot_along():
    _, ids, made = ids_of({"SubHaloID": ["7", "7", "8"], "Snapshot": [91, 92, 91]})
    assert ids == ["91-7", "92-7", "91-8"] and "objects are called Snapshot-SubHaloID" in made.notes[0]
    assert made.roles == {"SubHaloID": "identifier"}, "the snapshot stays a nuisance"


def test_the_names_of_the_images_decide():
    names = np.array(["91-7", "91-8"])
    _, ids, _ = ids_of({"SubHaloID": ["7", "8"], "Snapshot": [91, 91]}, ImageSet(names, names))
    assert ids == ["91-7", "91-8"]
    names = np.array(["x", "y"])
    assert ids_of({"objid": ["1", "2"], "asset_id": ["x", "y"]}, ImageSet(names, names))[1] == ["x", "y"]


def test_named_by_the_user_or_by_the_row():
    assert ids_of({"plate": [1, 1], "fiber": [2, 3]}, id="plate+fiber")[1] == ["1-2", "1-3"]
    _, ids, made = ids_of({"mass": [1.0, 2.0]})
    assert ids == ["row1", "row2"] and "row number" in made.notes[0]
    with pytest.raises(DataError, match='no column "objids"; did you mean "objid"'):
        ids_of({"objid": ["1"]}, id="objids")


def test_repeated_missing_and_contradicting_rows_are_named():
    frame = {"objid": ["a", "b", "b", "c", "c", None, "d"], "y": [0, 1, 1, 0, 1, 0, 1]}
    kept, ids, made = ids_of(frame, label="y", id="objid")
    assert ids == ["a", "b", "d"] and kept["y"].tolist() == [0, 1, 1]
    assert made.skipped[0].to_dict() == {
        "no objid": ["row 6"], "a repeated objid; the first is kept": ["b"], "the same objid with different labels": ["c"],
    }  # fmt: skip
    assert ids_of(frame, id="objid")[1] == ["a", "b", "c", "d"], "without a label nothing contradicts"
    with pytest.raises(DataError, match="3 of 7 rows cannot be used"):
        ids_of(frame, label="y", id="objid", most_skipped=0.1)


def test_votes_that_differ_and_agree_on_the_class_do_not_contradict():
    frame = {"objid": ["a", "a", "b"], "P_MG": [0.5, 0.6, 0.1]}
    assert ids_of(frame, label="P_MG>0.4", id="objid")[1] == ["a", "b"]


def test_ids_that_lost_digits_are_refused():
    with pytest.raises(DataError, match="lost digits"):
        ids_of({"objid": ["5.87739505552786e+17", "5.87739505552787e+17"]})


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(10**17, 2**63 - 1), min_size=1, max_size=6))
def test_19_digits_survive_any_joining(values):
    frame = pd.DataFrame({"a": values, "b": [str(v) for v in values]})
    assert text(frame, ["a", "b"]).tolist() == [f"{v}-{v}" for v in values]


def test_whole_numbers_with_gaps_are_integers():
    frame = pd.DataFrame({"a": [91.0, np.nan, 2.5]})
    assert text(frame, ["a"]).tolist() == ["91", None, "2.5"]


def test_many_repetitions_are_fast():
    """Linear in the rows: 20,000 of them take no minutes."""
    n = 20_000
    kept, _, made = ids_of({"objid": np.repeat(np.arange(n // 2), 2).astype(str), "y": np.arange(n) % 2}, id="objid")
    assert len(kept) == n // 2 and len(made.skipped[0]) == n // 2
