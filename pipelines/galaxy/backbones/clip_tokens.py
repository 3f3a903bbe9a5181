"""Text to the tokens of CLIP: byte-pair encoding of lower-case words (Sennrich et al. 2016, arXiv:1508.07909).

Convention of Radford et al. 2021 (arXiv:2103.00020): a start token, the pieces of each word, the last piece of a word
marked by "</w>", an end token, 77 places in all. The vocabulary and the list of merges come with the weights.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from sciml.pipelines.errors import DataError

START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"
# contractions, runs of letters, single digits, runs of anything else that is no space
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)


def byte_letters() -> dict[int, str]:
    """A visible character for each byte: printable ones stand for themselves, the others for 256, 257, ..."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("\u00a1"), ord("\u00ac") + 1), *range(ord("\u00ae"), 256)]
    letters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + place) for place, byte in enumerate(others)}


class ClipTokens:
    """Texts -> int64 [n, length], the end token in all places behind the text.

    Args:
        vocabulary: number of each piece.
        merges: pairs of pieces, the first to merge first.
        length: places of a text.
    """

    def __init__(self, vocabulary: dict[str, int], merges: Sequence[tuple[str, str]], length: int = 77):
        for name in (START, END):
            if name not in vocabulary:
                raise DataError(f"this is no CLIP vocabulary: it has no {name}")
        self.vocabulary, self.length = vocabulary, length
        self._rank = {tuple(pair): place for place, pair in enumerate(merges)}
        self._letters = byte_letters()

    @classmethod
    def from_folder(cls, folder: Path, length: int = 77) -> ClipTokens:
        """From vocab.json and merges.txt, or tokenizer.json, beside the weights; DataError if they are absent."""
        whole = folder / "tokenizer.json"
        vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
        try:
            if vocabulary.is_file() and merges.is_file():
                lines = merges.read_text(encoding="utf-8").splitlines()
                pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
                return cls(json.loads(vocabulary.read_text(encoding="utf-8")), pairs, length)
            if whole.is_file():
                model = json.loads(whole.read_text(encoding="utf-8"))["model"]
                pairs = [tuple(pair.split()) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
                return cls(model["vocab"], pairs, length)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"the tokenizer in {folder} cannot be read: {error!r}") from None
        raise DataError(
            f"{folder} has no vocab.json and merges.txt", hint="zero-shot CLIP needs its tokenizer beside the weights"
        )

    def __call__(self, texts: Sequence[str]) -> Tensor:
        end = self.vocabulary[END]
        rows = torch.full((len(texts), self.length), end, dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            numbers = [self.vocabulary[START], *self._numbers(text)][: self.length - 1]
            row[: len(numbers)] = torch.tensor(numbers)
        return rows

    def _numbers(self, text: str) -> list[int]:
        clean = " ".join(html.unescape(text).split()).lower()
        numbers = []
        for word in _WORDS.findall(clean):
            letters = [self._letters[byte] for byte in word.encode()]
            for piece in self._merged([*letters[:-1], letters[-1] + WORD_END]):
                if piece not in self.vocabulary:
                    raise DataError(f'the CLIP vocabulary has no piece "{piece}" of the word "{word}"')
                numbers.append(self.vocabulary[piece])
        return numbers

    def _merged(self, pieces: list[str]) -> list[str]:
        while len(pieces) > 1:
            best = min(
                zip(pieces[:-1], pieces[1:], strict=True), key=lambda pair: self._rank.get(pair, len(self._rank))
            )
            if best not in self._rank:
                break
            joined, place = [], 0
            while place < len(pieces):
                if tuple(pieces[place : place + 2]) == best:
                    joined.append(pieces[place] + pieces[place + 1])
                    place += 2
                else:
                    joined.append(pieces[place])
                    place += 1
            pieces = joined
        return pieces
