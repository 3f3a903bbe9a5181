"""One process is a world of its own; two are tested through torchrun in tests/pipelines/kd/test_train.py."""

import torch

from sciml.pipelines.compute.world import World
from sciml.pipelines.kd.student import Shape, build


def test_alone_nothing_is_summed():
    world, student = World(), build(Shape("lstm_ae", 2, 3, 1, 1, 4), 0)
    assert (world.size, world.rank) == (1, 0)
    assert world.sum(torch.tensor(2.0), torch.tensor(3.0)) == [2.0, 3.0]
    for parameter in student.parameters():
        parameter.grad = torch.ones_like(parameter)
    world.sum_gradients(student)
    assert all((parameter.grad == 1).all() for parameter in student.parameters())
