"""Jobs in one process and in several give the same, and failures and stops come back."""

import queue
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sciml.pipelines.errors import NumericalError
from sciml.pipelines.kd.design import make_design
from sciml.pipelines.kd.plan import Spec, specs
from sciml.pipelines.kd.pool import Work, goal_of, probe_threads, probe_together, run_jobs
from sciml.pipelines.run import Run


def work(daily, folder, **changes):
    fit = replace(daily.fit, hidden=4, epochs=2, archive_epochs=2, seeds=2, control=False, **changes)
    run = Run.create("kd", "fit", fit, out=folder)
    return Work(make_design(daily.pairs, fit), fit, run.path, "cpu", 1), specs(make_design(daily.pairs, fit), fit)


def go(job, workers, stop=lambda: False):
    rows = []
    outcome = run_jobs(*job, workers, on_row=rows.append, should_stop=stop)
    return outcome, rows


def test_processes_change_nothing(daily, tmp_path):
    one, seen = go(work(daily, tmp_path / "one"), 1)
    two, also = go(work(daily, tmp_path / "two"), 2)
    assert one.done == two.done and not two.stopped
    key = lambda r: (r["job"], r["stage"], r["epoch"])  # noqa: E731
    values = lambda rows: [(*key(r), r["train_rmse"], r["validation_rmse"]) for r in sorted(rows, key=key)]  # noqa: E731
    assert values(seen) == values(also)
    for name in one.done:
        a, b = Run(tmp_path / "one").load(name)[0], Run(tmp_path / "two").load(name)[0]
        assert all(np.array_equal(a[n], b[n]) for n in a)


def test_seeds_together_change_nothing_but_round_off(daily, tmp_path):
    one, seen = go(work(daily, tmp_path / "one"), 1)
    job, jobs = work(daily, tmp_path / "two")
    two, also = go((replace(job, together=True), jobs), 1)
    assert one.done == two.done and not two.stopped
    key = lambda r: (r["job"], r["stage"], r["epoch"])  # noqa: E731
    for a, b in zip(sorted(seen, key=key), sorted(also, key=key), strict=True):
        assert key(a) == key(b) and a["steps"] == b["steps"]
        assert a["validation_rmse"] == pytest.approx(b["validation_rmse"], rel=1e-3)


def test_whether_together_is_measured(daily, tmp_path):
    job, _ = work(daily, tmp_path / "run")
    assert probe_together(job, 2) in (True, False)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_leaves_checkpoints(daily, tmp_path, workers):
    outcome, _ = go(work(daily, tmp_path / "run"), workers, stop=lambda: True)
    assert outcome.stopped and not outcome.done
    assert workers == 2 or list((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_divergence_is_reported_from_any_process(daily, tmp_path, workers):
    with pytest.raises(NumericalError, match="learning-rate|RMSE"):
        go(work(daily, tmp_path / "run", learning_rate=1e30), workers)


def test_the_goal_is_the_stronger_of_the_two():
    spec = Spec("distilled", 0, ("alone-0", "alone_own-0"))
    rows = {
        "alone-0": [{"train_rmse": 9}, {"train_rmse": 3.0}],
        "alone_own-0": [{"train_rmse": 2.0}, {"train_rmse": 4.0}],
    }
    assert goal_of(spec, rows) == 3.0
    assert goal_of(Spec("shuffled", 0), rows) is None


def test_one_core_is_not_probed(daily, tmp_path):
    job, _ = work(daily, tmp_path / "run")
    assert probe_threads(job, 1) == 1 and probe_threads(job, 2) in (1, 2)


def test_workers_that_die_after_a_stop_are_no_failure():
    """Ctrl-C reaches every process of a terminal: the run is stopped, and its checkpoints are kept."""
    from sciml.pipelines.kd.pool import _dispatch

    dead = SimpleNamespace(is_alive=lambda: False, exitcode=-2)
    line = lambda: queue.Queue()  # noqa: E731
    jobs, stop = [Spec("alone", 0), Spec("distilled", 0, ("alone-0",))], threading.Event()
    outcome = _dispatch(jobs, [dead], [line()], line(), stop, lambda row: None, lambda: True)
    assert outcome.stopped and not outcome.done
    with pytest.raises(NumericalError, match="exit code -2"):
        _dispatch(jobs, [dead], [line()], line(), threading.Event(), lambda row: None, lambda: False)
