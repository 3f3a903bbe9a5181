"""Training: the same numbers whatever interrupts it or shares it, learning where there is something to learn."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sciml.pipelines.errors import NumericalError
from sciml.pipelines.galaxy.experiment import Experiment, prepare_model
from sciml.pipelines.galaxy.features import cache
from sciml.pipelines.galaxy.logits import predict_logits
from sciml.pipelines.galaxy.optimizer import memory_order
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.galaxy.splits import hold_out
from sciml.pipelines.galaxy.train import Hooks, Job, Trainer
from sciml.pipelines.galaxy.training_settings import Train

SETTINGS = Train(epochs=2, batch_size=8, width=8, blocks=1, audit=False, ema=0.5)


def learnable(n=64, n_class=2):
    """Objects whose images and columns both tell the class."""
    catalog = tiny_catalog(n, n_class=n_class, size=16)
    catalog.images.array[:, 0, 6:10, 6:10] += 1.5 * catalog.labels[:, None, None]
    return catalog


def made(arm="fusion", settings=SETTINGS, hooks=None, catalog=None):
    torch.manual_seed(7)
    catalog = catalog or learnable()
    experiment = Experiment(catalog, [hold_out(catalog)], (arm,), 1)
    prepared = prepare_model(experiment, settings, arm, 0, "cpu")
    split = experiment.splits[0]
    job = Job(arm, arm, 0, split.train, split.validation, catalog.labels, len(catalog.classes), prepared.auxiliary)
    cached = cache(prepared.model, prepared.feed, 8) if settings.freeze else None
    return Trainer(job, prepared.model, prepared.feed, settings, hooks, cached)


def with_votes(catalog):
    votes = np.clip(catalog.labels * 0.8 + np.linspace(0, 0.2, len(catalog)), 0, 1)
    return replace(catalog, withheld=pd.DataFrame({"votes": votes}))


def trained(*args, **options):
    trainer = made(*args, **options)
    assert trainer.run()
    return trainer


def bits(trainer):
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in trainer.state.rows]
    return {n: v.numpy().tobytes() for n, v in trainer.best_weights.items()}, rows, trainer.state.best


@pytest.mark.parametrize("arm", ["fusion", "image", "table"])
def test_every_arm_learns(arm):
    settings = replace(SETTINGS, epochs=8, learning_rate=5e-3)
    trainer = made(arm, settings)
    assert trainer.run() and trainer.state.finished
    rows = trainer.state.rows
    assert len(rows) == 8 and rows[-1]["train_loss"] < 0.9 * rows[0]["train_loss"]
    assert not trainer.model.training


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "focal", "balance": "weights"}, {"balance": "sampling"}, {"precision": "bfloat16"}, {"freeze": True},
        {"augment": ("none",)}, {"augment": ("flip", "rotate", "shift", "zoom", "psf", "noise", "redshift")},
        {"backbone_rate": 1e-4, "layer_decay": 0.7}, {"fusion": "late_average"}, {"table_encoder": "mlp"},
        {"fusion": "verdicts", "freeze": True, "table_dropout": 0.5}, {"fusion": "verdicts", "balance": "sampling", "precision": "bfloat16"},
        {"table_encoder": "tab_transformer"}, {"embedding": "piecewise"}, {"embedding": "periodic"},
    ],
    ids=lambda changes: "-".join(f"{value}" for value in changes.values())[:40],
)  # fmt: skip
def test_every_option_trains(changes):
    trainer = made(settings=replace(SETTINGS, epochs=1, **changes))
    assert trainer.run()
    assert np.isfinite(trainer.state.rows[-1]["validation_loss"])


def interrupted(settings, stops):
    store, stops = {}, iter(stops)
    save = lambda name, tensors, header: store.update({name: (tensors, json.loads(json.dumps(header)))})  # noqa: E731
    for _ in range(30):
        left = [next(stops, None)]

        def ask(left=left):
            if left[0] is not None:
                left[0] -= 1
            return left[0] == 0

        trainer = made(settings=settings, hooks=Hooks(load=store.get, save=save, should_stop=ask))
        if trainer.run():
            return trainer
    raise AssertionError("never finished")


@pytest.mark.parametrize("freeze", [False, True])
def test_interrupted_runs_end_in_the_same_bits(freeze):
    """Stopped within an epoch, at its end and right after resuming."""
    settings = replace(SETTINGS, freeze=freeze)
    once = made(settings=settings)
    assert once.run() and once.steps_per_epoch > 4
    for stops in ([1], [2, 1], [1, 1, 1]):
        assert bits(interrupted(settings, stops)) == bits(once)


def test_interrupted_networks_of_channels_last_weights_end_in_the_same_bits():
    """Files keep no memory format; weights, averages and moments get theirs back."""
    settings = replace(SETTINGS, backbone="test_resnet")
    once = trained("image", settings)
    formats = [p.is_contiguous() for p in once.model.parameters() if p.ndim == 4]
    assert not all(formats)
    store, left = {}, [2]

    def ask():
        left[0] -= 1
        return left[0] == 0

    hooks = Hooks(load=store.get, save=lambda name, *state: store.update({name: state}), should_stop=ask)
    assert not made("image", settings, hooks).run()
    again = made("image", settings, hooks)
    assert all(s["exp_avg"].is_contiguous() and s["exp_avg"].shape == v.shape for v, s in again.optimizer.state.items())
    state = again.model.state_dict()
    assert all(memory_order(v) == memory_order(state[n]) for n, v in again.average.values.items())
    assert again.run() and bits(again) == bits(once)


VERDICTS = replace(SETTINGS, fusion="verdicts", table_encoder="mlp", clip=0.1, keep="last")


def test_interrupted_verdicts_end_in_the_same_bits():
    assert bits(interrupted(VERDICTS, [2, 1])) == bits(trained(settings=VERDICTS))


@pytest.mark.parametrize("hidden", ["image", "table"])
def test_one_verdict_learns_the_same_whatever_the_other_sees(hidden):
    """Not one bit of it, though the gradients are cut to a small norm: neither a weight nor that norm is in common."""
    catalog, other = with_votes(learnable()), with_votes(learnable())
    mixed = np.random.default_rng(0).permutation(len(catalog))
    if hidden == "image":
        other.images.array[:] = other.images.array[mixed]
    else:
        other = replace(other, table=other.table.iloc[mixed].set_axis(other.ids))
    settings = replace(VERDICTS, auxiliary=("votes",))
    one, two = (trained(settings=settings, catalog=c).model.state_dict() for c in (catalog, other))
    own = {"image": ("table", "head.table", "auxiliary.table"), "table": ("backbone", "head.image", "auxiliary.image")}[hidden]
    kept = [name for name in one if name.startswith(own)]
    assert len(kept) > 8 and all(torch.equal(one[name], two[name]) for name in kept)
    assert not all(torch.equal(one[name], two[name]) for name in one)


def test_an_absent_image_teaches_the_image_nothing():
    """Whatever the label of an object without an image, the image's weights are the same."""
    catalog = learnable()
    present = np.arange(len(catalog)) % 3 > 0
    catalog.images.present = present
    found = []
    for label in (0, 1):
        trainer = made(settings=VERDICTS, catalog=catalog)
        trainer.labels = torch.from_numpy(np.where(present, catalog.labels, label))
        trainer._step(torch.arange(40))
        found.append(trainer.model.state_dict())
    same = {name: torch.equal(found[0][name], found[1][name]) for name in found[0]}
    assert all(same[name] for name in same if name.startswith(("backbone", "head.image")))
    assert not all(same[name] for name in same if name.startswith(("table", "head.table")))


