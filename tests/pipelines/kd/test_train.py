"""Training: the same numbers whatever interrupts it, the best weights at the end, and failures that say so."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sciml.pipelines.errors import NumericalError
from sciml.pipelines.kd import train as module
from sciml.pipelines.kd.student import build
from sciml.pipelines.kd.train import Hooks, Stage, Trainer, fixed_sample, order_of, rmse, with_goal
from sciml.pipelines.kd.windows import RESIDUAL

HEADS = {"point": (), "gaussian": (), "quantile": (0.1, 0.5, 0.9)}
CPU = torch.device("cpu")


def bits(trainer):
    """Weights, moments and rows, without the clock."""
    tensors, header = module.pack(trainer.state)
    rows = [{k: v for k, v in row.items() if k != "cpu_seconds"} for row in header["rows"]]
    return (
        {n: a.tobytes() for n, a in tensors.items()},
        rows,
        header["best"],
        header["steps_done"],
        header["windows_done"],
    )


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        if isinstance(x, dict) and x and isinstance(next(iter(x.values())), bytes):
            assert x.keys() == y.keys()
            assert [n for n in x if x[n] != y[n]] == []
        else:
            assert x == y


def interrupted(job, fit, stops):
    """Train to the end, stopped at the given numbers of questions; every time through the bytes of a checkpoint."""
    store, stops = {}, iter(stops)
    hooks = Hooks(
        load=lambda name: store.get(name),
        save=lambda name, tensors, header: store.update({name: (tensors, json.loads(json.dumps(header)))}),
    )
    for _ in range(200):
        left = [next(stops, None)]

        def ask(left=left):
            if left[0] is not None:
                left[0] -= 1
            return left[0] == 0

        trainer = Trainer(job, fit, replace(hooks, should_stop=ask))
        if trainer.run():
            return trainer
    raise AssertionError("never finished")


FORMS = ["none", "response", "anneal", "trust", "hint", "joint", "archive"]


@pytest.mark.parametrize("schedule", FORMS)
def test_every_schedule_trains(setting, schedule):
    rows = []
    trainer = Trainer(setting.job(schedule), setting.fit, Hooks(on_epoch=rows.append))
    assert trainer.run() and trainer.state.finished
    stages = [(row["stage"], row["epoch"]) for row in rows]
    wanted = [("archive", e) for e in range(3)] * (schedule == "archive") + [("fit", e) for e in range(4)]
    assert stages == wanted
    assert rows[-1]["train_rmse"] < rows[0]["train_rmse"]
    steps = -(-len(setting.windows("train")) // 16) * 3
    archive = -(-len(setting.windows("archive", "record")) // 16) * 2 if schedule == "archive" else 0
    assert trainer.state.steps_done == steps + archive
    assert rows[-1]["windows"] == 3 * len(setting.windows("train")) + (
        2 * len(setting.windows("archive", "record")) if schedule == "archive" else 0
    )


@pytest.mark.parametrize("head", ["gaussian", "quantile"])
@pytest.mark.parametrize("kind", ["lstm_ae", "lstm", "autoencoder"])
def test_every_student_and_head_trains(setting, kind, head):
    trainer = Trainer(setting.job("response", kind=kind, head=head, epochs=2), setting.fit, Hooks())
    assert trainer.run()
    assert trainer.state.rows[-1]["train_rmse"] < trainer.state.rows[0]["train_rmse"]


@pytest.mark.parametrize("schedule", [*FORMS, "noisy"])
def test_interruptions_do_not_show(setting, schedule):
    """Stopped within an epoch, at its end, and right after resuming: weights, moments and rows to the last bit."""
    job, fit = setting.job("none" if schedule == "noisy" else schedule, epochs=2), replace(setting.fit, batch_size=8)
    if schedule == "noisy":
        job = replace(job, stages=(replace(job.stages[0], noise=0.3),))
    assert len(job.train) > 16 * 8, "a stop is asked for within the epoch"
    once = Trainer(job, fit, Hooks())
    assert once.run()
    for stops in ([1], [1, 1, 1, 2], [4, 1]):
        assert_same(bits(once), bits(interrupted(job, fit, stops)))


@given(
    stops=st.lists(st.integers(1, 30), max_size=5),
    kind=st.sampled_from(["lstm_ae", "lstm", "autoencoder"]),
    head=st.sampled_from(list(HEADS)),
)
@examples(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_interruptions_anywhere(setting, monkeypatch, stops, kind, head):
    """Every step may be the last before a stop, for every kind of network."""
    fit = replace(setting.fit, batch_size=7, soft_weight="spread")
    monkeypatch.setattr(Trainer, "_one_epoch", _ask_after_every_step)
    job = setting.job("joint", kind=kind, head=head, epochs=2)
    once = Trainer(job, fit, Hooks())
    assert once.run()
    assert_same(bits(once), bits(interrupted(job, fit, stops)))


def _ask_after_every_step(self, stage):
    state, size = self.state, self._batch_size(stage)
    order = order_of(self.job.seed, stage.name, state.epoch, len(stage.windows))[state.step * size :]
    records = self._record_batches(stage)
    for batch in stage.windows.batches(size, order):
        request = self.request(stage, batch, next(records) if records else None)
        yield request
        self.update(request)
        state.step += 1
        if self.hooks.should_stop():
            return False
    return True


def test_the_same_job_twice(setting):
    torch.manual_seed(1)
    a = Trainer(setting.job("response"), setting.fit, Hooks())
    a.run()
    torch.manual_seed(2)
    b = Trainer(setting.job("response"), setting.fit, Hooks())
    b.run()
    other = Trainer(setting.job("response", seed=1), setting.fit, Hooks())
    other.run()
    assert_same(bits(a), bits(b))
    assert bits(a)[0] != bits(other)[0]


@pytest.mark.parametrize("schedule", ["response", "anneal", "trust", "joint"])
def test_without_weight_the_twin_is_the_student_alone(setting, schedule):
    """The comparison is fair: the same first weights and batches in both arms."""
    fit = replace(setting.fit, distillation_weight=0.0)
    taught, alone = Trainer(setting.job(schedule), fit, Hooks()), Trainer(setting.job("none"), fit, Hooks())
    taught.run(), alone.run()
    for a, b in zip(taught.state.student.parameters(), alone.state.student.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_order_is_a_pure_function():
    torch.manual_seed(1)
    a = order_of(3, "fit", 5, 100)
    torch.manual_seed(2)
    assert torch.equal(a, order_of(3, "fit", 5, 100))
    assert torch.equal(a.sort().values, torch.arange(100))
    for other in (order_of(4, "fit", 5, 100), order_of(3, "archive", 5, 100), order_of(3, "fit", 6, 100)):
        assert not torch.equal(a, other)


def test_noise_is_white_and_shared_by_the_processes(setting):
    """Every process draws the noise of the whole batch and keeps its share; no step's noise depends on the past."""
    job = setting.job(inputs=RESIDUAL)
    stage, count = replace(job.stages[0], noise=0.5), 41
    trainer = Trainer(job, setting.fit, Hooks())
    batch = job.train.gather(torch.arange(count))
    whole = trainer._noisy(stage, batch, count)
    added = whole.x - batch.x
    assert float(added.std()) == pytest.approx(0.5, rel=0.05) and abs(float(added.mean())) < 0.02
    assert not torch.equal(whole.future, batch.future)
    for name in ("anchor", "target", "weight", "soft", "soft_weight"):
        assert torch.equal(getattr(whole, name), getattr(batch, name))
    for rank in (0, 1):
        trainer.world.rank, trainer.world.size = rank, 2
        share = trainer._noisy(stage, job.train.gather(torch.arange(count)[rank::2]), count)
        assert torch.equal(share.x, whole.x[..., rank::2]) and torch.equal(share.future, whole.future[..., rank::2])
    trainer.world.rank, trainer.world.size = 0, 1
    assert torch.equal(trainer._noisy(stage, batch, count).x, whole.x)
    trainer.state.step = 1
    assert not torch.equal(trainer._noisy(stage, batch, count).x, whole.x)


