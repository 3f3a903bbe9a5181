"""Equal to the authors' package, weight by weight; indifferent to the order of columns."""

import pytest
import torch

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.model import Head
from sciml.pipelines.galaxy.parameters import undecayed
from sciml.pipelines.galaxy.tabular.ft_transformer import FTTransformer, load_rtdl

TOLERANCE = {torch.float64: 1e-12, torch.float32: 5e-6}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("c, cardinalities", [(5, (3, 4)), (6, ()), (0, (2, 5))])
@pytest.mark.parametrize("n_blocks, heads", [(1, 8), (3, 8), (2, 1)])
def test_equal_to_rtdl(dtype, c, cardinalities, n_blocks, heads, make_batch):
    package = pytest.importorskip("rtdl_revisiting_models")
    torch.manual_seed(0)
    default = package.FTTransformer.get_default_kwargs(n_blocks) | {"attention_n_heads": heads}
    theirs = package.FTTransformer(n_cont_features=c, cat_cardinalities=list(cardinalities), d_out=3, **default)
    theirs = theirs.to(dtype).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            # its norms and biases start at one and zero, which would hide a wrong order
            parameter.add_(0.1 * torch.randn_like(parameter))
    ours = (
        FTTransformer(c, cardinalities, d_block=default["d_block"], n_blocks=n_blocks, n_heads=heads).to(dtype).eval()
    )
    head = Head(default["d_block"], 3).to(dtype).eval()
    rest = load_rtdl(ours, theirs.state_dict())
    head.load_state_dict({name.replace("normalization", "norm"): value for name, value in rest.items()})
    batch = make_batch(c=c, cardinalities=cardinalities, dtype=dtype)
    want = theirs(batch.continuous if c else None, batch.categorical if cardinalities else None)
    for all_tokens in (True, False):
        ours.all_tokens = all_tokens
        assert (head(ours(batch)[:, 0]) - want).abs().max() < TOLERANCE[dtype]


def test_gradients_are_those_of_rtdl(make_batch):
    package = pytest.importorskip("rtdl_revisiting_models")
    options = package.FTTransformer.get_default_kwargs(1) | {"attention_dropout": 0.0, "ffn_dropout": 0.0}
    theirs = package.FTTransformer(n_cont_features=5, cat_cardinalities=[3, 4], d_out=None, **options).double()
    ours = FTTransformer(5, (3, 4), d_block=96, n_blocks=1, attention_dropout=0.0, ffn_dropout=0.0).double()
    load_rtdl(ours, theirs.state_dict())
    batch = make_batch()
    theirs(batch.continuous, batch.categorical).square().sum().backward()
    ours(batch)[:, 0].square().sum().backward()
    assert torch.allclose(ours.tokenizer.continuous.weight.grad, theirs.cont_embeddings.weight.grad, atol=1e-11)
    assert torch.allclose(
        ours.blocks[0].ffn.inner.weight.grad, theirs.backbone.blocks[0].ffn.linear1.weight.grad, atol=1e-11
    )


def test_what_does_not_decay_in_rtdl_does_not_here():
    package = pytest.importorskip("rtdl_revisiting_models")
    theirs = package.FTTransformer(
        n_cont_features=2, cat_cardinalities=[3], d_out=None, **package.FTTransformer.get_default_kwargs(2)
    )
    spared = {id(p) for p in theirs.make_parameter_groups()[1]["params"]}
    ours = FTTransformer(2, (3,), d_block=128)
    kept = {name for name, _ in ours.named_parameters()} - undecayed(ours)
    assert kept == {f"blocks.{i}.{part}.weight" for i in range(2) for part in
                    ("attention.query", "attention.key", "attention.value", "attention.out", "ffn.inner", "ffn.outer")}  # fmt: skip
    assert len(kept) == sum(id(p) not in spared for p in theirs.parameters())


@pytest.mark.parametrize("embedding", ["linear", "periodic"])
def test_the_order_of_columns_does_not_matter_if_their_embeddings_move_along(embedding, make_batch):
    model = FTTransformer(5, (3, 4), embedding=embedding, d_block=16, n_heads=2).double().eval()
    batch = make_batch(missing=0.3)
    before = model(batch)[:, 0]
    order = torch.tensor([4, 2, 0, 1, 3])
    moved = batch._replace(continuous=batch.continuous[:, order], missing=batch.missing[:, order])
    assert not torch.allclose(model(moved)[:, 0], before, atol=1e-6)
    with torch.no_grad():
        for parameter in (model.tokenizer.missing, *model.tokenizer.continuous.parameters()):
            parameter.copy_(parameter[order])
    assert torch.allclose(model(moved)[:, 0], before, atol=1e-12)


def test_every_parameter_learns(make_batch):
    model = FTTransformer(5, (3, 4), d_block=16, n_heads=2)
    model(make_batch(64, dtype=torch.float32, missing=0.2)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_weights_of_another_shape_are_refused():
    package = pytest.importorskip("rtdl_revisiting_models")
    theirs = package.FTTransformer(
        n_cont_features=4, cat_cardinalities=[], d_out=2, **package.FTTransformer.get_default_kwargs(1)
    )
    with pytest.raises(DataError, match="first difference: tokenizer.continuous.bias"):
        load_rtdl(FTTransformer(5, d_block=96, n_blocks=1), theirs.state_dict())
