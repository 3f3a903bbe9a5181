"""The student that corrects the fresh forecast: it starts exactly at its base, and leaves it for a clear gain only."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.pipelines.kd.base import Base, _fit, _Problem
from sciml.pipelines.kd.losses import deviation
from sciml.pipelines.kd.train import Hooks, Trainer
from sciml.pipelines.kd.windows import RESIDUAL


@pytest.mark.parametrize("head", ["point", "gaussian", "quantile"])
@pytest.mark.parametrize("memory", [None, 0, 2])
def test_a_residual_student_starts_exactly_at_its_base(setting, memory, head):
    design = setting.design
    problem = _Problem(design.pairs, design.observed, design.corrected, design.pairs.truth, design.train)
    base = Base() if memory is None else _fit(problem, memory, 1e-3)
    job = setting.job(inputs=RESIDUAL, head=head, design=replace(design, base=base))
    trainer = Trainer(job, setting.fit, Hooks())
    batch = next(job.validation.batches(64))
    student = trainer.state.student
    assert torch.equal(student.point(student(batch.x, batch.future, batch.anchor)), batch.anchor)
    trainer.run()
    guess = base(design.pairs, design.observed, design.corrected)
    error = (guess - design.pairs.truth)[design.validation]
    assert trainer.state.rows[0]["validation_rmse"] == pytest.approx(np.sqrt(np.nanmean(error**2)), rel=1e-4)


def test_told_to_stay_it_keeps_the_base(setting):
    fit = replace(setting.fit, learning_rate=0.02)
    free, told = (Trainer(setting.job(inputs=RESIDUAL, epochs=6, stay=stay), fit, Hooks()) for stay in (False, True))
    assert free.run() and told.run()
    assert told.state.best["epoch"] == 0 and not told.state.student.head.weight.any()
    assert told.state.best["rmse"] == told.state.rows[0]["validation_rmse"]
    assert [r["train_rmse"] for r in free.state.rows] == [r["train_rmse"] for r in told.state.rows], (
        "the curve is drawn all the same"
    )


def test_a_residual_student_leaves_its_base_for_a_clear_gain_only(setting):
    trainer = Trainer(setting.job(inputs=RESIDUAL), setting.fit, Hooks())
    trainer.state.best = {"rmse": 1.0, "stage": "fit", "epoch": 0}
    issues = len(np.unique(trainer.job.validation.issue))
    assert trainer._to_beat(trainer.job.stages[0]) == pytest.approx(1 - 0.5 / np.sqrt(2 * issues))
    trainer.state.best["epoch"] = 2
    assert trainer._to_beat(trainer.job.stages[0]) == 1.0


@pytest.mark.parametrize("head", ["gaussian", "quantile"])
def test_the_spread_of_the_base_is_where_a_probabilistic_student_starts(setting, head):
    job = setting.job(inputs=RESIDUAL, head=head)
    student = Trainer(job, setting.fit, Hooks()).state.student
    batch = next(job.train.batches(10_000))
    with torch.no_grad():
        out = student(batch.x, batch.future, batch.anchor)
    known = batch.weight > 0
    if head == "gaussian":
        error = (batch.target - batch.anchor)[known]
        assert deviation(out[:, :, 1]).mean() == pytest.approx(float(error.square().mean().sqrt()), rel=1e-3)
    else:
        below = (batch.target < out[:, :, 2])[known].float().mean()
        assert 0.75 < below < 1.0 and (out[:, :, 0] < out[:, :, 2]).all()