def test_record_batches_keep_step(setting):
    """`joint`: one record batch of full size per observed batch, whichever of the two is longer."""
    job = setting.job("joint")
    for stage in (job.stages[0], replace(job.stages[0], record=setting.windows("validation"))):
        trainer = Trainer(job, setting.fit, Hooks())
        whole = [b.soft for b in trainer._record_batches(stage)]
        assert len(whole) == -(-len(stage.windows) // 16) and all(b.shape[-1] == 16 for b in whole)
        trainer.state.step = 3
        assert all(torch.equal(a.soft, b) for a, b in zip(trainer._record_batches(stage), whole[3:], strict=True))
        trainer.state.step, trainer.state.epoch = 0, 1
        assert not torch.equal(next(trainer._record_batches(stage)).soft, whole[0])


def naive_rmse(student, windows, scale, against="target"):
    batch = windows.gather(torch.arange(len(windows)))
    with torch.no_grad():
        point = student.point(student(batch.x, batch.future, batch.anchor)).numpy()
    weight = (batch.weight if against == "target" else batch.soft_weight > 0).numpy() > 0
    error = (point - getattr(batch, against).numpy()) * np.array(scale)[None, :, None]
    return np.sqrt(np.mean(error[weight].astype(np.float64) ** 2))


@pytest.mark.parametrize("against", ["target", "soft"])
def test_rmse_in_the_unit_of_the_target(setting, against):
    job = setting.job()
    student = build(job.shape, 3)
    found = rmse(student, job.train, job.unit_scale, against=against)
    assert found == pytest.approx(naive_rmse(student, job.train, job.unit_scale, against), rel=1e-5)
    assert 3 < found < 40  # kelvin, not standard deviations


def test_rmse_of_nothing_is_nan(setting):
    job = setting.job()
    empty = replace(job.train, weight=job.train.weight * 0)
    assert np.isnan(rmse(build(job.shape, 0), empty, job.unit_scale))


def test_checkpoints_are_written_as_time_goes_by(setting, monkeypatch):
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)
    saved = []
    Trainer(
        setting.job(), setting.fit, Hooks(save=lambda name, tensors, header: saved.append((name, header["epoch"])))
    ).run()
    assert saved == [("arm-0", 1), ("arm-0", 2), ("arm-0", 3), ("arm-0", 0)]


