"""The gradient without autograd against autograd: same numbers to round-off, whatever the network's shape and the batch."""

import copy
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.kd import gradient as module
from sciml.pipelines.kd import train
from sciml.pipelines.kd.gradient import DirectGradient
from sciml.pipelines.kd.losses import head_loss
from sciml.pipelines.kd.settings import Fit
from sciml.pipelines.kd.student import Shape, build
from sciml.pipelines.kd.train import Hooks, Job, Stage, Trainer
from sciml.pipelines.kd.windows import Batch, Windows

pytestmark = pytest.mark.skipif(module._gates is None, reason="the compiled gates were not built")
small = lambda most: st.integers(1, most)  # noqa: E731


def network(length, horizon, targets, hidden, layers, predictors, seed=0, **options):
    student = build(Shape("lstm_ae", 3, length, horizon, targets, hidden, layers, predictors, **options), seed)
    with torch.no_grad():
        student.head.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(seed))
    return student


def drawn(shape, count, seed, anchored) -> Batch:
    g = torch.Generator().manual_seed(seed)
    new = lambda *sizes: torch.randn(*sizes, count, generator=g)  # noqa: E731
    target = lambda: new(shape.horizon, shape.targets)  # noqa: E731
    known = lambda: (torch.rand(shape.horizon, shape.targets, count, generator=g) > 0.3).float() * 1.5  # noqa: E731
    return Batch(
        new(shape.length, shape.channels), new(shape.horizon, shape.predictors) if shape.predictors else None,
        target() if anchored else None, target(), known(), target(), known(),
    )  # fmt: skip


def autograd(student, batch, loss, total):
    """In double precision, by the layer that is the specification."""
    exact = copy.deepcopy(student).double()
    exact.encoder.path = exact.decoder.path = "reference"
    double = Batch(*(None if (f := getattr(batch, n)) is None else f.double() for n in Batch.__dataclass_fields__))
    y, w = (double.soft, double.soft_weight) if loss == "pretrain" else (double.target, double.weight)
    head_loss("point", exact(double.x, double.future, double.anchor), y, w, total).backward()
    return [p.grad for p in exact.parameters()]


def assert_equal(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=2e-6 * max(1.0, float(b.abs().max())))


@given(
    small(6),
    small(4),
    small(2),
    small(7),
    small(3),
    st.integers(0, 2),
    small(9),
    st.sampled_from(list(module.LOSSES)),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_it_is_the_gradient(length, horizon, targets, hidden, layers, predictors, count, loss, anchored):
    student = network(length, horizon, targets, hidden, layers, predictors)
    direct = DirectGradient(student)
    for seed, size in ((1, count), (2, count), (3, count + 2)):  # buffers are used again, and for other sizes
        batch = drawn(student.shape, size, seed, anchored)
        direct(batch, loss, torch.tensor(2.5))
        assert_equal([p.grad for p in student.parameters()], autograd(student, batch, loss, 2.5))


@pytest.mark.parametrize(("length", "horizon"), [(14, 1), (36, 24)])
def test_at_usual_sizes_and_after_a_step(length, horizon):
    student = network(length, horizon, 1, 32, 2, 0)
    direct, optimizer = DirectGradient(student), torch.optim.SGD(student.parameters(), lr=0.1)
    for seed in range(3):
        batch = drawn(student.shape, 64, seed, False)
        direct(batch, "none", batch.weight.sum())
        wanted = autograd(student, batch, "none", float(batch.weight.sum()))
        assert_equal([p.grad for p in student.parameters()], wanted)
        optimizer.step()


def test_many_batch_sizes_do_not_pile_up():
    student = network(3, 2, 1, 4, 2, 0)
    direct = DirectGradient(student)
    for count in range(1, 12):
        direct(drawn(student.shape, count, 0, False), "none", 1.0)
    assert len(direct.buffers) <= 4


@pytest.mark.parametrize("most", [1e-3, 1e3])
def test_clipping_is_torchs(most):
    student = network(4, 2, 1, 5, 2, 0)
    direct = DirectGradient(student)
    direct(drawn(student.shape, 6, 1, False), "none", 3.0)
    wanted = [p.grad.clone() for p in student.parameters()]
    others = [torch.nn.Parameter(torch.zeros_like(g)) for g in wanted]
    for p, g in zip(others, wanted, strict=True):
        p.grad = g
    torch.nn.utils.clip_grad_norm_(others, most)
    direct.clip(most)
    for p, q in zip(student.parameters(), others, strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-5, atol=0)


def test_what_it_fits():
    assert DirectGradient.fits(network(3, 2, 1, 4, 2, 2), "pretrain")
    assert not DirectGradient.fits(network(3, 2, 1, 4, 2, 0), "trust")
    assert not DirectGradient.fits(network(3, 2, 1, 4, 2, 0, head="gaussian"), "none")
    assert not DirectGradient.fits(network(3, 2, 1, 4, 2, 0).double(), "none")
    assert not DirectGradient.fits(build(Shape("lstm", 3, 4, 2, 1, 4), 0), "none")
    vendor = network(3, 2, 1, 4, 2, 0)
    vendor.encoder.path = "vendor"
    assert not DirectGradient.fits(vendor, "none")


def trained(monkeypatch, direct: bool):
    g = torch.Generator().manual_seed(0)
    series = torch.randn(220, 2, generator=g)
    row = torch.arange(200)
    target = series[:, 0].unfold(0, 3, 1)[5:205].unsqueeze(2).contiguous()
    windows = Windows(
        series, torch.zeros(220, 1), torch.zeros(1, 0), 5, row, row, torch.zeros_like(row), target,
        (torch.rand(target.shape, generator=g) > 0.2).float(), target, torch.ones_like(target),
    )  # fmt: skip
    shape = Shape("lstm_ae", windows.channels, 5, 3, 1, 8)
    stages = (Stage("archive", "pretrain", windows, 2), Stage("fit", "none", windows, 4))
    job = Job("alone", 0, shape, stages, windows, windows, (1.0,))
    with monkeypatch.context() as patch:
        if not direct:
            patch.setattr(train.DirectGradient, "fits", staticmethod(lambda student, loss: False))
        trainer = Trainer(job, Fit(batch_size=32, learning_rate=3e-3, clip=0.3, weight_decay=1e-3), Hooks())
        assert trainer.run()
    return SimpleNamespace(rows=trainer.state.rows, student=trainer.state.student, used=trainer.direct is not None)


def test_training_either_way_gives_the_same_curves(monkeypatch):
    one, two = trained(monkeypatch, True), trained(monkeypatch, False)
    assert one.used and not two.used
    for a, b in zip(one.rows, two.rows, strict=True):
        assert (a["steps"], a["windows"]) == (b["steps"], b["windows"])
        assert a["train_rmse"] == pytest.approx(b["train_rmse"], rel=1e-4)
    for p, q in zip(one.student.parameters(), two.student.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)
