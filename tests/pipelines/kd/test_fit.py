"""The comparison as a function: what it leaves behind, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.errors import DeviceError, SettingsError
from sciml.pipelines.kd.fit import _rows_of_checkpoints, dry_run, fit
from sciml.pipelines.kd.model import load_model
from sciml.pipelines.kd.plan import Spec
from sciml.pipelines.kd.settings import SCHEDULES, Fit
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run


def tiny(daily, **changes):
    options = {"hidden": 4, "epochs": 2, "archive_epochs": 1, "seeds": 1, "workers": 1, "control": False}
    return replace(daily.fit, **(options | changes))


@pytest.mark.parametrize("schedule", [s for s in SCHEDULES if s not in ("archive", "none")])
def test_every_schedule_runs_whole(daily, tmp_path, schedule):
    run = fit(tiny(daily, schedule=schedule, out=tmp_path / "run"))
    results = run.read_json("results.json")
    assert results["scores"][-1]["method"] == "distilled" and results["schedule"] == schedule
    assert run.status()["state"] == "finished"


@pytest.mark.parametrize(("student", "head"), [("lstm", "gaussian"), ("autoencoder", "quantile")])
def test_students_and_heads(daily, tmp_path, student, head):
    run = fit(tiny(daily, student=student, head=head, out=tmp_path / "run"))
    model = load_model(run.path)
    assert model.student.shape.kind == student and model.student.shape.head == head


def test_without_a_teacher_there_is_no_verdict(daily, tmp_path):
    results = fit(tiny(daily, schedule="none", out=tmp_path / "run")).read_json("results.json")
    assert results["comparison"] == {} and results["scores"][-1]["method"].startswith("alone")


def test_raw_nwp_is_scored_against_observations(daily, tmp_path):
    results = fit(tiny(daily, out=tmp_path / "run")).read_json("results.json")
    truth, raw = daily.pairs.truth, daily.pairs.forecast
    (row,) = [r for r in results["scores"] if r["method"] == "nwp"]
    last = slice(-results["data"]["blocks"]["test"]["issues"], None)
    assert row["rmse"] == pytest.approx(float(np.sqrt(np.nanmean((raw - truth)[last] ** 2))), rel=0.05)


def test_new_weights_start_from_given_ones(daily, tmp_path):
    first = fit(tiny(daily, epochs=6, learning_rate=0.01, out=tmp_path / "first"))
    second = fit(tiny(daily, out=tmp_path / "second", init_from=first.path, schedule="none"))
    rows = {
        r["epoch"]: r for r in second.read_json("results.json")["curves"] if r["arm"] == "alone" and r["stage"] == "fit"
    }
    untrained = [r for r in first.read_json("results.json")["curves"] if r["arm"] == "alone" and r["epoch"] == 0]
    assert rows[0]["train_rmse"] < 0.95 * untrained[0]["train_rmse"]


def test_devices():
    assert choose_device("cpu") == "cpu"
    with pytest.raises(SettingsError, match="expected auto"):
        choose_device("gpu")
    with pytest.raises((DeviceError, SettingsError)):
        choose_device("cuda:99")


def test_dry_run_sizes(daily):
    sizes = dry_run(tiny(daily), Progress())
    assert sizes["parameters"] > 0 and sizes["windows"]["archive"] > sizes["windows"]["validation"]


def test_settings_name_what_is_wrong():
    with pytest.raises(SettingsError, match="needs three positive fractions"):
        Fit(split=(0.5, 0.5))


def test_rows_lost_by_a_kill_come_back_from_the_checkpoints(tmp_path):
    run = Run.create("kd", "fit", Fit(), out=tmp_path / "run")
    row = lambda job, epoch: {"job": job, "stage": "fit", "epoch": epoch}  # noqa: E731
    run.save("alone-0", {}, {"rows": [row("alone-0", n) for n in range(3)]})
    for written in (row("alone-0", 0), row("alone-0", 3), row("distilled-0", 0)):
        run.metrics(**written)
    _rows_of_checkpoints(run, [Spec("alone", 0), Spec("distilled", 0)])
    assert run.read_metrics() == [row("alone-0", n) for n in range(3)]
