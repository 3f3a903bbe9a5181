"""The loop: chunks, smaller steps, blow-ups, existing output, what a run leaves behind."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, NumericalError, SettingsError
from sciml.pipelines.gcm import rollout as module
from sciml.pipelines.gcm.integration import Integration, chunk_steps, smaller_step
from sciml.pipelines.gcm.rollout import dry_run, rollout
from sciml.pipelines.gcm.settings import Rollout

SMALL = Rollout(
    truncation="T21", levels=3, days=0.25, every_hours=3, step_minutes="30", output_levels=("500",), report=False,
    variables=("temperature", "surface_pressure"), out=Path("run"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "steps"),
    [(Rollout(), 12), (Rollout(truncation="T425"), 1), (Rollout(days=100), 48), (Rollout(initial="galewsky"), 12)],
)
def test_a_chunk_divides_the_interval(settings, steps):
    assert chunk_steps(settings) == steps and settings.steps_per_interval % steps == 0


def test_chunks_are_short_where_steps_are_long():
    settings = Rollout(truncation="T170", members=4, every_hours=24)
    assert 1 <= chunk_steps(settings) < 10 and settings.steps_per_interval % chunk_steps(settings) == 0


@pytest.mark.parametrize(("step", "wanted"), [("120", 30), ("30", 15), ("auto", 15), ("10", 5)])
def test_the_step_to_try_next_is_smaller(step, wanted):
    assert smaller_step(Rollout(step_minutes=step)) == wanted


def test_a_run_leaves_everything_needed_to_repeat_it():
    run = rollout(SMALL)
    assert run.status()["state"] == "finished" and run.settings()["every_hours"] == 3
    rows = run.read_metrics()
    assert [row["frame"] for row in rows] == [0, 1, 2] and rows[-1]["day"] == 0.25
    results = run.read_json("results.json")
    assert results["steps"] == 12 and results["frames"] == 3 and set(results["drift"]) >= {"mass", "energy"}
    assert len(results["spectra"]) == len(SMALL.report_frames) and results["seconds"]["integration"] > 0
    assert {"compile", "integration", "total"} == set(results["seconds"])
    with pytest.raises(SettingsError, match="holds something already"):
        rollout(SMALL)


@pytest.mark.parametrize("to", ["nowhere/a.nc", "/proc/a.nc", "/proc/deep/a.zarr", "a_file/a.nc"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_made(to):
    Path("a_file").touch()
    with pytest.raises(DataError, match=f"--to {to}: cannot write into"):
        rollout(replace(SMALL, to=Path(to)))
    assert [path.name for path in Path().iterdir()] == ["a_file"]


def test_metrics_know_no_more_than_the_file(monkeypatch):
    """A crash of the writer at the second frame leaves one frame, one row, and a checkpoint of one frame."""
    append = module.NetCDFOutput.append

    def full(self, fields):
        if self.frames == 1:
            raise DataError("disk full")
        append(self, fields)

    monkeypatch.setattr(module.NetCDFOutput, "append", full)
    with pytest.raises(DataError, match="disk full"):
        rollout(SMALL)
    run = module.Run(Path("run"))
    assert run.status() | {"state": "failed", "reason": "disk full"} == run.status()
    assert len(run.read_metrics()) == 1 and run.load("last")[1]["frames"] == 1


def test_a_blow_up_names_step_level_and_what_to_do(monkeypatch):
    advance, done = Integration.advance, []

    def exploding(self, carry, steps):
        carry = advance(self, carry, steps)
        done.append(steps)
        if sum(done) >= 8:  # the second interval, and every step when it is repeated
            carry = replace(carry, vorticity=carry.vorticity * 1e3)
        return carry

    monkeypatch.setattr(Integration, "advance", exploding)
    with pytest.raises(
        NumericalError, match=r"at step 7 \(day 0\.1458, 2000-01-01T03:30\): wind of \d+ m s-1 at level"
    ) as caught:
        rollout(SMALL)
    assert "--step-minutes 15 (now 30)" in caught.value.hint and "2 frames up to day 0.125" in str(caught.value)
    assert json.loads(Path("run/status.json").read_text())["state"] == "failed"


def test_an_initial_state_of_another_planet_is_bad_data(monkeypatch):
    initial = Integration.initial
    monkeypatch.setattr(
        Integration, "initial", lambda self: replace(initial(self), vorticity=100 * initial(self).vorticity)
    )
    with pytest.raises(DataError, match="wind of"):
        rollout(SMALL)


def test_a_dry_run_leaves_nothing():
    found = dry_run(SMALL)
    assert found["sizes"]["frames"] == 3 and found["settings"]["truncation"] == "T21" and not Path("run").exists()


def test_little_room_is_said_before_the_run(monkeypatch):
    said = []

    class Said(module.Progress):
        def warn(self, text):
            said.append(text)

    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    rollout(SMALL, {}, Said())
    assert "GB are free" in said[0]


def test_precision_is_that_of_the_settings():
    run = rollout(replace(SMALL, precision="float64"))
    tensors, _ = run.load("last")
    assert {x.dtype for x in tensors.values()} == {np.dtype("float64")}