def test_patience_ends_early_and_the_best_weights_are_kept():
    trainer = made(settings=replace(SETTINGS, epochs=12, patience=2, learning_rate=0.3))
    assert trainer.run()
    assert len(trainer.state.rows) < 12
    assert len(trainer.state.rows) - trainer.state.best["epoch"] == 2
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, trainer.best_weights[name])


def test_the_last_epoch_is_kept_where_that_is_wanted():
    for keep, epoch in (("last", 3), ("best", 1)):
        # after the first epoch no loss is as small as the one on record
        made_now = []
        never = Hooks(on_epoch=lambda row, made_now=made_now: made_now[0].state.best.update(loss=-1.0))
        made_now.append(trainer := made(settings=replace(SETTINGS, epochs=3, keep=keep), hooks=never))
        assert trainer.run() and trainer.state.best["epoch"] == epoch
        same = [torch.equal(v, trainer.average.values[n]) for n, v in trainer.model.state_dict().items()]
        assert all(same) == (keep == "last")


def test_divergence_is_an_error():
    with pytest.raises(NumericalError, match="lower --learning-rate|loss is nan"):
        made("table", replace(SETTINGS, learning_rate=1e30, clip=1e30)).run()


def test_a_frozen_backbone_stays_as_it_is():
    settings = replace(SETTINGS, freeze=True)
    trainer = made(settings=settings)
    before = {n: v.clone() for n, v in trainer.model.backbone.state_dict().items()}
    trainer.run()
    for name, value in trainer.model.backbone.state_dict().items():
        assert torch.equal(value, before[name])
    plain = predict_logits(trainer.model, trainer.feed, np.arange(6), views=4)
    cached = predict_logits(trainer.model, trainer.feed, np.arange(6), views=4, cached=trainer.cached)
    np.testing.assert_allclose(cached, plain, atol=1e-4)


