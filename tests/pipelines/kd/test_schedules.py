"""Each form of distillation against its equation, evaluated in NumPy on the student's own outputs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.pipelines.kd.schedules import LOSSES, Step
from sciml.pipelines.kd.settings import SCHEDULES
from sciml.pipelines.kd.student import Shape, build
from sciml.pipelines.kd.windows import Batch

CHANNELS, LENGTH, HORIZON, TARGETS, SIZE = 3, 4, 2, 2, 9
A = 0.3


def batch_of(seed: int, size: int = SIZE) -> Batch:
    g = torch.Generator().manual_seed(seed)
    new = lambda *shape: torch.randn(*shape, size, generator=g, dtype=torch.float64)  # noqa: E731
    known = lambda: (new(HORIZON, TARGETS) > -0.7).double()  # noqa: E731
    target, soft, weight = new(HORIZON, TARGETS), new(HORIZON, TARGETS), known()
    soft_weight = known() * new(HORIZON, TARGETS).abs()
    return Batch(new(LENGTH, CHANNELS), None, None, target * weight, weight, soft, soft_weight)


@pytest.fixture
def student():
    return build(Shape("lstm_ae", CHANNELS, LENGTH, HORIZON, TARGETS, 5), 0).double()


@pytest.fixture
def parts(student):
    """The batch, its step, and everything as NumPy: f, y, t, known, w."""
    batch, record = batch_of(1), batch_of(2)
    twin = (torch.randn(HORIZON, TARGETS, SIZE, dtype=torch.float64), torch.randn(5, SIZE, dtype=torch.float64))
    totals = {
        "hard": batch.weight.sum(),
        "soft": batch.soft_weight.sum(),
        "windows": float(SIZE),
        "record": record.soft_weight.sum(),
    }
    step = Step(3, 10, A, totals, record, twin)
    f = student.point(student(batch.x)).detach().numpy()
    y, t, known, w = (a.numpy() for a in (batch.target, batch.soft, batch.weight, batch.soft_weight))
    return batch, step, f, y, t, known, w


def mean_square(f, y, weight, total=None):
    return (weight * (f - y) ** 2).sum() / (weight.sum() if total is None else total)


def test_every_schedule_has_a_loss():
    assert set(SCHEDULES) <= set(LOSSES)


@pytest.mark.parametrize("name", ["none", "archive"])
def test_none(student, parts, name):
    batch, step, f, y, _, known, _ = parts
    assert LOSSES[name](student, batch, step).item() == pytest.approx(mean_square(f, y, known), rel=1e-12)


def test_response(student, parts):
    batch, step, f, y, t, known, w = parts
    wanted = (1 - A) * mean_square(f, y, known) + A * mean_square(f, t, w)
    assert LOSSES["response"](student, batch, step).item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(("epoch", "fading"), [(0, A), (2, A * 0.6), (5, 0.0), (9, 0.0)])
def test_anneal(student, parts, epoch, fading):
    batch, step, f, y, t, known, w = parts
    wanted = (1 - fading) * mean_square(f, y, known) + fading * mean_square(f, t, w)
    assert LOSSES["anneal"](student, batch, replace(step, epoch=epoch)).item() == pytest.approx(wanted, rel=1e-12)


def test_trust(student, parts):
    batch, step, f, y, t, known, w = parts
    better = (np.abs(t - y) < np.abs(f - y)) & (known > 0)
    assert 0 < better.sum() < better.size
    wanted = (1 - A) * mean_square(f, y, known) + A * mean_square(f, t, w * better, w.sum())
    assert LOSSES["trust"](student, batch, step).item() == pytest.approx(wanted, rel=1e-12)


def test_trust_in_a_perfect_and_in_a_useless_teacher(student, parts):
    batch, step, f, y, _, known, w = parts
    perfect = replace(batch, soft=batch.target)
    wanted = (1 - A) * mean_square(f, y, known) + A * mean_square(f, y, w * known, w.sum())
    assert LOSSES["trust"](student, perfect, step).item() == pytest.approx(wanted, rel=1e-12)
    useless = replace(batch, soft=batch.target + 1e3)
    assert LOSSES["trust"](student, useless, step).item() == pytest.approx(
        (1 - A) * mean_square(f, y, known), rel=1e-12
    )


def test_hint(student, parts):
    batch, step, f, y, _, known, _ = parts
    answer, features = (a.numpy() for a in step.twin)
    latent = student.encode(batch.x).detach().numpy()
    matched = np.mean(((latent - features) ** 2).sum(0) / 5)
    wanted = (1 - A) * mean_square(f, y, known) + A * (mean_square(f, answer, known) + matched)
    assert LOSSES["hint"](student, batch, step).item() == pytest.approx(wanted, rel=1e-12)


def test_joint(student, parts):
    batch, step, f, y, _, known, _ = parts
    record = step.record
    taught = student.point(student(record.x)).detach().numpy()
    wanted = (1 - A) * mean_square(f, y, known) + A * mean_square(
        taught, record.soft.numpy(), record.soft_weight.numpy()
    )
    assert LOSSES["joint"](student, batch, step).item() == pytest.approx(wanted, rel=1e-12)


def test_pretrain(student, parts):
    batch, step, f, _, t, _, w = parts
    assert LOSSES["pretrain"](student, batch, step).item() == pytest.approx(mean_square(f, t, w), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_shards_add_up(student, parts, name):
    """Data-parallel training: totals of the whole batch, shares of every process, gradients summed."""
    batch, step = parts[:2]

    def gradient(pieces):
        student.zero_grad()
        for low, high in pieces:
            twin = tuple(a[..., low:high] for a in step.twin)
            LOSSES[name](
                student, batch.part(low, high), replace(step, record=step.record.part(low, high), twin=twin)
            ).backward()
        return torch.cat([p.grad.flatten() for p in student.parameters()])

    whole = gradient([(0, SIZE)])
    assert whole.abs().sum() > 0
    torch.testing.assert_close(gradient([(0, 2), (2, 2), (2, SIZE)]), whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["response", "anneal", "trust", "joint", "hint"])
def test_weight_zero_is_no_distillation(student, parts, name):
    batch, step = parts[:2]
    step = replace(step, distillation_weight=0.0)
    assert LOSSES[name](student, batch, step).item() == pytest.approx(
        LOSSES["none"](student, batch, step).item(), rel=1e-12
    )


@pytest.mark.parametrize("head", ["gaussian", "quantile"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_form_takes_every_head(head, name):
    levels = (0.1, 0.5, 0.9) if head == "quantile" else ()
    student = build(Shape("lstm_ae", CHANNELS, LENGTH, HORIZON, TARGETS, 5, head=head, quantiles=levels), 0).double()
    batch, record = batch_of(1), batch_of(2)
    totals = {"hard": 20.0, "soft": 20.0, "windows": SIZE, "record": 20.0}
    twin = (torch.zeros(HORIZON, TARGETS, SIZE, dtype=torch.float64), torch.zeros(5, SIZE, dtype=torch.float64))
    loss = LOSSES[name](student, batch, Step(0, 10, A, totals, record, twin))
    loss.backward()
    assert torch.isfinite(loss) and all(torch.isfinite(p.grad).all() for p in student.parameters())
