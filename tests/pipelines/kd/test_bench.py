"""The bench measures the same network, and gives a whole table."""

import torch

from sciml.pipelines.kd.bench import _loader, _ours, machine, measure
from sciml.pipelines.kd.settings import Bench


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
