"""The bench measures the same network, and gives a whole table."""

import pytest
import torch

from sciml.pipelines.errors import DeviceError, SettingsError
from sciml.pipelines.kd import bench as module
from sciml.pipelines.kd.bench import _loader, _ours, machine, measure
from sciml.pipelines.kd.settings import Bench
from sciml.pipelines.progress import Progress

SMALL = dict(history=4, horizon=2, hidden=3, windows=64, batch_size=32, repeats=2)


def test_rows_for_every_case_and_implementation():
    rows = measure(Bench(hidden=4, windows=128, repeats=1, peers=False))
    assert [(r["case"], r["implementation"]) for r in rows] == [
        (case, name) for case in ("14 -> 1", "36 -> 24") for name in ("ours", "loader", "bare")
    ]
    assert all(r["ms_per_step"] > 0 for r in rows) and rows[0]["ratio_to_ours"] == 1.0
    assert machine()["torch"] == torch.__version__


def test_both_networks_have_the_same_size():
    bench = Bench(hidden=5, windows=64)
    ours, loader = _ours(bench, 6, 2), _loader(bench, 6, 2)
    student = next(c.cell_contents for c in ours.__closure__ if hasattr(c.cell_contents, "state")).state.student
    plain = next(c.cell_contents for c in loader.__closure__ if hasattr(c.cell_contents, "encoder"))
    # nn.LSTM keeps two biases per layer where one would do: 4 layers x 4 x 5
    assert sum(p.numel() for p in plain.parameters()) - sum(p.numel() for p in student.parameters()) == 80


def flushes() -> bool:
    return float(torch.full((8,), 1e-40) * 1.0 @ torch.ones(8)) == 0.0


@pytest.mark.parametrize("fails", [False, True])
def test_the_process_is_left_as_it_was(monkeypatch, fails):
    """Threads and denormals belong to the caller: code that runs after a bench must not see its settings."""
    during = []

    def look(*_):
        during.append((torch.get_num_threads(), flushes()))
        if fails:
            raise MemoryError
        return {"ours": [1.0]}

    monkeypatch.setattr(module, "_times", look)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        if fails:
            with pytest.raises(MemoryError):
                measure(Bench(**SMALL))
        else:
            measure(Bench(**SMALL))
        assert torch.get_num_threads() == 2 and not flushes()
    finally:
        torch.set_num_threads(threads)
    assert during == [(1, torch.set_flush_denormal(True))]
    torch.set_flush_denormal(False)


def test_a_peer_is_measured_in_every_round(monkeypatch):
    values = iter([9.0, 0.001, 0.003])
    monkeypatch.setattr(module, "_has_peer", lambda: True)
    monkeypatch.setattr(module, "_neuralforecast", lambda *_: lambda: next(values))
    peer = measure(Bench(**SMALL))[-1]
    assert peer["implementation"] == "neuralforecast" and peer["ms_per_step"] == pytest.approx(2.0)
    assert peer["p20"] == pytest.approx(1.4) and peer["p80"] == pytest.approx(2.6)  # the first round warms caches


def test_a_missing_peer_is_said_once(monkeypatch):
    said = Progress()
    said.notes = []
    said.note = said.notes.append
    monkeypatch.setattr(module, "_has_peer", lambda: False)
    monkeypatch.setattr(module, "_times", lambda *_: {"ours": [1.0]})
    measure(Bench(), said)
    assert sum("not installed" in text for text in said.notes) == 1


def test_devices_that_are_not_there():
    with pytest.raises(SettingsError, match="cuda:N"):
        measure(Bench(**SMALL, device="gpu"))
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no CUDA"):
            measure(Bench(**SMALL, device="cuda"))


@pytest.mark.parametrize("name", ["history", "horizon", "hidden", "batch_size", "windows", "repeats"])
def test_sizes_of_zero(name):
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} 0"):
        Bench(**SMALL | {name: 0})
