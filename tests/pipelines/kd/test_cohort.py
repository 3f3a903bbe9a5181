"""Several seeds at once against one after the other: the same numbers to round-off, the same bits whatever interrupts them."""

import json
from dataclasses import replace

import pytest
import torch

from sciml.pipelines.errors import NumericalError
from sciml.pipelines.kd.cohort import Cohort
from sciml.pipelines.kd.recurrent import packed_stack, reference_layer
from sciml.pipelines.kd.train import Hooks, Trainer

from .test_train import FORMS, HEADS, assert_same, bits

SEEDS = (0, 1, 2)


def jobs(setting, schedule="none", **options):
    return [replace(setting.job(schedule, **options), seed=seed) for seed in SEEDS]


def alone(job, fit, hooks=None):
    trainer = Trainer(job, fit, hooks or Hooks())
    assert trainer.run()
    return trainer


def assert_close(found, wanted):
    for a, b in zip(found.state.student.parameters(), wanted.state.student.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-4)
    for row, other in zip(found.state.rows, wanted.state.rows, strict=True):
        assert (row["job"], row["stage"], row["epoch"], row["steps"]) == tuple(
            other[n] for n in ("job", "stage", "epoch", "steps")
        )
        assert row["validation_rmse"] == pytest.approx(other["validation_rmse"], rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_stacked_layers_are_those_of_each_member(dtype):
    g = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)  # noqa: E731
    x = draw(5, 3, 4, 7).requires_grad_()
    weights = [draw(3, 24, 11).requires_grad_(), draw(3, 24, 13).requires_grad_()]
    seen = draw(5, 3, 6, 7)
    found = torch.autograd.grad((packed_stack(x, weights) * seen).sum(), [x, *weights])
    for member in range(3):
        own = [x.detach()[:, member].requires_grad_(), *(w.detach()[member].requires_grad_() for w in weights)]
        states = own[0]
        for weight in own[1:]:
            states = reference_layer(states, weight)
        wanted = torch.autograd.grad((states * seen[:, member]).sum(), own)
        tolerance = {"rtol": 1e-9, "atol": 1e-11} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
        torch.testing.assert_close(found[0][:, member], wanted[0], **tolerance)
        for a, b in zip(found[1:], wanted[1:], strict=True):
            torch.testing.assert_close(a[member], b, **tolerance)


@pytest.mark.parametrize("schedule", FORMS)
def test_the_numbers_of_single_jobs(setting, schedule):
    several = jobs(setting, schedule)
    trainers = [Trainer(job, setting.fit, Hooks()) for job in several]
    assert Cohort(trainers).run() == [True] * 3
    for job, trainer in zip(several, trainers, strict=True):
        assert_close(trainer, alone(job, setting.fit))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", ["lstm_ae", "lstm", "autoencoder"])
def test_every_student_and_head(setting, kind, head):
    several = jobs(setting, "response", kind=kind, head=head, epochs=2)
    trainers = [Trainer(job, setting.fit, Hooks()) for job in several]
    Cohort(trainers).run()
    for job, trainer in zip(several, trainers, strict=True):
        assert_close(trainer, alone(job, setting.fit))


def test_members_that_end_early_leave_the_others_alone(setting):
    """One member's patience ends its training; the others' numbers do not change by a bit."""
    several = jobs(setting, epochs=4)
    short = [several[0], replace(several[1], stages=(replace(several[1].stages[0], epochs=1),)), several[2]]
    whole, cut = ([Trainer(job, setting.fit, Hooks()) for job in those] for those in (several, short))
    Cohort(whole).run()
    Cohort(cut).run()
    assert cut[1].state.rows[-1]["epoch"] == 1
    for n in (0, 2):
        assert_same(bits(whole[n]), bits(cut[n]))


@pytest.mark.parametrize("stops", [[3, 5, 2], [1, 1, 1]])
def test_interrupted_at_different_times(setting, stops):
    """Members stopped at different steps, also within an epoch, go on to the same bits."""
    fit = replace(setting.fit, batch_size=8)
    several = jobs(setting, "archive", epochs=2)
    assert len(several[0].train) > 16 * 8, "a stop is asked for within the epoch"
    whole = [Trainer(job, fit, Hooks()) for job in several]
    Cohort(whole).run()
    store = {}

    def hooks(stop=None):
        left = [stop]

        def ask():
            if left[0] is not None:
                left[0] -= 1
            return left[0] == 0

        save = lambda name, tensors, header: store.update({name: (tensors, json.loads(json.dumps(header)))})  # noqa: E731
        return Hooks(load=store.get, save=save, should_stop=ask)

    first = [Trainer(job, fit, hooks(stop)) for job, stop in zip(several, stops, strict=True)]
    assert Cohort(first).run() == [False] * 3
    resumed = [Trainer(job, fit, hooks()) for job in several]
    assert len({trainer.state.steps_done for trainer in resumed}) == len(set(stops))
    assert Cohort(resumed).run() == [True] * 3
    for a, b in zip(whole, resumed, strict=True):
        assert_same(bits(a), bits(b))


def test_a_failure_keeps_the_others_work(setting):
    several, saved = jobs(setting, epochs=3), []
    hooks = Hooks(save=lambda name, tensors, header: saved.append(name))
    trainers = [Trainer(job, setting.fit, hooks) for job in several]
    with torch.no_grad():
        trainers[1].state.student.head.bias.fill_(float("nan"))
    with pytest.raises(NumericalError, match="RMSE is nan"):
        Cohort(trainers).run()
    assert set(saved) == {job.name for job in several}
