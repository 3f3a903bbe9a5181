"""Blocks that are freed and asked for again cost no new pages."""

import os
import subprocess
import sys

import pytest

from sciml.pipelines.compute import memory

PROGRAM = """
import ctypes, resource, sys
import torch
from sciml.pipelines.compute import memory
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: one fault for 512 pages would hide the difference
if "keep" in sys.argv:
    assert memory.keep()
def work():
    blocks = [torch.ones(9_000_000) for _ in range(3)]
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


def glibc():
    """Its version; (0, 0) where the C library is another one."""
    known = "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {})
    return tuple(int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")[:2]) if known else (0, 0)


@pytest.mark.skipif(glibc() < (2, 36), reason="older ones map blocks of more than 32 MiB by themselves whatever they are told")
def test_kept_memory_is_used_again():
    # the blocks are 36 MB, 8,800 pages each, which glibc by itself never keeps
    assert faults("keep") < 1000 < 100_000 < faults()


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(os, "confstr_names", {})
    assert not memory.keep()
    monkeypatch.delattr(os, "confstr_names")
    assert not memory.keep()
