"""The hand-derived LSTM against plain autograd, torch's fused LSTM and torch.nn.LSTM."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sciml.pipelines.kd import recurrent
from sciml.pipelines.kd.recurrent import PackedLSTM, packed_layer, reference_layer, vendor_layer

shapes = st.tuples(*(st.integers(1, most) for most in (7, 5, 6, 9)), st.integers(0, 2**31))  # T, F, H, B, seed
LAYERS = {"packed": packed_layer, "vendor": vendor_layer}


def drawn(steps, features, hidden, batch, seed, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(steps, features, batch, generator=g, dtype=dtype)
    weight = torch.randn(4 * hidden, features + hidden + 1, generator=g, dtype=dtype)
    out = torch.randn(steps, hidden, batch, generator=g, dtype=dtype)
    return x, weight, out


def value_and_gradients(layer, x, weight, out):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    states = layer(x, weight)
    (states * out).sum().backward()
    return states.detach(), x.grad, weight.grad


def assert_all_close(found, wanted, tolerance):
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("path", LAYERS)
@given(shape=shapes)
@settings(max_examples=25, deadline=None)
def test_paths_agree_with_autograd(path, shape):
    x, weight, out = drawn(*shape)
    found = value_and_gradients(LAYERS[path], x, weight, out)
    assert_all_close(found, value_and_gradients(reference_layer, x, weight, out), 1e-12)


@given(shape=shapes, layers=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_stack_is_torch_lstm(shape, layers):
    steps, features, hidden, batch, seed = shape
    x, _, out = drawn(*shape)
    ours = PackedLSTM(features, hidden, layers, generator=torch.Generator().manual_seed(seed)).double()
    with torch.no_grad():
        for weight in ours.weights:
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    theirs = ours.as_torch()
    assert isinstance(theirs, nn.LSTM)
    mine, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
    a = ours(mine)
    (a * out).sum().backward()
    b = theirs(x2.transpose(1, 2))[0].transpose(1, 2)
    (b * out).sum().backward()
    assert_all_close((a, mine.grad), (b, x2.grad), 1e-11)
    for k, weight in enumerate(ours.weights):
        parts = [
            getattr(theirs, f"weight_ih_l{k}").grad,
            getattr(theirs, f"weight_hh_l{k}").grad,
            getattr(theirs, f"bias_ih_l{k}").grad[:, None],
        ]
        torch.testing.assert_close(weight.grad, torch.cat(parts, 1), rtol=1e-11, atol=1e-11)


def test_gradcheck():
    x, weight, _ = drawn(4, 2, 3, 2, 5)
    assert torch.autograd.gradcheck(packed_layer, (x.requires_grad_(), weight.requires_grad_()))


def test_one_step_by_hand():
    """One unit, one feature: the equations of the module's docstring in plain numbers."""
    import math

    def s(v):
        return 1 / (1 + math.exp(-v))

    weight = torch.tensor([[0.5, 9.0, 0.1], [-0.3, 9.0, 1.0], [0.7, 9.0, -0.2], [0.2, 9.0, 0.4]], dtype=torch.float64)
    c = s(0.5 * 2 + 0.1) * math.tanh(0.7 * 2 - 0.2)
    wanted = s(0.2 * 2 + 0.4) * math.tanh(c)
    x = torch.full((1, 1, 1), 2.0, dtype=torch.float64)
    assert packed_layer(x, weight).item() == pytest.approx(wanted, abs=1e-14)


def test_without_gradient_the_same_numbers():
    x, weight, _ = drawn(6, 3, 4, 5, 1)
    with_grad = packed_layer(x, weight.requires_grad_()).detach()
    with torch.no_grad():
        assert torch.equal(packed_layer(x, weight), with_grad)


