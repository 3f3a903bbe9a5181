"""The perceptron against its equation; missing values as learned numbers."""

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.tabular.embeddings import quantile_edges
from sciml.pipelines.galaxy.tabular.mlp import MLP


def test_is_its_equation(make_batch):
    model = MLP(5, (3, 4), d_block=8, n_blocks=2).double().eval()
    batch = make_batch(missing=0.3)
    with torch.no_grad():
        model.missing.normal_()
    x = torch.where(batch.missing, model.missing, batch.continuous)
    x = torch.cat((batch.missing.double(), x, model.categorical(batch.categorical).flatten(1)), 1)
    for layer in model.layers:
        x = torch.relu(x @ layer.weight.T + layer.bias)
    assert torch.allclose(model(batch), x[:, None], atol=1e-14)


@pytest.mark.parametrize("embedding", ["none", "linear", "periodic", "piecewise"])
def test_what_was_imputed_does_not_matter_and_everything_learns(embedding, make_batch):
    batch = make_batch(50, missing=0.3)
    model = MLP(5, (3, 4), embedding=embedding, edges=quantile_edges(batch, 4), d_block=16).double().eval()
    other = batch._replace(continuous=torch.where(batch.missing, -55.0, batch.continuous))
    assert model(batch).shape == (50, 1, 16) and torch.equal(model(batch), model(other))
    model(batch).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("c, cardinalities", [(3, ()), (0, (4,))])
def test_one_kind_of_column_is_enough(c, cardinalities, make_batch):
    assert MLP(c, cardinalities).double()(make_batch(c=c, cardinalities=cardinalities)).shape == (6, 1, 128)


def test_no_column_is_refused():
    with pytest.raises(SettingsError, match="at least one column"):
        MLP(0, ())
