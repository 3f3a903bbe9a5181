"""A batch of table rows as an encoder sees it.

Axes: b object, c continuous column, k categorical column.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sciml.pipelines.errors import SettingsError


class TableBatch(NamedTuple):
    """Rows of a preprocessed table.

    continuous: float [b, c], finite also where a value is missing.
    missing: bool [b, c], True where the value was imputed.
    categorical: int64 [b, k], codes; 0 is missing or never seen.
    """

    continuous: Tensor
    missing: Tensor
    categorical: Tensor

    @property
    def size(self) -> int:
        """Number of objects."""
        return self.continuous.shape[0]

    def rows(self, index: Tensor | slice) -> TableBatch:
        """The objects at `index` (int64 or bool tensor, or a slice)."""
        return TableBatch(*(part[index] for part in self))

    def to(self, *args, **kwargs) -> TableBatch:
        """The same on another device; a floating dtype applies to the continuous columns only."""
        device = torch.empty(0).to(*args, **kwargs).device
        return TableBatch(self.continuous.to(*args, **kwargs), self.missing.to(device), self.categorical.to(device))

    def without(self, absent: Tensor) -> TableBatch:
        """The same with the rows where `absent` [b] is True emptied: every value missing, every code 0."""
        row = absent[:, None]
        return TableBatch(
            self.continuous.masked_fill(row, 0.0), self.missing | row, self.categorical.masked_fill(row, 0)
        )


def no_columns(size: int, device: torch.device | None = None) -> TableBatch:
    """A table of `size` rows without any column, for models that see images only."""
    empty = torch.zeros(size, 0, device=device)
    return TableBatch(empty, empty.bool(), empty.long())


def check_columns(table: TableBatch, n_continuous: int, n_categorical: int) -> None:
    """SettingsError where a batch has other columns than the encoder was built for."""
    found = table.continuous.shape[1], table.categorical.shape[1]
    if found != (n_continuous, n_categorical):
        raise SettingsError(
            f"the table has {found[0]} continuous and {found[1]} categorical columns, "
            f"the encoder was built for {n_continuous} and {n_categorical}"
        )


def check_shape(n_continuous: int, cardinalities: tuple[int, ...]) -> None:
    """SettingsError where an encoder would have no column, or a category no code."""
    if n_continuous + len(cardinalities) == 0:
        raise SettingsError("a table encoder needs at least one column", hint="train an image-only model instead")
    if n_continuous < 0 or any(size < 1 for size in cardinalities):
        raise SettingsError(f"column counts must be positive, got {n_continuous} continuous, sizes {cardinalities}")