def test_single_precision():
    x, weight, out = drawn(14, 8, 32, 64, 2)
    weight *= 0.2
    found = value_and_gradients(packed_layer, x.float(), weight.float(), out.float())
    wanted = value_and_gradients(reference_layer, x, weight, out)
    for a, b in zip(found, wanted, strict=True):
        assert float((a.double() - b).abs().max() / b.abs().max()) < 1e-5


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[:1].expand(x.shape[0], -1, -1),
        lambda x: x.permute(2, 1, 0).contiguous().permute(2, 1, 0),
        lambda x: x[..., ::2],
        lambda x: x.flip(0),
    ],
    ids=["expanded", "permuted", "strided", "flipped"],
)
def test_input_of_any_layout(view):
    x, weight, _ = drawn(5, 3, 4, 6, 3)
    grads = []
    for layer in (packed_layer, reference_layer):
        leaf, w = x.clone().requires_grad_(), weight.clone().requires_grad_()
        # the gradient of a plain sum is an expanded tensor without storage of its own
        layer(view(leaf), w).sum().backward()
        grads.append((leaf.grad, w.grad))
    assert_all_close(*grads, 1e-12)


def test_only_the_last_state_is_used():
    """The encoder's case: the gradient of all other states is zero."""
    x, weight, _ = drawn(5, 3, 4, 6, 4)
    grads = []
    for layer in (packed_layer, reference_layer):
        w = weight.clone().requires_grad_()
        layer(x, w)[-1].square().sum().backward()
        grads.append(w.grad)
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_two_forward_passes_before_one_backward():
    """Workspaces are pooled: a second forward pass of the same shape must not touch the first one's."""
    (x1, weight, _), (x2, _, _) = drawn(5, 3, 4, 6, 5), drawn(5, 3, 4, 6, 6)
    grads = []
    for layer in (packed_layer, reference_layer):
        w = weight.clone().requires_grad_()
        first, second = layer(x1, w), layer(x2, w)
        with torch.no_grad():
            layer(x1 * 7, w)
        (first * second).sum().backward()
        grads.append(w.grad)
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_states_survive_the_reuse_of_their_workspace():
    x, weight, _ = drawn(5, 3, 4, 6, 7)
    w = weight.clone().requires_grad_()
    states = packed_layer(x, w)
    kept = states.detach().clone()
    states.sum().backward()
    gradient = w.grad.clone()
    for _ in range(6):
        packed_layer(x * 3, w).sum().backward()
    assert torch.equal(states.detach(), kept)
    assert not torch.equal(w.grad, gradient)  # gradients add up as usual
    w.grad = None
    packed_layer(x, w).sum().backward()
    assert torch.equal(w.grad, gradient)


def test_interleaved_shapes_and_more_shapes_than_the_pool_keeps():
    net = PackedLSTM(3, 4, 2, generator=torch.Generator().manual_seed(0)).double()
    for batch in [*range(1, 2 * recurrent._pool.keep), 3, 1, 3]:
        x = torch.randn(4, 3, batch, dtype=torch.float64)
        results = []
        for path in ("packed", "reference"):
            net.path = path
            net.zero_grad()
            net(x).square().sum().backward()
            results.append([w.grad.clone() for w in net.weights])
        assert_all_close(*results, 1e-11)
    assert len(recurrent._pool.free) <= recurrent._pool.keep


def test_a_forgotten_graph_leaves_no_trace():
    """A forward pass whose backward never happens, then a good one."""
    x, weight, out = drawn(5, 3, 4, 6, 8)
    for _ in range(3):
        packed_layer(torch.full_like(x, float("nan")), weight.requires_grad_())
    found = value_and_gradients(packed_layer, x, weight.detach(), out)
    assert_all_close(found, value_and_gradients(reference_layer, x, weight.detach(), out), 1e-12)


def test_nan_does_not_stay_in_a_workspace():
    x, weight, out = drawn(5, 3, 4, 6, 9)
    value_and_gradients(packed_layer, torch.full_like(x, float("nan")), weight, out)
    found = value_and_gradients(packed_layer, x, weight, out)
    assert_all_close(found, value_and_gradients(reference_layer, x, weight, out), 1e-12)


def test_second_backward_of_a_kept_graph():
    """The workspace has gone back to the pool, and may hold other numbers by then."""
    x, weight, out = drawn(3, 2, 2, 2, 10)
    w = weight.clone().requires_grad_()
    total = (packed_layer(x, w) * out).sum()
    total.backward(retain_graph=True)
    first, w.grad = w.grad, None
    packed_layer(x * 5, w).sum().backward()
    w.grad = None
    total.backward()
    assert torch.equal(w.grad, first)


