"""What all fusions share: modalities brought to one width, learned tokens for an absent one, modality dropout.

An absent modality leaves one token in its sequence, the learned one; the other places are masked. So nothing an absent
modality holds (its pixels may be NaN) can reach the output, and a batch without the modality gives the same numbers as
one where every object lacks it.

Axes: b batch, n token, d width of a modality, f width of the fusion.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.backbones.layout import ImageFeatures


class Sequence(NamedTuple):
    """One modality, projected.

    tokens: [b, n, f], the pooled vector first.
    mask: bool [b, n], True where a token may be looked at; None where all may.
    present: bool [b]; None where all are.
    """

    tokens: Tensor
    mask: Tensor | None
    present: Tensor | None

    @property
    def pooled(self) -> Tensor:
        """[b, f], the learned token where the modality is absent."""
        return self.tokens[:, 0]


class Modality(nn.Module):
    """Project the tokens [b, n, d] of a modality to width f and put the learned token in place of an absent one.

    The first token is the pooled vector. `positions` (height, width) adds learned 2-D positions to the others.
    """

    no_decay_names = ("missing", "positions")

    def __init__(self, d: int, d_fusion: int, positions: tuple[int, int] | None = None):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.project = nn.Linear(d, d_fusion)
        self.missing = nn.Parameter(torch.empty(d_fusion).normal_(std=0.02))
        self.positions = None
        if positions is not None:
            self.positions = nn.Parameter(torch.empty(d_fusion, *positions).normal_(std=0.02))

    def forward(
        self,
        tokens: Tensor | None,
        present: Tensor | None,
        size: int,
        grid: tuple[int, int] | None = None,
    ) -> Sequence:
        """tokens None: absent for the whole batch of `size` objects."""
        if tokens is None:
            absent = torch.zeros(size, dtype=torch.bool, device=self.missing.device)
            return Sequence(self.missing.expand(size, 1, -1), None, absent)
        if present is not None:
            # a NaN of an absent object would pass torch.where in the gradient of the projection
            tokens = torch.where(present[:, None, None], tokens, 0.0)
        x = self.project(self.norm(tokens))
        if self.positions is not None:
            x = torch.cat((x[:, :1], x[:, 1:] + self._positions(grid, x.shape[1] - 1)), dim=1)
        if present is None:
            return Sequence(x, None, None)
        x = torch.where(present[:, None, None], x, self.missing)
        mask = present[:, None].expand(-1, x.shape[1]).clone()
        mask[:, 0] = True
        return Sequence(x, mask, present)

    def _positions(self, grid: tuple[int, int] | None, n: int) -> Tensor:
        """[n, f]; another grid than at training is interpolated, tokens without a grid lie along a line."""
        own = tuple(self.positions.shape[1:])
        wanted = grid if grid is not None else (1, n)
        table = self.positions
        if wanted != own:
            table = nn.functional.interpolate(table[None], size=wanted, mode="bilinear", align_corners=False)[0]
        return table.flatten(1).T


def objects(image: ImageFeatures | None, table: Tensor | None) -> int:
    """How many objects a fusion is given; SettingsError where both modalities are absent."""
    if image is None and table is None:
        raise SettingsError("a fusion needs an image or a table, and both are absent")
    return table.shape[0] if image is None else image.pooled.shape[0]


class Fusion(nn.Module):
    """Base of all fusions: forward(image, table, image_present, table_present) -> embedding [b, d_fusion].

    image: ImageFeatures or None, None meaning that no object of the batch has an image.
    table: tokens [b, n, d_table], pooled vector first, or None.
    image_present, table_present: bool [b], or None where all objects have the modality.

    A subclass implements `joined(image, table)` for two Sequences, and says whether it looks at more than the pooled
    vectors.
    """

    sees_image_tokens = True
    sees_table_tokens = True

    def __init__(self, d_image: int, d_table: int, d_fusion: int, positions: tuple[int, int] | None = None):
        super().__init__()
        self.d_fusion = d_fusion
        self.image = Modality(d_image, d_fusion, positions)
        self.table = Modality(d_table, d_fusion)

    def forward(
        self,
        image: ImageFeatures | None,
        table: Tensor | None,
        image_present: Tensor | None = None,
        table_present: Tensor | None = None,
    ) -> Tensor:
        size = objects(image, table)
        tokens, grid = None, None
        if image is not None:
            tokens, grid = image.pooled[:, None], image.grid
            if self.sees_image_tokens:
                tokens = torch.cat((tokens, image.tokens), dim=1)
        if table is not None and not self.sees_table_tokens:
            table = table[:, :1]
        return self.joined(self.image(tokens, image_present, size, grid), self.table(table, table_present, size))

    def joined(self, image: Sequence, table: Sequence) -> Tensor:
        """Embedding [b, d_fusion] of two modalities."""
        raise NotImplementedError


def modality_dropout(
    image_present: Tensor, table_present: Tensor, image_rate: float, table_rate: float
) -> tuple[Tensor, Tensor]:
    """Presence [b] after hiding images and tables at random, so that a model learns to do without one.

    Rates are probabilities of hiding a modality of an object that has both; never are both hidden.
    """
    if min(image_rate, table_rate) < 0.0 or not image_rate + table_rate <= 1.0:
        raise SettingsError(
            f"modality dropout rates must be non-negative and add up to at most 1, got {image_rate} and {table_rate}"
        )
    draw = torch.rand(image_present.shape, device=image_present.device)
    both = image_present & table_present
    hide_image = both & (draw < image_rate)
    hide_table = both & (draw >= 1.0 - table_rate)
    return image_present & ~hide_image, table_present & ~hide_table
