"""Every table encoder by name."""

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.tabular.embeddings import quantile_edges
from sciml.pipelines.galaxy.tabular.registry import TABLE_ENCODERS, build_table_encoder


@pytest.mark.parametrize("name", TABLE_ENCODERS.names())
def test_tokens_start_with_the_pooled_vector(name, make_batch):
    batch = make_batch(dtype=torch.float32)
    encoder = build_table_encoder(name, 5, (3, 4), edges=quantile_edges(batch, 4))
    tokens = encoder(batch)
    assert tokens.ndim == 3 and tokens.shape[::2] == (6, encoder.d_token)


def test_unknown_names_and_arguments():
    with pytest.raises(SettingsError, match='unknown table encoder "ft-transformer"; did you mean "ft_transformer"'):
        build_table_encoder("ft-transformer", 5)
    with pytest.raises(SettingsError, match='"mlp" does not take these arguments.*depth'):
        build_table_encoder("mlp", 5, arguments={"depth": 3})
