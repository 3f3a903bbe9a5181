"""TabTransformer: attention among categorical columns, continuous columns joined behind it (Huang et al. 2020).

    context = transformer(category embeddings),   pooled vector = mlp([flattened context, layer norm of continuous])

arXiv:2012.06678.
NOTE: blocks are pre-norm with gated feed-forward layers (GEGLU, four times the width), as in the package
tab-transformer-pytorch, to which this is numerically equal (see `load_tab_transformer_pytorch`); the paper is post-norm.
NOTE: without a categorical column no attention would be left; the continuous columns are then cut into bins, which serve
as categories beside the values themselves.

Axes: b batch, k categorical (or binned) column, d width of a token.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.transformer import FeedForward, MultiheadAttention

from .batch import TableBatch, check_columns, check_shape
from .embeddings import check_edges


class CategoryTable(nn.Module):
    """codes [b, k] -> [b, k, d]; the last `d_shared` numbers of a token belong to the column, not to the category."""

    no_decay = True

    def __init__(self, cardinalities: tuple[int, ...], d_token: int, d_shared: int):
        super().__init__()
        self.table = nn.Parameter(torch.empty(sum(cardinalities), d_token - d_shared).normal_())
        self.column = nn.Parameter(torch.empty(len(cardinalities), d_shared).normal_(std=0.02))
        first = torch.tensor((0, *cardinalities[:-1])).cumsum(0)
        self.register_buffer("first", first, persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        categories = self.table[codes + self.first]
        return torch.cat((categories, self.column.expand(codes.shape[0], -1, -1)), dim=-1)


class Block(nn.Module):
    """One pre-norm block of self-attention and a gated layer."""

    def __init__(self, d_token: int, n_heads: int, d_head: int, attention_dropout: float, ffn_dropout: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_token)
        self.attention = MultiheadAttention(d_token, n_heads, d_head=d_head, bias=False, dropout=attention_dropout)
        self.ffn_norm = nn.LayerNorm(d_token)
        self.ffn = FeedForward(d_token, 4 * d_token, "geglu", ffn_dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.ffn(self.ffn_norm(x))


class TabTransformer(nn.Module):
    """TableBatch -> tokens [b, 1 + k, d_token]: the pooled vector, then the columns in context.

    Args:
        n_continuous, cardinalities: the columns.
        d_token: width of a token and of the pooled vector.
        n_blocks, n_heads, d_head: depth, heads, width of a head.
        d_shared: numbers of a token that say which column it is; d_token / 8 where it is None (the paper's choice).
        mlp_multipliers: widths of the hidden layers over the width of their input.
        edges: [c, t + 1], bins of the continuous columns; needed where there is no categorical column.
    """

    def __init__(
        self,
        n_continuous: int,
        cardinalities: tuple[int, ...] = (),
        *,
        d_token: int = 32,
        n_blocks: int = 3,
        n_heads: int = 8,
        d_head: int = 16,
        d_shared: int | None = None,
        attention_dropout: float = 0.0,
        ffn_dropout: float = 0.0,
        mlp_multipliers: tuple[int, ...] = (4, 2),
        edges: Tensor | None = None,
    ):
        super().__init__()
        check_shape(n_continuous, cardinalities)
        self.d_token, self.n_continuous, self.n_categorical = d_token, n_continuous, len(cardinalities)
        cardinalities = self._bins(n_continuous, edges) if not cardinalities else tuple(cardinalities)
        self.categories = CategoryTable(cardinalities, d_token, d_token // 8 if d_shared is None else d_shared)
        rates = (attention_dropout, ffn_dropout)
        self.blocks = nn.ModuleList([Block(d_token, n_heads, d_head, *rates) for _ in range(n_blocks)])
        # the norm of a single number is always zero: one column passes as it is
        self.norm = nn.LayerNorm(n_continuous) if n_continuous > 1 else nn.Identity()
        self.missing = nn.Parameter(torch.zeros(n_continuous)) if n_continuous else None
        width = d_token * len(cardinalities) + n_continuous
        widths = [width, *(width * factor for factor in mlp_multipliers), d_token]
        self.mlp = nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)])

    def _bins(self, n_continuous: int, edges: Tensor | None) -> tuple[int, ...]:
        if edges is None:
            raise SettingsError(
                "TabTransformer needs a categorical column, or bins of the continuous ones",
                hint="pass edges=quantile_edges(table), or take the table encoder ft_transformer or mlp",
            )
        self.register_buffer("edges", check_edges(edges, n_continuous)[:, 1:-1].contiguous())
        return (edges.shape[1],) * n_continuous  # bins and one more for "missing"

    def forward(self, table: TableBatch) -> Tensor:
        check_columns(table, self.n_continuous, self.n_categorical)
        context = self.categories(table.categorical if self.n_categorical else self._binned(table))
        for block in self.blocks:
            context = block(context)
        parts = [context.flatten(1)]
        if self.missing is not None:
            parts.append(self.norm(torch.where(table.missing, self.missing, table.continuous)))
        pooled = torch.cat(parts, dim=1)
        for layer in self.mlp[:-1]:
            pooled = torch.relu(layer(pooled))
        return torch.cat((self.mlp[-1](pooled)[:, None], context), dim=1)

    def _binned(self, table: TableBatch) -> Tensor:
        """Codes [b, c]: 0 where a value is missing, 1 and up the bin it lies in."""
        passed = table.continuous[..., None] >= self.edges
        return (1 + passed.sum(-1)).masked_fill(table.missing, 0)


def load_tab_transformer_pytorch(encoder: TabTransformer, state: Mapping[str, Tensor]) -> None:
    """Copy the weights of a tab_transformer_pytorch.TabTransformer 0.3 (its state_dict, built with dim_out=d_token).

    Raises:
        DataError: shapes or columns differ, or the file holds another kind of weights.
    """
    renamed = {}
    for name, value in state.items():
        if name not in ("categories_offset", "continuous_mean_std"):
            renamed |= _from_package(name, value, len(encoder.categories.table))
    order = sorted({int(name.split(".")[2]) for name in renamed if name.startswith("mlp.mlp.")})
    renamed = {_layer_name(name, order): value for name, value in renamed.items()}
    expected = {name: value.shape for name, value in encoder.state_dict().items() if name not in ("missing", "edges")}
    found = {name: value.shape for name, value in renamed.items()}
    if expected != found:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise DataError(f"these are not the weights of a TabTransformer of this shape; first difference: {wrong[0]}")
    encoder.load_state_dict(renamed, strict=False)


def _layer_name(name: str, order: list[int]) -> str:
    """mlp.mlp.<n>.weight counts activations too; ours counts the linear layers."""
    if not name.startswith("mlp.mlp."):
        return name
    _, _, position, leaf = name.split(".")
    return f"mlp.{order.index(int(position))}.{leaf}"


def _from_package(name: str, value: Tensor, n_categories: int) -> dict[str, Tensor]:
    if name == "category_embed.weight":
        # its first rows are special tokens that no code points to
        return {"categories.table": value[len(value) - n_categories :]}
    if name == "shared_category_embed":
        return {"categories.column": value}
    if not name.startswith("transformer.layers."):
        return {name: value}
    _, _, block, part, rest = name.split(".", 4)
    start = f"blocks.{block}."
    if rest.startswith("norm."):
        return {f"{start}{('attention_norm', 'ffn_norm')[int(part)]}.{rest[5:]}": value}
    if rest == "fn.to_qkv.weight":
        return {
            f"{start}attention.{key}.weight": x
            for key, x in zip(("query", "key", "value"), value.chunk(3), strict=True)
        }
    names = {"fn.to_out": "attention.out", "fn.net.0": "ffn.inner", "fn.net.3": "ffn.outer"}
    layer, leaf = rest.rsplit(".", 1)
    return {f"{start}{names.get(layer, layer)}.{leaf}": value}