def test_inference_mode_does_not_spoil_training():
    """A tensor made in inference mode may never be written again outside it, so it must not enter the shared pool."""
    x, weight, out = drawn(3, 2, 2, 11, 11)
    with torch.inference_mode():
        inferred = packed_layer(x, weight)
    found = value_and_gradients(packed_layer, x, weight, out)
    with torch.inference_mode():
        again = packed_layer(x, weight)
    assert torch.equal(inferred, again) and torch.equal(found[0], again)


def test_empty_batch():
    """The last batch may leave a process of a data-parallel run without a window."""
    net = PackedLSTM(3, 4, 2, generator=torch.Generator().manual_seed(0))
    out = net(torch.randn(5, 3, 0))
    out.sum().backward()
    assert out.shape == (5, 4, 0) and all(torch.equal(w.grad, torch.zeros_like(w)) for w in net.weights)


def test_frozen_weights_pass_the_gradient_on():
    x, weight, _ = drawn(4, 3, 2, 5, 12)
    grads = []
    for layer in (packed_layer, reference_layer):
        leaf = x.clone().requires_grad_()
        layer(leaf, weight).square().sum().backward()
        grads.append(leaf.grad)
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_initial_weights():
    net = PackedLSTM(5, 16, 2, generator=torch.Generator().manual_seed(3))
    again = PackedLSTM(5, 16, 2, generator=torch.Generator().manual_seed(3))
    other = PackedLSTM(5, 16, 2, generator=torch.Generator().manual_seed(4))
    for a, b, c in zip(net.weights, again.weights, other.weights, strict=True):
        assert torch.equal(a, b) and not torch.equal(a, c)
        bias = a[:, -1].detach()
        assert torch.equal(bias[16:32], torch.ones(16)) and bias.sum() == 16
        assert float(a[:, :-1].detach().abs().max()) <= 0.25 and float(a[:, :-1].detach().std()) == pytest.approx(
            0.25 / 3**0.5, rel=0.1
        )


def test_huge_inputs_saturate_without_nan():
    x, weight, _ = drawn(4, 3, 2, 5, 13)
    assert torch.isfinite(packed_layer(x * 1e6, weight)).all()


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("compiled", [True, False])
def test_stack_in_single_precision(layers, compiled, monkeypatch):
    """Each layer takes its gradient out of the workspace above it, where the steps of a sequence lie apart."""
    if compiled and recurrent._gates is None:
        pytest.skip("this installation has no compiled gates")
    if not compiled:
        monkeypatch.setattr(recurrent, "_gates", None)
    monkeypatch.setattr(recurrent, "_pool", recurrent._Workspaces())
    net = PackedLSTM(3, 4, layers, generator=torch.Generator().manual_seed(1), path="packed")
    x, _, out = drawn(6, 3, 4, 5, 14, torch.float32)
    found, exact = [], PackedLSTM(3, 4, layers, path="reference").double()
    exact.load_state_dict(net.state_dict())
    for model in (net, exact):
        kind = model.weights[0].dtype
        leaf = x.to(kind, copy=True).requires_grad_()
        total = (model(leaf) * out.to(kind)).sum()
        total.backward(retain_graph=True)
        total.backward()  # the workspaces are gone: everything once more
        found.append([leaf.grad.double(), *(w.grad.double() for w in model.weights)])
    assert_all_close(*found, 1e-5)


def test_a_stack_without_gradient_gives_the_same_numbers():
    net = PackedLSTM(3, 4, 3, generator=torch.Generator().manual_seed(1), path="packed")
    x = torch.randn(6, 3, 5)
    with torch.no_grad():
        without = net(x)
    assert torch.equal(without, net(x)) and all(len(stack) <= 4 for stack in recurrent._pool.free.values())


@pytest.mark.parametrize("loss", [lambda s: s.sum(), lambda s: s.permute(2, 1, 0).exp().sum()], ids=["sum", "permuted"])
def test_gradients_of_any_layout_in_single_precision(loss):
    """The compiled gates read the gradient by its address: one without a block per step must be copied first."""
    x, weight, _ = drawn(5, 3, 4, 6, 15)
    grads = []
    for layer, kind in ((packed_layer, torch.float32), (reference_layer, torch.float64)):
        w = weight.to(kind, copy=True).requires_grad_()
        loss(layer(x.to(kind), w)).backward()
        grads.append(w.grad.double())
    assert_all_close(*grads, 1e-5)