PROCESS = """
import sys, torch
rank, folder, here = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
import importlib.util
spec = importlib.util.spec_from_file_location("shared", here)
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
trainer = shared.in_double(shared.made(settings=shared.SHARED))
trainer.run()
torch.save((trainer.model.state_dict(), trainer.state.rows), f"{folder}/{rank}.pt")
"""
SHARED = replace(SETTINGS, dropout=0.2, modality_dropout=0.3, epochs=1)


def in_double(trainer):
    """The trainer in double precision: the optimizer divides by small gradients, where single precision would show."""
    trainer.model.double()
    trainer.average.values = {n: v.double() if v.is_floating_point() else v for n, v in trainer.average.values.items()}
    trainer.weights, trainer.feed._held = trainer.weights.double(), trainer.feed._held.double()
    trainer.feed.table = trainer.feed.table._replace(continuous=trainer.feed.table.continuous.double())
    return trainer


@pytest.mark.slow  # two_processes_are_one in test_distributed.py is the quick one
def test_two_processes_train_the_same_model(tmp_path):
    """Shares of every batch, statistics and gradients summed: as one process, up to the order of sums."""
    commands = [[sys.executable, "-c", PROCESS, str(rank), str(tmp_path), __file__] for rank in (0, 1)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    alone = in_double(made(settings=SHARED))
    alone.run()
    (a, rows), (b, _) = (torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1))
    for name, wanted in alone.model.state_dict().items():
        assert torch.equal(a[name], b[name])
        torch.testing.assert_close(a[name], wanted, rtol=1e-4, atol=1e-5)
    for row, wanted in zip(rows, alone.state.rows, strict=True):
        assert row["train_loss"] == pytest.approx(wanted["train_loss"], rel=1e-6)


def test_targets_beside_the_label_teach_and_are_no_input():
    """A fraction that only the image tells is learned, and the label's model needs it no more."""
    catalog = with_votes(learnable())
    votes = catalog.withheld["votes"].to_numpy()
    trainer = made("image", replace(SETTINGS, auxiliary=("votes",), epochs=8, learning_rate=5e-3), catalog=catalog)
    assert trainer.run() and trainer.model.auxiliary is not None
    assert trainer.state.rows[-1]["train_loss"] < 0.9 * trainer.state.rows[0]["train_loss"]
    with torch.no_grad():
        sample = trainer.feed.ready(trainer.feed.sample(torch.arange(len(catalog))))
        told = torch.sigmoid(trainer.model.auxiliary(trainer.model.embed(sample.image)))[:, 0]
        assert trainer.model(sample.image).shape == (len(catalog), 2)
    assert np.corrcoef(told.numpy(), votes)[0, 1] > 0.5
