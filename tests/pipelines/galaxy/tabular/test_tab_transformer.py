"""Equal to tab-transformer-pytorch 0.3, and to the equations written as functions; bins where there is no category."""

import pytest
import torch
import torch.nn.functional as F

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.tabular.embeddings import quantile_edges
from sciml.pipelines.galaxy.tabular.tab_transformer import TabTransformer, load_tab_transformer_pytorch

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}


def functional(state, batch, n_blocks, heads):
    """The model as a function of its weights [b, d]."""
    x = state["rows"]
    for i in range(n_blocks):
        w = {
            name.removeprefix(f"blocks.{i}."): value for name, value in state.items() if name.startswith(f"blocks.{i}.")
        }
        y = F.layer_norm(x, x.shape[-1:], w["attention_norm.weight"], w["attention_norm.bias"])
        q, k, v = (y @ w[f"attention.{part}.weight"].T for part in ("query", "key", "value"))
        q, k, v = (z.unflatten(-1, (heads, -1)).transpose(1, 2) for z in (q, k, v))
        p = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        x = x + (p @ v).transpose(1, 2).flatten(2) @ w["attention.out.weight"].T + w["attention.out.bias"]
        y = F.layer_norm(x, x.shape[-1:], w["ffn_norm.weight"], w["ffn_norm.bias"])
        a, b = (y @ w["ffn.inner.weight"].T + w["ffn.inner.bias"]).chunk(2, -1)
        x = x + (a * F.gelu(b)) @ w["ffn.outer.weight"].T + w["ffn.outer.bias"]
    z = F.layer_norm(batch.continuous, batch.continuous.shape[1:], state["norm.weight"], state["norm.bias"])
    z = torch.cat((x.flatten(1), z), 1)
    for i in range(3):
        z = z @ state[f"mlp.{i}.weight"].T + state[f"mlp.{i}.bias"]
        z = torch.relu(z) if i < 2 else z
    return z


def test_equal_to_its_equations(make_batch):
    torch.manual_seed(1)
    model = TabTransformer(5, (3, 4), d_token=16, n_blocks=2, n_heads=2, d_head=8).double().eval()
    batch = make_batch()
    state = dict(model.state_dict())
    table, column = state["categories.table"], state["categories.column"]
    picked = table[batch.categorical + torch.tensor([0, 3])]
    state["rows"] = torch.cat((picked, column.expand(6, -1, -1)), -1)
    assert torch.allclose(model(batch)[:, 0], functional(state, batch, 2, 2), atol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("c, d", [(5, 32), (0, 16)])
def test_equal_to_tab_transformer_pytorch(dtype, c, d, make_batch):
    package = pytest.importorskip("tab_transformer_pytorch")
    torch.manual_seed(0)
    theirs = package.TabTransformer(categories=(3, 4), num_continuous=c, dim=d, depth=2, heads=4, dim_out=d)
    theirs = theirs.to(dtype).eval()
    if not hasattr(theirs, "category_embed") or theirs.category_embed.weight.shape[0] != 9:
        pytest.skip("another generation of the package")
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    ours = TabTransformer(c, (3, 4), d_token=d, n_blocks=2, n_heads=4).to(dtype).eval()
    load_tab_transformer_pytorch(ours, theirs.state_dict())
    batch = make_batch(c=c, dtype=dtype)
    assert (ours(batch)[:, 0] - theirs(batch.categorical, batch.continuous)).abs().max() < TOLERANCE[dtype]


def test_columns_of_numbers_alone_are_binned(make_batch):
    batch = make_batch(40, cardinalities=(), missing=0.2)
    model = TabTransformer(5, (), d_token=16, n_blocks=1, edges=quantile_edges(batch, 6)).double().eval()
    assert model(batch).shape == (40, 6, 16)
    codes = model._binned(batch)
    assert (codes[batch.missing] == 0).all() and codes[~batch.missing].min() == 1 and codes.max() == 6
    with pytest.raises(SettingsError, match="needs a categorical column, or bins"):
        TabTransformer(5)


def test_an_imputed_number_does_not_matter(make_batch):
    batch = make_batch(missing=0.4)
    model = TabTransformer(5, (3, 4), d_token=16, n_blocks=1).double().eval()
    other = batch._replace(continuous=torch.where(batch.missing, 77.0, batch.continuous))
    assert torch.equal(model(batch), model(other))
    with torch.no_grad():
        model.missing.fill_(0.5)
    assert not torch.allclose(model(batch), model(other._replace(missing=batch.missing & False)))


def test_a_single_number_is_not_normalized_away(make_batch):
    model = TabTransformer(1, (3,), d_token=8, n_blocks=1).double().eval()
    batch = make_batch(c=1, cardinalities=(3,))
    assert not torch.allclose(model(batch)[:, 0], model(batch._replace(continuous=batch.continuous + 1.0))[:, 0])


def test_every_parameter_learns(make_batch):
    model = TabTransformer(5, (3, 4), d_token=16, n_blocks=1)
    model(make_batch(64, dtype=torch.float32, missing=0.2)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_foreign_weights_are_refused():
    with pytest.raises(DataError, match="not the weights of a TabTransformer"):
        load_tab_transformer_pytorch(TabTransformer(2, (3,)), {"conv.weight": torch.zeros(1)})
