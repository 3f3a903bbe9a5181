"""A multilayer perceptron over all columns: linear, ReLU, dropout, n_blocks times (Gorishniy et al. 2021, section 3.1).

A missing value is a learned number of its column, and its flag is an input as well.

Axes: b batch, c continuous column, k categorical column.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .batch import TableBatch, check_columns, check_shape
from .embeddings import CategoricalEmbedding, ColumnTokenizer

_WIDTH_OF_A_COLUMN = 12  # of an embedded continuous column; arXiv:2203.05556 finds 8 to 24 enough


class MLP(nn.Module):
    """TableBatch -> tokens [b, 1, d_block].

    Args:
        n_continuous, cardinalities: the columns.
        d_block, n_blocks, dropout: width, depth, rate.
        embedding: "none" for the plain numbers, else see `ColumnTokenizer`.
        edges: [c, t + 1] for "piecewise".
    """

    def __init__(
        self,
        n_continuous: int,
        cardinalities: tuple[int, ...] = (),
        *,
        d_block: int = 128,
        n_blocks: int = 3,
        dropout: float = 0.1,
        embedding: str = "none",
        edges: Tensor | None = None,
    ):
        super().__init__()
        check_shape(n_continuous, cardinalities)
        self.d_token, self.n_continuous, self.n_categorical = d_block, n_continuous, len(cardinalities)
        self.tokenizer = self.categorical = self.missing = None
        width = n_continuous  # flags
        if embedding != "none":
            self.tokenizer = ColumnTokenizer(n_continuous, cardinalities, _WIDTH_OF_A_COLUMN, embedding, edges)
            width += _WIDTH_OF_A_COLUMN * (n_continuous + len(cardinalities))
        else:
            self.missing = nn.Parameter(torch.zeros(n_continuous))
            width += n_continuous
            if cardinalities:
                self.categorical = CategoricalEmbedding(tuple(cardinalities), _WIDTH_OF_A_COLUMN)
                width += _WIDTH_OF_A_COLUMN * len(cardinalities)
        self.layers = nn.ModuleList([nn.Linear(d_block if i else width, d_block) for i in range(n_blocks)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, table: TableBatch) -> Tensor:
        check_columns(table, self.n_continuous, self.n_categorical)
        parts = [table.missing.to(table.continuous.dtype)]
        if self.tokenizer is not None:
            parts.append(self.tokenizer(table).flatten(1))
        else:
            parts.append(torch.where(table.missing, self.missing, table.continuous))
            if self.categorical is not None:
                parts.append(self.categorical(table.categorical).flatten(1))
        x = torch.cat(parts, dim=1)
        for layer in self.layers:
            x = self.dropout(torch.relu(layer(x)))
        return x[:, None]
