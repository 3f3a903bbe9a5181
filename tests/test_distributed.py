"""Two processes under torchrun train to the numbers of one, and write one run."""

import json
import socket
import subprocess
import sys

import pytest


def curves(folder) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda r: (r["job"], r["stage"], r["epoch"]))


def test_two_processes_train_to_the_same_losses(home, tiny):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), "-m", "sciml.cli"]
    line = [sys.executable, "-m", *launcher, "kd", "fit", "--observations", "obs.nc", *tiny, "--out", "pair"]
    done = subprocess.run(line, cwd=home, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stderr
    one, two = curves(home / "run"), curves(home / "pair")
    assert [(r["job"], r["stage"], r["epoch"], r["steps"], r["windows"]) for r in one] == [
        (r["job"], r["stage"], r["epoch"], r["steps"], r["windows"]) for r in two
    ]
    for name in ("train_rmse", "validation_rmse"):
        assert [r[name] for r in two] == pytest.approx([r[name] for r in one], rel=1e-5)
    assert (home / "pair" / "report" / "index.html").exists() and done.stdout.count("Held-out scores") == 1
    assert json.loads((home / "pair" / "status.json").read_text())["state"] == "finished"
