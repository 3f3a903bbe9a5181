"""Batch statistics and random draws of two processes are those of one that sees all objects."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sciml.pipelines.galaxy.distributed import WholeBatchDraws, share_statistics
from sciml.pipelines.galaxy.fusion.modality import modality_dropout

PROCESS = """
import sys, torch
from sciml.pipelines.galaxy.distributed import share_statistics
from tests_network import network, batch
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
net, x = share_statistics(network()), batch()
own = x[rank::2].clone().requires_grad_()
(net(own) ** 3).sum().backward()
torch.save({"x": own.grad, "net": net.state_dict(), "grads": [p.grad for p in net.parameters()]}, f"{folder}/{rank}.pt")
"""
NETWORK = """
import torch
from torch import nn
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4), nn.BatchNorm1d(4)).double()
def batch():
    return torch.randn(7, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
"""


def test_two_processes_are_one(tmp_path):
    (tmp_path / "tests_network.py").write_text(NETWORK)
    commands = [[sys.executable, "-c", PROCESS, str(rank), str(tmp_path)] for rank in (0, 1)]
    processes = [subprocess.Popen(c, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for c in commands]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    scope = {}
    exec(NETWORK, scope)
    net, x = scope["network"](), scope["batch"]().requires_grad_()
    (net(x) ** 3).sum().backward()
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for rank in (0, 1):
        torch.testing.assert_close(found[rank]["x"], x.grad[rank::2], rtol=1e-9, atol=1e-11)
        for name, value in net.state_dict().items():
            torch.testing.assert_close(found[rank]["net"][name], value, rtol=1e-10, atol=1e-12)
    for n, parameter in enumerate(net.parameters()):
        torch.testing.assert_close(found[0]["grads"][n] + found[1]["grads"][n], parameter.grad, rtol=1e-9, atol=1e-10)


def test_names_stay_and_activations_are_kept():
    timm_import = pytest.importorskip("sciml.pipelines.timm_import")
    norm = timm_import.import_timm().layers.BatchNormAct2d(3).eval()
    x = torch.randn(2, 3, 4, 4)
    wanted, names = norm(x), list(norm.state_dict())
    shared = share_statistics(nn.Sequential(norm))
    torch.testing.assert_close(shared(x), wanted)
    assert list(norm.state_dict()) == names


def attend(x):
    q, k, v = x.view(len(x), 2, 6, 3).unbind(-1)
    q, k, v = (part.reshape(len(x), 2, 3, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, dropout_p=0.4)


def attend_masked(x):
    mask = torch.tensor([[True, True, False], [True, False, True], [True, True, True]])
    q = x.view(len(x), 3, 12)
    return F.scaled_dot_product_attention(q, 2 * q, q, attn_mask=mask, dropout_p=0.4, scale=0.1)


def drop_path(x):
    return x * x.new_empty((len(x), 1)).bernoulli_(0.7) / 0.7  # as timm does


def hide(x):
    yes = torch.ones(len(x), dtype=torch.bool)
    return torch.stack(modality_dropout(yes, yes, 0.3, 0.3), 1).to(x.dtype)


DRAWS = {
    "dropout": lambda x: F.dropout(x, 0.3),
    "twice": lambda x: F.dropout(torch.relu(F.dropout(x, 0.3)), 0.5),
    "dropout of tokens": lambda x: F.dropout(x.view(len(x), 4, 9), 0.3),
    "objects times tokens": lambda x: F.dropout(x.view(len(x) * 4, 9), 0.3).view(len(x), 4, 9),
    "channels": lambda x: F.dropout2d(x.view(len(x), 4, 3, 3), 0.5),
    "channels last": lambda x: F.dropout(x.view(len(x), 4, 3, 3).contiguous(memory_format=torch.channels_last), 0.5),
    "transposed": lambda x: F.dropout(x.view(len(x), 4, 9).mT, 0.3),
    "attention": attend, "masked attention": attend_masked, "drop path": drop_path, "modality": hide,
    "layers": lambda x: nn.Sequential(nn.Dropout(0.2), nn.ReLU(), nn.AlphaDropout(0.0), nn.Dropout(0.5))(x),
    "no training": lambda x: F.dropout(x, 0.3, training=False),
}  # fmt: skip


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("total", [7, 8])
def test_a_share_of_the_batch_draws_its_share_of_the_numbers(kind, total):
    """Rows of what one process makes of the whole batch, gradients too, whatever the number of processes."""
    x = torch.randn(total, 36, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def run(part):
        part = part.clone().requires_grad_()
        torch.manual_seed(5)
        y = DRAWS[kind](part)
        if y.requires_grad:
            (y**2).sum().backward()
        return y.detach(), part.grad

    whole, grad = run(x)
    for size in (1, 2, 3):
        for rank in range(size):
            rows = slice(rank, None, size)
            with WholeBatchDraws(total, rows):
                y, g = run(x[rows])
            torch.testing.assert_close(y, whole[rows], rtol=1e-12, atol=1e-12)
            assert (g is None) == (grad is None)
            if g is not None:
                torch.testing.assert_close(g, grad[rows], rtol=1e-12, atol=1e-12)


def test_a_process_without_objects_draws_nothing_and_keeps_in_step():
    torch.manual_seed(0)
    with WholeBatchDraws(1, slice(1, None, 2)):
        assert F.dropout(torch.empty(0, 4), 0.5).shape == (0, 4) and torch.rand((0,)).shape == (0,)
