"""Contestants train in processes of their own, which end with the comparison."""

import multiprocessing
from dataclasses import replace

import pytest
import torch

from sciml.pipelines.errors import ScimlError
from sciml.pipelines.galaxy.bench import contestants
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.readers.synthetic_surveys import picture

SMALL = BenchGalaxy(backbones=("test_resnet",), picture_size=48, image_size=32, batch_size=4, steps=2, repeats=2)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    paths = tuple(picture(folder / f"{i}.jpg", i, size=48) for i in range(8))
    return contestants.Task(SMALL, "test_resnet", paths, "cpu")


def test_a_round_is_an_epoch_of_ours(task):
    trainer = contestants.ours(SMALL, "test_resnet", task.paths, "cpu")
    before = [p.detach().clone() for p in trainer.model.parameters()]
    contestants.epoch_of(trainer)
    assert trainer.state.steps_done == 2 and trainer.state.epoch == 1 and trainer.state.step == 0
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


@pytest.mark.parametrize("who", [contestants.OURS, contestants.PLAIN, contestants.ALONE])
def test_each_leaves_torch_as_a_user_would(task, who):
    """Denormal numbers are flushed by our loop alone."""
    threads = torch.get_num_threads()
    try:
        with contestants._LOOPS[who](task) as epoch:
            epoch()
            assert torch.get_num_threads() == 1
            assert (torch.tensor(1e-40) * 1.0 == 0) == (who == contestants.OURS)
    finally:
        torch.set_num_threads(threads)


def test_what_a_process_cannot_do_is_said_here(task):
    with pytest.raises(ScimlError, match="no_such_network"), contestants.contestants(task._replace(name="no_such_network")):
        pass
    assert not multiprocessing.active_children()


def test_a_process_that_died_is_named(task, monkeypatch):
    monkeypatch.setattr(contestants, "_LOOPS", {contestants.OURS: None})  # the others are not started
    with contestants.contestants(task) as entered:
        ours = entered[contestants.OURS]
        assert ours.prepare > 0 and ours.epoch() > 0
        ours._process.kill()
        with pytest.raises(RuntimeError, match="exit code -9"):
            ours.epoch()
    assert not multiprocessing.active_children()


def test_the_clock():
    assert contestants.by_cpu(SMALL, "cpu") and not contestants.by_cpu(SMALL, "cuda")
    assert not contestants.by_cpu(replace(SMALL, threads=2), "cpu") and not contestants.by_cpu(replace(SMALL, workers=1), "cpu")
