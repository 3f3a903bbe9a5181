"""Two processes under torchrun train to the numbers of one, and write one run and one report of it."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest


def curves(folder) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda r: (r["job"], r["stage"], r["epoch"]))


@pytest.fixture(scope="module")
def pair(home, tiny):
    """The finished command of two processes; its run is home / "pair"."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), "-m", "sciml.cli"]
    line = [sys.executable, "-m", *launcher, "kd", "fit", "--observations", "obs.nc", *tiny, "--out", "pair"]
    done = subprocess.run(line, cwd=home, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def test_two_processes_train_to_the_same_losses(home, pair):
    one, two = curves(home / "run"), curves(home / "pair")
    assert [(r["job"], r["stage"], r["epoch"], r["steps"], r["windows"]) for r in one] == [
        (r["job"], r["stage"], r["epoch"], r["steps"], r["windows"]) for r in two
    ]
    for name in ("train_rmse", "validation_rmse"):
        assert [r[name] for r in two] == pytest.approx([r[name] for r in one], rel=1e-5)
    assert (home / "pair" / "report" / "index.html").exists() and pair.stdout.count("Held-out scores") == 1
    assert json.loads((home / "pair" / "status.json").read_text())["state"] == "finished"


def test_two_processes_speak_once(pair):
    said = [
        text for text in pair.stderr.splitlines() if "device cpu" in text or "past of" in text or "train 20" in text
    ]
    assert len(said) == 3, pair.stderr
    assert np.isfinite(
        [float(n) for n in pair.stdout.split() if n.count(".") == 1 and n.replace(".", "").isdigit()]
    ).all()