def test_epoch_zero_is_the_untrained_student(setting):
    job = setting.job()
    trainer = Trainer(job, setting.fit, Hooks())
    trainer.run()
    first = trainer.state.rows[0]
    assert (first["epoch"], first["steps"], first["windows"]) == (0, 0, 0)
    assert first["train_rmse"] == pytest.approx(naive_rmse(build(job.shape, 0), job.train, job.unit_scale), rel=1e-5)
    assert first["validation_rmse"] == pytest.approx(
        naive_rmse(build(job.shape, 0), job.validation, job.unit_scale), rel=1e-5
    )


@pytest.mark.parametrize("schedule", ["none", "archive"])
def test_the_best_weights_come_back(setting, schedule):
    """A learning rate that makes the later epochs worse."""
    fit = replace(setting.fit, learning_rate=0.2)
    job = setting.job(schedule, epochs=6)
    trainer = Trainer(job, fit, Hooks())
    trainer.run()
    state = trainer.state
    held = [row["validation_rmse"] for row in state.rows]
    held[0] = np.inf  # the untrained network does not count
    assert state.best["rmse"] == min(held) < held[-1]
    best = state.rows[int(np.argmin(held))]
    assert (state.best["stage"], state.best["epoch"]) == (best["stage"], best["epoch"])
    assert rmse(state.student, job.validation, job.unit_scale) == pytest.approx(min(held), rel=1e-6)


def test_fitting_starts_from_the_best_of_the_archive(setting):
    fit = replace(setting.fit, learning_rate=0.01)
    trainer = Trainer(setting.job("archive"), fit, Hooks())
    trainer.run()
    archive = [r["validation_rmse"] for r in trainer.state.rows if r["stage"] == "archive"]
    assert min(archive) < 0.9 * archive[0], "the archive teaches something here"
    (start,) = [r["validation_rmse"] for r in trainer.state.rows if r["stage"] == "fit" and r["epoch"] == 0]
    assert start == min(archive)


