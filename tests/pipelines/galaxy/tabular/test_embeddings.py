"""Embeddings against their equations; missing values as tokens."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.tabular.batch import TableBatch
from sciml.pipelines.galaxy.tabular.embeddings import (
    KINDS,
    CategoricalEmbedding,
    ColumnTokenizer,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    encode_bins,
    quantile_edges,
)


def by_hand(x, edges):
    """Equation 1 of arXiv:2203.05556 for one number and distinct edges."""
    last, code = len(edges) - 1, []
    for t in range(1, last + 1):
        left, right = edges[t - 1], edges[t]
        if x < left and t > 1:
            code.append(0.0)
        elif x >= right and t < last:
            code.append(1.0)
        else:
            code.append((x - left) / (right - left))
    return code


@settings(deadline=None, max_examples=50)
@given(
    x=st.floats(-5, 5),
    edges=st.lists(st.integers(-30, 30), min_size=2, max_size=6, unique=True).map(
        lambda xs: [v / 10 for v in sorted(xs)]
    ),
)
def test_bins_are_encoded_as_in_the_paper(x, edges):
    got = encode_bins(torch.tensor([[x]], dtype=torch.float64), torch.tensor([edges], dtype=torch.float64))
    assert got[0, 0].tolist() == pytest.approx(by_hand(x, edges), abs=1e-9)


def test_bins_without_width_are_steps():
    edges = torch.tensor([[0.0, 1.0, 1.0, 2.0, 2.0]])
    x = torch.tensor([[0.5], [1.0], [1.5], [2.0], [3.0]])
    code = encode_bins(x, edges)[:, 0]
    assert code.tolist() == [[0.5, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0.5, 0], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_edges_are_quantiles_of_the_known_values():
    values = torch.arange(101.0)[:, None].repeat(1, 2)
    values[:60, 1] = 60.0
    missing = torch.zeros(101, 2, dtype=torch.bool)
    missing[51:, 0] = True
    edges = quantile_edges(TableBatch(values, missing, torch.zeros(101, 0, dtype=torch.int64)), 5)
    assert edges[0].tolist() == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert edges[1, 0] == 60.0 and edges[1, -1] == 100.0 and (edges[1].diff() >= 0).all()
    empty = TableBatch(values, torch.ones_like(missing), torch.zeros(101, 0, dtype=torch.int64))
    assert torch.isfinite(quantile_edges(empty, 5)).all()


def test_periodic_is_its_equation():
    layer = PeriodicEmbedding(2, 3, n_frequencies=4).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    for column in range(2):
        v = 2 * math.pi * x[:, column, None] * layer.frequency[column]
        want = torch.relu(torch.cat((v.cos(), v.sin()), 1) @ layer.weight[column] + layer.bias[column])
        assert torch.allclose(layer(x)[:, column], want, atol=1e-14)


def test_piecewise_starts_linear_and_is_continuous():
    edges = torch.tensor([[-1.0, 0.0, 2.0]], dtype=torch.float64)
    layer = PiecewiseLinearEmbedding(edges, 3).double()
    x = torch.linspace(-3, 4, 50, dtype=torch.float64)[:, None]
    assert torch.equal(layer(x), layer.linear(x))
    torch.nn.init.normal_(layer.weight)
    y = layer(x)[:, 0]
    slopes = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
    assert slopes.abs().max() < 20 and not torch.allclose(y, layer.linear(x)[:, 0])


def test_categories_have_a_table_and_their_column_a_vector():
    layer = CategoricalEmbedding((3, 2), 4)
    codes = torch.tensor([[2, 0], [0, 1]])
    assert torch.equal(layer(codes)[0, 0], layer.tables[0][2] + layer.bias[0])
    assert torch.equal(layer(codes)[1, 1], layer.tables[1][1] + layer.bias[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_value_is_a_token_whatever_was_imputed(kind, make_batch):
    batch = make_batch(missing=0.4)
    edges = quantile_edges(batch, 4) if kind == "piecewise" else None
    tokenizer = ColumnTokenizer(5, (3, 4), 8, kind, edges).double()
    other = batch._replace(continuous=torch.where(batch.missing, torch.inf, batch.continuous))
    tokens = tokenizer(batch)
    assert tokens.shape == (6, 7, 8) and torch.equal(tokens, tokenizer(other))
    assert torch.equal(tokens[:, :5][batch.missing], tokenizer.missing.expand(6, 5, 8)[batch.missing])
    tokenizer(other).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in tokenizer.parameters() if p.grad is not None)


def test_wrong_kinds_and_bins_are_named():
    with pytest.raises(SettingsError, match='unknown embedding "fourier"; accepted: linear, periodic, piecewise'):
        ColumnTokenizer(2, (), 4, "fourier")
    with pytest.raises(SettingsError, match="bins of the continuous columns are needed"):
        ColumnTokenizer(2, (), 4, "piecewise")
    with pytest.raises(SettingsError, match=r"edges must be \[2, bins \+ 1\], got \[3, 5\]"):
        ColumnTokenizer(2, (), 4, "piecewise", torch.zeros(3, 5))
    with pytest.raises(SettingsError, match="must not decrease"):
        ColumnTokenizer(1, (), 4, "piecewise", torch.tensor([[0.0, -1.0]]))


@pytest.mark.parametrize("kind", ["periodic", "piecewise"])
def test_equal_to_the_authors_package(kind):
    package = pytest.importorskip("rtdl_num_embeddings")
    x = torch.randn(7, 3, dtype=torch.float64)
    if kind == "periodic":
        theirs = package.PeriodicEmbeddings(3, 5, n_frequencies=6, frequency_init_scale=0.1, lite=False).double()
        ours = PeriodicEmbedding(3, 5, n_frequencies=6).double()
        names = {"frequency": "periodic.weight", "weight": "linear.weight", "bias": "linear.bias"}
    else:
        bins = package.compute_bins(torch.randn(50, 3, dtype=torch.float64), n_bins=4)
        theirs = package.PiecewiseLinearEmbeddings(bins, 5, activation=False, version="B").double()
        ours = PiecewiseLinearEmbedding(torch.stack(bins), 5).double()
        names = {"linear.weight": "linear0.weight", "linear.bias": "linear0.bias", "weight": "linear.weight"}
    state, own = theirs.state_dict(), ours.state_dict()
    with torch.no_grad():
        for name, value in theirs.named_parameters():
            value.copy_(torch.randn_like(value) if kind == "piecewise" else state[name])
        own |= {name: theirs.state_dict()[other] for name, other in names.items()}
        ours.load_state_dict(own)
    assert torch.allclose(ours(x), theirs(x), atol=1e-12)
