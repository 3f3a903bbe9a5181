"""Table encoders by name: mlp, tab_transformer, ft_transformer.

An encoder is a module TableBatch -> tokens [b, n, d_token], the pooled vector first.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.registry import Registry

_FOLDER = "sciml.pipelines.galaxy.tabular"
TABLE_ENCODERS = Registry(
    "table encoder",
    {
        "ft_transformer": f"{_FOLDER}.ft_transformer:FTTransformer",
        "tab_transformer": f"{_FOLDER}.tab_transformer:TabTransformer",
        "mlp": f"{_FOLDER}.mlp:MLP",
    },
)


def build_table_encoder(
    name: str,
    n_continuous: int,
    cardinalities: tuple[int, ...] = (),
    *,
    edges: Tensor | None = None,
    arguments: dict[str, Any] | None = None,
) -> nn.Module:
    """The table encoder `name`; `edges` [c, t + 1] are bins of the continuous columns, for those that need them.

    Raises:
        SettingsError: unknown name or argument, or no column.
    """
    cls = TABLE_ENCODERS.get(name)
    try:
        return cls(n_continuous, tuple(cardinalities), edges=edges, **(arguments or {}))
    except TypeError as error:
        raise SettingsError(f'the table encoder "{name}" does not take these arguments: {error}') from None
