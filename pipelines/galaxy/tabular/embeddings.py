"""Columns to tokens: linear, periodic and piecewise-linear embeddings, category tables, learned tokens for missing values.

    linear      t_j = x_j W_j + b_j                                   (Gorishniy et al. 2021, arXiv:2106.11959)
    periodic    t_j = relu([cos v, sin v] W_j + b_j), v = 2 pi f_j x_j (Gorishniy et al. 2022, arXiv:2203.05556, section 3.3)
    piecewise   t_j = x_j W_j + b_j + e(x_j) V_j, e the encoding of bins of the same paper, eq. 1; V starts at 0

The bias b_j of a column, and in a category table its own vector, is the column's embedding: it says which column a
token comes from, so that attention needs no order of columns.

Axes: b batch, c continuous column, k categorical column, t bin, d width of a token.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError

from .batch import TableBatch, check_columns, check_shape

KINDS = ("linear", "periodic", "piecewise")


def _uniform(*shape: int) -> nn.Parameter:
    """U(-d^-1/2, d^-1/2) with d the last axis: tokens of all columns start at the same length."""
    bound = shape[-1] ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class LinearEmbedding(nn.Module):
    """x [b, c] -> [b, c, d]: one direction and one offset per column."""

    no_decay = True

    def __init__(self, n_continuous: int, d_token: int):
        super().__init__()
        self.weight = _uniform(n_continuous, d_token)
        self.bias = _uniform(n_continuous, d_token)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, x[..., None], self.weight)


class PeriodicEmbedding(nn.Module):
    """x [b, c] -> [b, c, d] through `n_frequencies` learned frequencies per column.

    `spread` is the standard deviation of the frequencies at the start [1 / unit of x]: the paper's sigma, its most
    important hyper-parameter; a preprocessed column has unit spread, hence values well under 1.
    """

    no_decay = True

    def __init__(self, n_continuous: int, d_token: int, n_frequencies: int = 16, spread: float = 0.05):
        super().__init__()
        # a frequency far out in the tail would turn its column into noise for good: cut at three sigma
        start = torch.empty(n_continuous, n_frequencies)
        self.frequency = nn.Parameter(nn.init.trunc_normal_(start, std=spread, a=-3 * spread, b=3 * spread))
        bound = (2 * n_frequencies) ** -0.5
        self.weight = nn.Parameter(torch.empty(n_continuous, 2 * n_frequencies, d_token).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_continuous, d_token).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        angle = 2.0 * math.pi * x[..., None] * self.frequency
        waves = torch.cat((angle.cos(), angle.sin()), dim=-1)
        return torch.relu(torch.einsum("bcf,cfd->bcd", waves, self.weight) + self.bias)


class PiecewiseLinearEmbedding(nn.Module):
    """x [b, c] -> [b, c, d], linear between the `edges` [c, t + 1] of bins (non-decreasing, see `quantile_edges`)."""

    no_decay = True

    def __init__(self, edges: Tensor, d_token: int):
        super().__init__()
        self.register_buffer("edges", edges.clone())
        self.linear = LinearEmbedding(len(edges), d_token)
        self.weight = nn.Parameter(torch.zeros(len(edges), edges.shape[1] - 1, d_token))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + torch.einsum("bct,ctd->bcd", encode_bins(x, self.edges), self.weight)


class CategoricalEmbedding(nn.Module):
    """codes [b, k] -> [b, k, d]: a table per column plus the column's own vector."""

    no_decay = True

    def __init__(self, cardinalities: tuple[int, ...], d_token: int):
        super().__init__()
        self.tables = nn.ParameterList([_uniform(size, d_token) for size in cardinalities])
        self.bias = _uniform(len(cardinalities), d_token)

    def forward(self, codes: Tensor) -> Tensor:
        columns = [table[codes[:, column]] for column, table in enumerate(self.tables)]
        return torch.stack(columns, dim=1) + self.bias


