"""What is left out is counted, named, and refused beyond a limit."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers.skipped import Skipped, listed


def test_lines_count_and_name():
    skipped = Skipped("images")
    for name in "abcd":
        skipped.add("truncated", name)
    skipped.add("empty", "e")
    assert skipped.lines() == [
        "4 images left out: truncated (a, b, c, ...)",
        "1 images left out: empty (e)",
    ]
    assert len(skipped) == 5 and skipped.names() == list("abcde")
    assert skipped.to_dict() == {"truncated": list("abcd"), "empty": ["e"]}


def test_what_another_reader_left_out_is_taken_over():
    one, two = Skipped(), Skipped()
    one.add("empty", "a")
    two.add("empty", "b")
    one.update(two)
    assert one.to_dict() == {"empty": ["a", "b"]} and two.names() == ["b"]


@pytest.mark.parametrize(
    ("bad", "total", "share", "refused"),
    [(1, 10, 0.1, False), (2, 10, 0.1, True), (3, 3, 1.0, True), (0, 0, 0.0, False)],
)
def test_too_many_are_refused(bad, total, share, refused):
    skipped = Skipped("rows")
    for i in range(bad):
        skipped.add("no id", f"row {i}")
    if refused:
        with pytest.raises(DataError, match=f"{bad} of {total} rows") as caught:
            skipped.refuse_beyond(share, total)
        assert "--most-skipped" in caught.value.hint
    else:
        skipped.refuse_beyond(share, total)


def test_listed_ends_in_dots():
    assert listed(range(5), 2) == "0, 1, ..." and listed([1]) == "1"
