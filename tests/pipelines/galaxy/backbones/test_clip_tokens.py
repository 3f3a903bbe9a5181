"""Byte-pair encoding by hand, from both forms of the vocabulary."""

import html
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.backbones.clip_tokens import END, START, WORD_END, ClipTokens, byte_letters

MERGES = [("g", "a"), ("ga", "l"), ("a", "x"), ("y", WORD_END), ("gal", "ax"), ("a", "l")]


def vocabulary(merges=()):
    letters = list(byte_letters().values())
    pieces = [*letters, *(letter + WORD_END for letter in letters), *("".join(pair) for pair in merges)]
    return {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, START, END]))}


BYTES = ClipTokens(vocabulary(), [], length=200)
PIECES = {number: piece for piece, number in BYTES.vocabulary.items()}


@pytest.fixture
def tokens():
    # y and </w> are one letter of the vocabulary, so a merge names them apart only in this list
    return ClipTokens(vocabulary(MERGES), [pair for pair in MERGES if pair[1] != WORD_END], length=12)


def names(tokens, text):
    by_number = {number: piece for piece, number in tokens.vocabulary.items()}
    return [by_number[number] for number in tokens([text])[0].tolist()]


def test_the_best_merge_goes_first(tokens):
    assert names(tokens, "galaxy") == [START, "galax", "y" + WORD_END] + [END] * 9
    assert names(tokens, "alga")[:5] == [START, "al", "g", "a" + WORD_END, END]


def test_case_and_spaces_do_not_matter(tokens):
    assert torch.equal(tokens(["  GALAXY\n gal "]), tokens(["galaxy gal"]))
    assert torch.equal(tokens(["a &amp; b"]), tokens(["a & b"]))


def test_digits_are_single_and_signs_their_own_words(tokens):
    assert names(tokens, "m31!")[:6] == [START, "m" + WORD_END, "3" + WORD_END, "1" + WORD_END, "!" + WORD_END, END]


def test_a_long_text_is_cut_and_still_ends(tokens):
    row = tokens(["x " * 40])[0]
    assert len(row) == 12 and row[-1] == tokens.vocabulary[END] and (row[1:-1] != row[-1]).all()


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=30))
def test_every_text_has_numbers(text):
    made = BYTES
    row = made([text])[0]
    assert row[0] == made.vocabulary[START] and row[-1] == made.vocabulary[END]
    # without merges the pieces are the bytes of the text, less its spaces
    pieces = row[1 : (row == made.vocabulary[END]).int().argmax()]
    letters = "".join(PIECES[n] for n in pieces.tolist()).replace(WORD_END, "")
    byte = {letter: number for number, letter in byte_letters().items()}

    want = "".join(html.unescape(text).lower().split())
    assert bytes(byte[letter] for letter in letters).decode(errors="replace") == want


def test_both_forms_of_files_are_the_same(tmp_path):
    words, merges = vocabulary(MERGES), [pair for pair in MERGES if pair[1] != WORD_END]
    two, one = tmp_path / "two", tmp_path / "one"
    for folder in (two, one):
        folder.mkdir()
    (two / "vocab.json").write_text(json.dumps(words))
    (two / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    for form in ([" ".join(pair) for pair in merges], [list(pair) for pair in merges]):
        (one / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words, "merges": form}}))
        text = ["galaxy algal ga"]
        assert torch.equal(ClipTokens.from_folder(two)(text), ClipTokens.from_folder(one)(text))


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(DataError, match="no vocab.json and merges.txt"):
        ClipTokens.from_folder(tmp_path)
    with pytest.raises(DataError, match=r"no CLIP vocabulary: it has no <\|startoftext\|>"):
        ClipTokens({"a": 0}, [])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be read"):
        ClipTokens.from_folder(tmp_path)
    with pytest.raises(DataError, match='has no piece "q</w>" of the word "q"'):
        ClipTokens({START: 0, END: 1, "a</w>": 2}, [])(["a q"])
