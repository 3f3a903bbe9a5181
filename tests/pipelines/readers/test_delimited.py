"""Text tables: delimiters, comments, quotes, encodings; rows of the wrong width are named."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.readers import delimited


def read(path):
    return delimited.read(path, keep_text=lambda name, cells: name == "id")


@pytest.mark.parametrize(
    "text",
    [
        "id,v\n007,1.5\n8,2\n", "id\tv\n007\t1.5\n8\t2\n", "id;v\r\n007;1.5\r\n8;2\r\n", "id | v\n007 | 1.5\n8 | 2\n", "id v\n007 1.5\n8   2\n",
        "# made by a program\n# id v\n007 1.5\n8 2\n".replace("007", "007"), "\ufeffid,v\n007,1.5\n\n# a comment\n8,2\n", 'id,v\n"007","1.5"\n8,2\n',
        "id,v\n007,1.5,\n8,2,\n",
    ],
)  # fmt: skip
def test_every_spelling_gives_the_same_table(write, text):
    frame = read(write("t.csv", text))
    assert (
        list(frame.columns) == ["id", "v"]
        and frame["id"].tolist() == ["007", "8"]
        and frame["v"].tolist() == [1.5, 2.0]
    )
    assert frame.attrs["sciml_notes"] == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_encodings(write, encoding):
    assert read(write("t.csv", "id,größe\n1,2\n", encoding)).columns[1] == "größe"


def test_a_quoted_delimiter_stays_in_its_cell(write):
    frame = read(write("t.csv", 'id,"flux, total",note\n1,2,"a, b"\n'))
    assert list(frame.columns) == ["id", "flux, total", "note"] and frame.loc[0, "note"] == "a, b"


def test_rows_of_another_width_are_named(write):
    frame = read(write("t.csv", "id,a,b\n1,2,3\n4,5,6,7\n8,9\n"))
    assert frame["id"].tolist() == ["1", "8"] and frame["b"].isna().tolist() == [False, True]
    assert frame.attrs["sciml_notes"] == [
        "1 rows with more cells than the 3 columns are left out (rows 2)",
        "1 rows have fewer cells than the 3 columns: their last cells are missing",
    ]


def test_a_repeated_name_is_made_unique(write):
    frame = read(write("t.csv", "id,ra,ra,\n1,2,3,4\n"))
    assert (
        list(frame.columns) == ["id", "ra", "ra.2", "column_4"]
        and '"ra" occurs more than once' in frame.attrs["sciml_notes"][0]
    )


def test_words_for_missing(write):
    assert read(write("t.csv", "id,a\n1,--\n2,null\n3,\\N\n4,5\n"))["a"].isna().tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("# only\n# comments\n", "only blank lines and comments"), ("id,a\n", "a header line and no rows"), ("1,2\n3,4\n", "no header line"),
        (b"id,a\n\x00\x00", "not text"), ("a\n1,2,3\n4,5,6\n", "no row is left"),
    ],
)  # fmt: skip
def test_what_is_no_table(write, content, words):
    with pytest.raises(DataError, match=words):
        read(write("t.csv", content))


def test_a_cell_may_run_over_several_lines(write):
    frame = read(write("t.csv", 'id,note,v\n1,"two\nlines",3\n2,one,4\n3,x,5,6\n'))
    assert frame["note"].tolist() == ["two lines", "one"] and frame["v"].tolist() == [3, 4]
