"""Joins by id and by position: complete both ways, against brute force, with the likely reason where nothing matches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.joining import match_ids, match_positions, nothing_matched


@settings(max_examples=60, deadline=None)
@given(left=st.lists(st.integers(0, 30), unique=True), right=st.lists(st.integers(0, 30), unique=True))
def test_ids_match_both_ways(left, right):
    match = match_ids(np.array(left, str), np.array(right, str))
    assert [left[i] for i in match.left] == [right[j] for j in match.right]
    assert set(match.left_only) == {str(v) for v in set(left) - set(right)}
    assert set(match.right_only) == {str(v) for v in set(right) - set(left)}


def test_long_ids_differ_in_their_last_digit():
    match = match_ids(np.array(["1237648721217716541"]), np.array(["1237648721217716542"]))
    assert not len(match.left) and match.left_only == ("1237648721217716541",)


def test_what_does_not_match_is_told():
    lines = match_ids(np.array(["a", "b", "c"]), np.array(["b", "d"]), "objid").lines("images", "table")
    assert lines == [
        "1 objects matched by objid",
        "2 of the images have no partner in the table (a, c)",
        "1 of the table have no partner in the images (d)",
    ]


def separation(a, b):
    """Great-circle distance [arcsec] by Vincenty's formula."""
    (l1, b1), (l2, b2) = np.deg2rad(a), np.deg2rad(b)
    dl = l2 - l1
    up = np.hypot(np.cos(b2) * np.sin(dl), np.cos(b1) * np.sin(b2) - np.sin(b1) * np.cos(b2) * np.cos(dl))
    return np.rad2deg(np.arctan2(up, np.sin(b1) * np.sin(b2) + np.cos(b1) * np.cos(b2) * np.cos(dl))) * 3600


@pytest.mark.parametrize("centre", [(0.0, 0.0), (359.9999, 10.0), (30.0, 89.9995), (200.0, -89.9999)])
def test_positions_match_as_by_brute_force(centre):
    """Also across 0 h and at the poles."""
    random = np.random.default_rng(3)
    n = 40
    ra = centre[0] + random.normal(0, 8e-4, n) / np.cos(np.deg2rad(min(abs(centre[1]), 89.9)))
    dec = np.clip(centre[1] + random.normal(0, 8e-4, n), -90, 90)
    ra2, dec2 = ra[::-1] + random.normal(0, 1e-4, n), np.clip(dec[::-1] + random.normal(0, 1e-4, n), -90, 90)
    distance = np.array(
        [[separation((a, b), (c, d)) for c, d in zip(ra2, dec2, strict=True)] for a, b in zip(ra, dec, strict=True)]
    )
    expected = {
        (i, j) for i in range(n) for j in range(n)
        if distance[i, j] <= 1.0 and distance[i].argmin() == j and distance[:, j].argmin() == i
    }  # fmt: skip
    match = match_positions((ra % 360, dec), (ra2 % 360, dec2), 1.0)
    assert set(zip(match.left.tolist(), match.right.tolist(), strict=True)) == expected and expected
    second = np.array([np.sort(distance[i])[1] <= 1.0 for i in match.left])
    assert match.ambiguous == second.sum()


def test_rows_without_a_position_stay_unmatched():
    match = match_positions((np.array([10.0, np.nan]), np.array([1.0, 2.0])), (np.array([10.0]), np.array([1.0])), 1.0)
    assert match.left.tolist() == [0] and match.left_only == ("1",)
    with pytest.raises(DataError, match="no object has a position"):
        match_positions((np.array([np.nan]), np.array([1.0])), (np.array([10.0]), np.array([1.0])), 1.0)
    with pytest.raises(DataError, match="a declination of 150 degrees") as caught:
        match_positions((np.array([1.0]), np.array([150.0])), (np.array([10.0]), np.array([1.0])), 1.0)
    assert "swapped" in caught.value.hint


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [("007", "7", "leading zeros differ"), ("m51", "M51", "upper and lower case"), ("587739505552786000", "587739505552785605", "went through a float"),
     ("a", "b", "--image-id")],
)  # fmt: skip
def test_the_likely_reason_is_given(left, right, words):
    assert words in nothing_matched(np.array([left]), np.array([right]), "table", "images").hint
