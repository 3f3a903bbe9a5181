"""Batch statistics over two processes are those of one that sees all objects."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from sciml.pipelines.galaxy.distributed import share_statistics

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