class ColumnTokenizer(nn.Module):
    """TableBatch -> tokens [b, c + k, d], continuous columns first; a missing value is a learned token of its column.

    Args:
        n_continuous, cardinalities: the columns; code 0 of a category is "missing".
        kind: a name in KINDS.
        edges: [c, t + 1] for "piecewise".
    """

    no_decay = True

    def __init__(
        self,
        n_continuous: int,
        cardinalities: tuple[int, ...],
        d_token: int,
        kind: str = "linear",
        edges: Tensor | None = None,
    ):
        super().__init__()
        check_shape(n_continuous, cardinalities)
        self.n_continuous, self.n_categorical = n_continuous, len(cardinalities)
        self.continuous = continuous_embedding(kind, n_continuous, d_token, edges) if n_continuous else None
        self.missing = _uniform(n_continuous, d_token) if n_continuous else None
        self.categorical = CategoricalEmbedding(tuple(cardinalities), d_token) if cardinalities else None

    def forward(self, table: TableBatch) -> Tensor:
        check_columns(table, self.n_continuous, self.n_categorical)
        tokens = []
        if self.continuous is not None:
            # the imputed number is wiped first: an infinite one would poison the gradient behind torch.where
            x = table.continuous.masked_fill(table.missing, 0.0)
            tokens.append(torch.where(table.missing[..., None], self.missing, self.continuous(x)))
        if self.categorical is not None:
            tokens.append(self.categorical(table.categorical))
        return tokens[0] if len(tokens) == 1 else torch.cat(tokens, dim=1)


def continuous_embedding(kind: str, n_continuous: int, d_token: int, edges: Tensor | None = None) -> nn.Module:
    """The embedding called `kind`; SettingsError for an unknown kind or bins that do not fit."""
    if kind == "linear":
        return LinearEmbedding(n_continuous, d_token)
    if kind == "periodic":
        return PeriodicEmbedding(n_continuous, d_token)
    if kind == "piecewise":
        return PiecewiseLinearEmbedding(check_edges(edges, n_continuous), d_token)
    raise SettingsError(f'unknown embedding "{kind}"; accepted: {", ".join(KINDS)}')


def check_edges(edges: Tensor | None, n_continuous: int) -> Tensor:
    """`edges` [c, t + 1] if they are bins of c columns; SettingsError otherwise."""
    if edges is None:
        raise SettingsError("bins of the continuous columns are needed here", hint="pass edges=quantile_edges(table)")
    if edges.ndim != 2 or len(edges) != n_continuous or edges.shape[1] < 2:
        raise SettingsError(f"edges must be [{n_continuous}, bins + 1], got {list(edges.shape)}")
    if not (edges.diff(dim=1) >= 0).all():
        raise SettingsError("edges of bins must not decrease along a column")
    return edges


def encode_bins(x: Tensor, edges: Tensor) -> Tensor:
    """[b, c] -> [b, c, t]: how far x has passed through each bin, 0 before it and 1 behind it.

    The outermost bins go on beyond their outer edge, so values outside the training range still differ.
    """
    left, width = edges[:, :-1], edges.diff(dim=1)
    step = (x[..., None] >= edges[:, 1:]).to(x.dtype)
    ratio = (x[..., None] - left) / torch.where(width > 0, width, 1.0)
    # a bin without width is a step: the second of two equal edges
    inner = torch.where(width > 0, ratio.clamp(0.0, 1.0), step)
    first, last = ratio[..., :1].clamp(max=1.0), ratio[..., -1:].clamp(min=0.0)
    if edges.shape[1] == 2:
        return torch.where(width > 0, ratio, step)
    outer = torch.cat((first, inner[..., 1:-1], last), dim=-1)
    return torch.where(width > 0, outer, inner)


def quantile_edges(table: TableBatch, n_bins: int = 24) -> Tensor:
    """Edges [c, n_bins + 1] of equally filled bins over the values that are not missing.

    A column with many equal values has fewer bins; its last edge is repeated.
    """
    levels = torch.linspace(0.0, 1.0, n_bins + 1, dtype=torch.float64)
    rows = []
    for column, missing in zip(table.continuous.T, table.missing.T, strict=True):
        known = column[~missing].double()
        edges = torch.quantile(known, levels).unique() if len(known) else torch.zeros(1, dtype=torch.float64)
        rows.append(torch.cat((edges, edges[-1:].expand(n_bins + 1 - len(edges)))))
    return torch.stack(rows).to(table.continuous.dtype) if rows else torch.zeros(0, n_bins + 1)
