"""A job's state: from the seed or given weights, and through a checkpoint without a bit lost."""

import json
from dataclasses import replace

import numpy as np
import torch

from sciml.pipelines.kd.state import pack, unpack
from sciml.pipelines.kd.student import build
from sciml.pipelines.kd.train import Hooks, Trainer

CPU = torch.device("cpu")


def test_a_checkpoint_holds_all_of_the_state(setting):
    trainer = Trainer(setting.job("archive"), setting.fit, Hooks())
    trainer.run()
    tensors, header = pack(trainer.state)
    again = unpack(trainer.job, setting.fit, CPU, tensors, json.loads(json.dumps(header)))
    second, header2 = pack(again)
    assert header == header2 and tensors.keys() == second.keys()
    assert all(np.array_equal(tensors[n], second[n]) for n in tensors)
    assert Trainer(trainer.job, setting.fit, Hooks(load=lambda name: (tensors, header))).run(), (
        "a finished job is finished"
    )


def test_initial_weights_may_be_given(setting):
    job = setting.job()
    weights = {n: p.clone() for n, p in build(job.shape, 99).state_dict().items()}
    trainer = Trainer(replace(job, initial=weights), setting.fit, Hooks())
    assert all(torch.equal(p, weights[n]) for n, p in trainer.state.student.state_dict().items())
    trainer.run()
    assert all(
        torch.equal(p, q) for p, q in zip(weights.values(), build(job.shape, 99).state_dict().values(), strict=True)
    ), "and stay as they were"
