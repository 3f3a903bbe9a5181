"""Tasks come back in order, in one process and in several."""

import pytest

from sciml.pipelines.galaxy.morphology.pool import in_processes


@pytest.mark.parametrize("workers", [0, 1])
def test_in_this_process(workers):
    assert list(in_processes(abs, [-3, 2, -1], workers)) == [3, 2, 1]


@pytest.mark.slow
def test_in_two_processes():
    assert list(in_processes(abs, list(range(-20, 0)), 2)) == list(range(20, 0, -1))
