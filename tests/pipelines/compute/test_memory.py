"""Blocks that are freed and asked for again cost no new pages."""

import os
import subprocess
import sys

import pytest

from sciml.pipelines.compute import memory

PROGRAM = """
import resource, sys
import torch
from sciml.pipelines.compute import memory
if "keep" in sys.argv:
    assert memory.keep()
def work():
    blocks = [torch.ones(5_000_000) for _ in range(4)]
    return sum(float(block[-1]) for block in blocks)
for _ in range(5):
    work()  # the heap grows to what is needed
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*words):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}), reason="the C library is not glibc")
def test_kept_memory_is_used_again():
    # the blocks are 19,500 pages
    assert faults("keep") < 1000 < 100_000 < faults()


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(os, "confstr_names", {})
    assert not memory.keep()
    monkeypatch.delattr(os, "confstr_names")
    assert not memory.keep()