@pytest.mark.parametrize(
    ("stage", "held", "train", "goal", "enough"),
    [
        ("fit", [5, 4, 4.1], [5, 4, 3], None, False),
        ("fit", [5, 4, 4.1, 4.2], [5, 4, 3, 3], None, True),
        ("fit", [5, 4, 4.1, 4.0], [5, 4, 3, 3], None, True),
        ("fit", [5, 4, 4.1, 3.9], [5, 4, 3, 3], None, False),
        ("fit", [5, 4, 4.1, 4.2], [5, 4, 3, 3], 2.9, False),
        ("fit", [5, 4, 4.1, 4.2], [5, 4, 3, 3], 3.0, True),
        ("fit", [5, 4, 4.1, 4.2], [5, 2.0, 3, 3], 2.5, True),
        ("archive", [5, 4, 4.1, 4.2], [5, 4, 3, 3], 2.9, True),
    ],
)
def test_patience_and_goal(setting, stage, held, train, goal, enough):
    """Two epochs without better validation end a stage, in `fit` only once the training RMSE met the goal."""
    trainer = Trainer(with_goal(setting.job(), goal), setting.fit, Hooks())
    trainer.state.rows = [{"stage": "before", "validation_rmse": 0.1, "train_rmse": 0.1}] + [
        {"stage": stage, "validation_rmse": v, "train_rmse": t} for v, t in zip(held, train, strict=True)
    ]
    windows = trainer.job.train
    assert trainer._enough(Stage(stage, "none", windows, 10, 2)) == enough
    assert not trainer._enough(Stage(stage, "none", windows, 10, None))


def test_patience_ends_training(setting):
    fit = replace(setting.fit, learning_rate=0.3)
    trainer = Trainer(setting.job(epochs=60, patience=2), fit, Hooks())
    trainer.run()
    held = [row["validation_rmse"] for row in trainer.state.rows]
    assert len(held) < 61 and int(np.argmin(held)) == len(held) - 3


def test_divergence_is_an_error_that_names_the_job(setting):
    fit = replace(setting.fit, learning_rate=1e25)
    with pytest.raises(NumericalError, match="arm-0: the RMSE is .* after epoch 1 of stage fit") as caught:
        Trainer(setting.job(), fit, Hooks()).run()
    assert "--learning-rate" in caught.value.hint


def test_last_good_weights_are_kept_when_training_diverges(setting):
    """The hint points to the checkpoint: it must be there, and hold finite weights."""
    store = {}
    fit = replace(setting.fit, learning_rate=1e25)
    with pytest.raises(NumericalError):
        Trainer(
            setting.job(), fit, Hooks(save=lambda name, tensors, header: store.update({name: (tensors, header)}))
        ).run()
    tensors, header = store["arm-0"]
    best = {n: a for n, a in tensors.items() if n.startswith("best.")}
    assert best and all(np.isfinite(a).all() for a in best.values())
    assert header["best"]["epoch"] == 0 and not header["finished"]


def test_the_privileged_twin_answers_and_stays(setting):
    job = setting.job("hint")
    trainer = Trainer(job, setting.fit, Hooks())
    batch = job.stages[0].windows.gather(torch.arange(9))
    answer, latent = trainer._ask_twin(batch)
    twin = build(job.twin[0], 0)
    twin.load_state_dict(job.twin[1])
    with torch.no_grad():
        torch.testing.assert_close(answer, twin.point(twin(batch.x, batch.future)))
        torch.testing.assert_close(latent, twin.encode(batch.x))
    assert not answer.requires_grad
    trainer.run()
    assert all(torch.equal(p, job.twin[1][n]) for n, p in trainer.twin.state_dict().items())


def test_fixed_sample(setting):
    windows = setting.windows("archive", "record")
    a, b = fixed_sample(windows, 100), fixed_sample(windows, 100)
    assert len(a) == 100 and torch.equal(a.row, b.row) and len(set(a.row.tolist())) == 100
    assert fixed_sample(windows, 10**6) is windows


