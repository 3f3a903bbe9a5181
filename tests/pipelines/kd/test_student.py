"""Shapes, starting values and the LSTM autoencoder against a plain torch one."""

import pytest
import torch
from torch import nn

from sciml.pipelines.errors import DataError
from sciml.pipelines.kd.student import Shape, build

HEADS = {"point": (), "gaussian": (), "quantile": (0.1, 0.5, 0.9)}
CHANNELS, LENGTH, HORIZON, TARGETS, BATCH = 5, 6, 3, 2, 7


def shaped(kind="lstm_ae", head="point", predictors=0, **more) -> Shape:
    return Shape(kind, CHANNELS, LENGTH, HORIZON, TARGETS, 8, 2, predictors, head, HEADS[head], **more)


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("kind", ["lstm_ae", "lstm", "autoencoder"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("predictors", [0, 4])
def test_shapes_and_gradients(kind, head, predictors):
    shape = shaped(kind, head, predictors)
    net = build(shape, 0)
    future = drawn(HORIZON, predictors, BATCH) if predictors else None
    x = drawn(LENGTH, CHANNELS, BATCH)
    assert net.encode(x).shape == (8, BATCH)
    out = net(x, future)
    assert out.shape == (HORIZON, TARGETS, shape.outputs, BATCH)
    assert net.point(out).shape == (HORIZON, TARGETS, BATCH)
    with torch.no_grad():  # a zero head would hide the rest from the gradient
        net.head.weight.normal_(generator=torch.Generator().manual_seed(1))
    net(x, future).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", ["lstm_ae", "lstm", "autoencoder"])
def test_windows_of_a_batch_do_not_mix(kind):
    net, x = build(shaped(kind), 0).double(), drawn(LENGTH, CHANNELS, BATCH, dtype=torch.float64)
    whole = net(x)
    for b in range(BATCH):
        torch.testing.assert_close(net(x[..., b : b + 1])[..., 0], whole[..., b], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["lstm", "autoencoder"])
def test_leads_differ(kind):
    """Without a decoder's recurrence only the lead's own column tells the leads apart."""
    out = build(shaped(kind), 0)(drawn(LENGTH, CHANNELS, BATCH))
    assert not torch.allclose(out[0], out[1])


@pytest.mark.parametrize("kind", ["lstm_ae", "lstm", "autoencoder"])
@pytest.mark.parametrize("head", HEADS)
def test_residual_student_starts_at_its_anchor(kind, head):
    net = build(shaped(kind, head, predictors=4), 3)
    anchor = drawn(HORIZON, TARGETS, BATCH, seed=1)
    out = net(drawn(LENGTH, CHANNELS, BATCH), drawn(HORIZON, 4, BATCH), anchor)
    assert torch.equal(net.point(out), anchor)


@pytest.mark.parametrize("head", HEADS)
def test_anchor_shifts_location_and_nothing_else(head):
    net = build(shaped(head=head), 3).double()
    x, anchor = (
        drawn(LENGTH, CHANNELS, BATCH, dtype=torch.float64),
        drawn(HORIZON, TARGETS, BATCH, seed=1, dtype=torch.float64),
    )
    moved = net(x, None, anchor) - net(x)
    located = slice(0, 1) if head == "gaussian" else slice(None)
    torch.testing.assert_close(
        moved[:, :, located], anchor.unsqueeze(2).expand_as(moved[:, :, located]), rtol=0, atol=1e-12
    )
    if head == "gaussian":
        assert torch.equal(moved[:, :, 1], torch.zeros_like(moved[:, :, 1]))


@pytest.mark.parametrize("kind", ["lstm_ae", "lstm", "autoencoder"])
def test_initial_weights_are_a_function_of_shape_and_seed(kind):
    torch.manual_seed(1)
    a = build(shaped(kind), 5).state_dict()
    torch.manual_seed(2)
    b, c = build(shaped(kind), 5).state_dict(), build(shaped(kind), 6).state_dict()
    assert a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)
    assert any(not torch.equal(a[n], c[n]) for n in a)
    state = torch.random.get_rng_state()
    build(shaped(kind), 7)
    assert torch.equal(state, torch.random.get_rng_state()), "the global generator is left alone"


@pytest.mark.parametrize("predictors", [0, 4])
def test_lstm_autoencoder_is_torchs(predictors):
    """An encoder-decoder of nn.LSTM and nn.Linear with the same weights, batch first as in any tutorial."""
    net = build(shaped(predictors=predictors), 0).double()
    with torch.no_grad():
        net.head.weight.normal_(generator=torch.Generator().manual_seed(1))
        net.head.bias.normal_(generator=torch.Generator().manual_seed(2))
    encoder, decoder = net.encoder.as_torch(), net.decoder.as_torch()
    head = nn.Linear(8, TARGETS).double()
    head.load_state_dict(net.head.state_dict())
    x = drawn(LENGTH, CHANNELS, BATCH, dtype=torch.float64)
    future = drawn(HORIZON, predictors, BATCH, dtype=torch.float64) if predictors else None
    latent = encoder(x.permute(0, 2, 1))[0][-1]
    repeated = latent.unsqueeze(0).repeat(HORIZON, 1, 1)
    if future is not None:
        repeated = torch.cat([repeated, future.permute(0, 2, 1)], 2)
    wanted = head(decoder(repeated)[0])  # [k, b, v]
    torch.testing.assert_close(net.point(net(x, future)), wanted.permute(0, 2, 1), rtol=1e-12, atol=1e-12)


def test_median_is_the_point_forecast():
    net = build(shaped(head="quantile"), 0)
    out = drawn(HORIZON, TARGETS, 3, BATCH)
    assert torch.equal(net.point(out), out[:, :, 1])


def test_shape_survives_json():
    import json

    shape = shaped(head="quantile", predictors=3)
    assert Shape.from_dict(json.loads(json.dumps(shape.to_dict()))) == shape
    with pytest.raises(DataError, match="does not describe a student"):
        Shape.from_dict({"kind": "lstm_ae"})
    with pytest.raises(DataError, match="does not describe a student"):
        Shape.from_dict(shape.to_dict() | {"dropout": 0.1})
