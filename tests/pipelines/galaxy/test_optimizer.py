"""AdamW of ours is torch's, whatever the memory format of weights and gradients, and copies nothing on its way."""

import pytest
import torch
from torch import nn

from sciml.pipelines.galaxy.optimizer import AdamW, memory_order

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def weights(layout):
    torch.manual_seed(0)
    shapes = [(4, 3, 3, 3), (5, 1, 3, 3), (6, 4, 1, 1), (7, 5), (8,), ()]
    values = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    return [nn.Parameter(v.contiguous(memory_format=layout) if v.ndim == 4 else v) for v in values]


def groups(parameters):
    return [{"params": parameters[:3], "lr": 1e-2, "weight_decay": 0.1}, {"params": parameters[3:], "lr": 1e-3}]


@pytest.mark.parametrize("of_gradient", FORMATS)
@pytest.mark.parametrize("of_weight", FORMATS)
def test_steps_are_torchs(of_weight, of_gradient):
    mine, theirs = weights(FORMATS[of_weight]), weights(torch.contiguous_format)
    ours, plain = AdamW(groups(mine)), torch.optim.AdamW(groups(theirs), foreach=False)
    for step in range(4):
        for a, b in zip(mine, theirs, strict=True):
            b.grad = torch.randn(b.shape, dtype=b.dtype)
            a.grad = b.grad.contiguous(memory_format=FORMATS[of_gradient]) if b.ndim == 4 else b.grad
        if step == 2:
            mine[3].grad = theirs[3].grad = None  # what has no gradient stays
        for group in (*ours.param_groups, *plain.param_groups):
            group["lr"] *= 0.9
        ours.step(), plain.step()
        for a, b in zip(mine, theirs, strict=True):
            torch.testing.assert_close(a.detach(), b.detach(), rtol=1e-12, atol=1e-14)
    for view, weight in zip(ours.views, mine, strict=True):
        assert view.data_ptr() == weight.data_ptr() and view.is_contiguous() and view.grad is None
        assert ours.state[view]["exp_avg"].is_contiguous()


def test_weights_that_move_are_followed():
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    ours = AdamW([{"params": list(network.parameters()), "lr": 1e-2}])
    network.double()
    before = network.weight.detach().clone()
    network(torch.ones(1, 3, 5, 5, dtype=torch.float64)).sum().backward()
    ours.step()
    assert network.weight.dtype == torch.float64 and not torch.equal(network.weight, before)


@pytest.mark.parametrize(
    ("x", "order"),
    [
        (torch.zeros(2, 3, 4, 5), (0, 1, 2, 3)),
        (torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last), (0, 2, 3, 1)),
        (torch.zeros(2, 1, 4, 5).contiguous(memory_format=torch.channels_last), (0, 1, 2, 3)),
        (torch.zeros(2, 3).t(), (1, 0)),
        (torch.zeros(()), ()),
    ],
)  # fmt: skip
def test_axes_in_the_order_of_memory(x, order):
    assert memory_order(x) == order and x.permute(order).is_contiguous()