def test_masked_windows_do_not_teach(setting):
    """A target of weight 0 may hold anything."""
    job = setting.job("none")
    spoilt = replace(job.train, target=torch.where(job.train.weight > 0, job.train.target, torch.tensor(1e4)))
    assert (job.train.weight == 0).any()
    a = Trainer(job, setting.fit, Hooks())
    b = Trainer(replace(job, train=spoilt, stages=(replace(job.stages[0], windows=spoilt),)), setting.fit, Hooks())
    a.run(), b.run()
    assert_same(bits(a), bits(b))


PROCESS = textwrap.dedent("""
    import sys, torch
    torch.set_num_threads(1)
    rank, folder = int(sys.argv[1]), sys.argv[2]
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    from sciml.pipelines.kd.train import Hooks, Trainer
    jobs, fit = torch.load(f"{folder}/jobs.pt", weights_only=False)
    saved = []
    for n, job in enumerate(jobs):
        trainer = Trainer(job, fit, Hooks(save=lambda *a: saved.append(a)))
        trainer.run()
        state = trainer.state
        torch.save((state.student.state_dict(), state.rows, state.windows_done), f"{folder}/{rank}-{n}.pt")
    assert bool(saved) == (rank == 0)
    torch.distributed.destroy_process_group()
""")


@pytest.mark.slow
def test_two_processes_train_the_same_student(setting, tmp_path):
    """Shares of every batch, gradients summed: as one process, up to the order of sums."""
    fit = replace(setting.fit, batch_size=None)
    # the last batch of 7 windows leaves each process with an uneven share
    jobs = [setting.job(schedule, epochs=1) for schedule in ("hint", "joint")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    torch.save((jobs, fit), tmp_path / "jobs.pt")
    commands = [[sys.executable, "-c", PROCESS, str(rank), str(tmp_path)] for rank in (0, 1)]
    processes = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    for n, job in enumerate(jobs):
        alone = Trainer(job, fit, Hooks())
        alone.run()
        (a, rows, seen), (b, _, _) = (torch.load(tmp_path / f"{rank}-{n}.pt", weights_only=False) for rank in (0, 1))
        assert seen == alone.state.windows_done
        for name, wanted in alone.state.student.state_dict().items():
            assert torch.equal(a[name], b[name])
            torch.testing.assert_close(a[name], wanted, rtol=1e-3, atol=1e-4)
        for row, wanted in zip(rows, alone.state.rows, strict=True):
            assert row["validation_rmse"] == pytest.approx(wanted["validation_rmse"], rel=1e-4)


@pytest.mark.parametrize("most", [1e-3, 1.0, 1e3])
def test_clipping_is_that_of_torch(most):
    from sciml.pipelines.kd.train import _clip

    generator = torch.Generator().manual_seed(0)
    mine, theirs = ([torch.zeros(n, 3, requires_grad=True) for n in (2, 5, 7)] for _ in range(2))
    for a, b in zip(mine[:2], theirs[:2], strict=True):  # the third has no gradient
        a.grad = torch.randn(a.shape, generator=generator)
        b.grad = a.grad.clone()
    _clip(mine, most)
    torch.nn.utils.clip_grad_norm_(theirs, most, foreach=True)
    assert mine[2].grad is None and all(torch.equal(a.grad, b.grad) for a, b in zip(mine[:2], theirs[:2], strict=True))


@pytest.mark.parametrize(("longer", "doubted"), [(1, False), (4, True)])
def test_weights_of_a_longer_archive_get_the_benefit_of_the_doubt(setting, monkeypatch, longer, doubted):
    """Only as far as the archive is longer than the observations: over the same times the better validation decides."""
    trainer = Trainer(setting.job("archive"), setting.fit, Hooks())
    archive, fit = trainer.job.stages
    counts = {id(fit.windows): 10, id(archive.windows): 10 * longer}
    monkeypatch.setattr("sciml.pipelines.kd.train._issues", lambda windows: counts.get(id(windows), 38))
    trainer.state.best = {"rmse": 1.0, "stage": "archive", "epoch": 3}
    assert bool(trainer._to_beat(fit) < 1.0) is doubted
