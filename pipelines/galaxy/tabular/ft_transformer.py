"""FT-Transformer: every column a token, a CLS token in front, pre-norm transformer blocks (Gorishniy et al. 2021).

    x <- x + attention(norm x),   x <- x + W2 reglu(W1 norm x),   pooled vector = the CLS token

arXiv:2106.11959, section 3.3; the first block has no norm before its attention. Numerically equal to the authors'
package rtdl_revisiting_models where no value is missing (see `load_rtdl`).

Axes: b batch, n column, d width of a token.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.transformer import FeedForward, MultiheadAttention

from .batch import TableBatch
from .embeddings import ColumnTokenizer


class Block(nn.Module):
    """One pre-norm block; `first` leaves out the norm before the attention."""

    def __init__(
        self,
        d_block: int,
        n_heads: int,
        d_hidden: int,
        attention_dropout: float,
        ffn_dropout: float,
        residual_dropout: float,
        first: bool,
    ):
        super().__init__()
        self.attention_norm = nn.Identity() if first else nn.LayerNorm(d_block)
        self.attention = MultiheadAttention(d_block, n_heads, mix=n_heads > 1, dropout=attention_dropout)
        self.ffn_norm = nn.LayerNorm(d_block)
        self.ffn = FeedForward(d_block, d_hidden, "reglu", ffn_dropout)
        self.residual_dropout = nn.Dropout(residual_dropout)

    def forward(self, x: Tensor, cls_only: bool = False) -> Tensor:
        y = self.attention_norm(x)
        if cls_only:
            # nobody reads the other tokens after the last block: its queries are the CLS token alone
            x, queries = x[:, :1], y[:, :1]
        else:
            queries = y
        x = x + self.residual_dropout(self.attention(queries, y))
        return x + self.residual_dropout(self.ffn(self.ffn_norm(x)))


class FTTransformer(nn.Module):
    """TableBatch -> tokens [b, 1 + n, d_block], CLS first; [b, 1, d_block] where `all_tokens` is False.

    Args:
        n_continuous, cardinalities: the columns.
        d_block: width of a token.
        n_blocks, n_heads: depth and heads. The paper's default of 3 blocks, width 192 is slow on a CPU; 2 and 64 are
            the default here.
        ffn_multiplier: hidden units of the gated layer over d_block; 4/3 has as many weights as 2 without gates.
        embedding, edges: see `ColumnTokenizer`.
        all_tokens: whether a fusion will look at the column tokens.
    """

    def __init__(
        self,
        n_continuous: int,
        cardinalities: tuple[int, ...] = (),
        *,
        d_block: int = 64,
        n_blocks: int = 2,
        n_heads: int = 8,
        attention_dropout: float = 0.2,
        ffn_dropout: float = 0.1,
        residual_dropout: float = 0.0,
        ffn_multiplier: float = 4 / 3,
        embedding: str = "linear",
        edges: Tensor | None = None,
        all_tokens: bool = True,
    ):
        super().__init__()
        self.d_token, self.all_tokens = d_block, all_tokens
        self.cls = nn.Parameter(torch.empty(d_block).uniform_(-(d_block**-0.5), d_block**-0.5))
        self.tokenizer = ColumnTokenizer(n_continuous, cardinalities, d_block, embedding, edges)
        rates = (attention_dropout, ffn_dropout, residual_dropout)
        self.blocks = nn.ModuleList(
            [Block(d_block, n_heads, int(d_block * ffn_multiplier), *rates, first=i == 0) for i in range(n_blocks)]
        )

    def forward(self, table: TableBatch) -> Tensor:
        columns = self.tokenizer(table)
        x = torch.cat((self.cls.expand(columns.shape[0], 1, -1), columns), dim=1)
        for block in self.blocks:
            x = block(x, cls_only=not self.all_tokens and block is self.blocks[-1])
        return x if self.all_tokens else x[:, :1]


# Names in rtdl_revisiting_models 0.0.2 -> names here, for the part of a block.
_BLOCK_PARTS = {
    "attention_normalization": "attention_norm",
    "attention.W_q": "attention.query",
    "attention.W_k": "attention.key",
    "attention.W_v": "attention.value",
    "attention.W_out": "attention.out",
    "ffn_normalization": "ffn_norm",
    "ffn.linear1": "ffn.inner",
    "ffn.linear2": "ffn.outer",
}


def load_rtdl(encoder: FTTransformer, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy the weights of an rtdl_revisiting_models.FTTransformer (its state_dict) into `encoder`.

    Returns:
        Weights of its head, which is LayerNorm, ReLU and Linear: normalization.weight, .bias, linear.weight, .bias.

    Raises:
        DataError: shapes or columns differ, or the file holds another kind of weights.
    """
    renamed, head = {}, {}
    for name, value in state.items():
        if name.startswith("backbone.output."):
            head[name.removeprefix("backbone.output.")] = value
        else:
            renamed[_from_rtdl(name)] = value
    # the package has no tokens for missing values: ours keep their start
    expected = {name: value.shape for name, value in encoder.state_dict().items() if name != "tokenizer.missing"}
    found = {name: value.shape for name, value in renamed.items()}
    if expected != found:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise DataError(f"these are not the weights of an FT-Transformer of this shape; first difference: {wrong[0]}")
    encoder.load_state_dict(renamed, strict=False)
    return head


def _from_rtdl(name: str) -> str:
    if name == "cls_embedding.weight":
        return "cls"
    if name.startswith("cont_embeddings."):
        return name.replace("cont_embeddings", "tokenizer.continuous")
    if name == "cat_embeddings.bias":
        return "tokenizer.categorical.bias"
    if name.startswith("cat_embeddings.embeddings."):
        return f"tokenizer.categorical.tables.{name.split('.')[2]}"
    if name.startswith("backbone.blocks."):
        _, _, block, rest = name.split(".", 3)
        part, leaf = rest.rsplit(".", 1)
        return f"blocks.{block}.{_BLOCK_PARTS.get(part, part)}.{leaf}"
    return name
