"""Pieces of HTML: escaped, in order, and nothing where there is nothing."""

from html.parser import HTMLParser

import pytest

from sciml.pipelines import page

NASTY = '<script>alert("&")</script>'


class Balanced(HTMLParser):
    """Fails where tags do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


PIECES = {
    "heading": page.heading(NASTY),
    "paragraph": page.paragraph(NASTY, NASTY),
    "table": page.table([NASTY, "b"], [(NASTY, (NASTY, NASTY))], NASTY, main=[True], text=(1,)),
    "picture": page.picture({"a": b"PNG"}, "a", NASTY, NASTY, narrow=True),
    "folded": page.folded(NASTY, page.verbatim(NASTY)),
    "whole": page.whole(NASTY, [page.heading(NASTY)]),
}


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_text_is_escaped(piece):
    assert "script" not in Balanced(piece).tags and "&lt;script&gt;" in piece


def test_nothing_where_there_is_nothing():
    assert page.paragraph("") == page.table(["a"], []) == page.picture({}, "a", "b") == ""


def test_cells_and_rows():
    text = page.table(
        ["arm", "AUC", "note"], [("a", ("0.9", "0.8 to 1.0"), "x"), ("b", "0.7", "y")], main=[False, True], long=(2,)
    )
    assert "<td>0.9<small>0.8 to 1.0</small></td>" in text and '<tr class="main"><th scope="row">b</th>' in text
    assert '<td class="long">x</td>' in text and '<th scope="col" class="text">note</th>' in text


def test_readable_in_the_dark_and_without_a_network():
    text = page.whole("t", [])
    assert "prefers-color-scheme: dark" in text and "http" not in text and "<script" not in text
