"""Threads are chosen by what is measured, and given back."""

import time

import torch

from sciml.pipelines.compute import threads


def test_waiting_threads_lose():
    before = torch.get_num_threads()
    slow = lambda: time.sleep(0.001 if torch.get_num_threads() == 1 else 0.01)  # noqa: E731
    assert threads.probe(slow, 2) == 1
    quick = lambda: time.sleep(0.01 if torch.get_num_threads() == 1 else 0.001)  # noqa: E731
    assert threads.probe(quick, 2) == 2
    assert threads.probe(quick, 1) == 1
    assert torch.get_num_threads() == before


def test_what_was_set_is_set_back():
    before = torch.get_num_threads()
    with threads.using(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    threads.convolutions()()
    assert threads.cores() >= 1
