"""Worker processes that are forked from a server which imported everything beforehand.

Importing torch costs a worker three to four seconds of CPU.  The server pays them once, and, started first thing in a command, while
the command's own process still imports and reads its files; the workers share its memory.  Where there is no fork server
(Windows) every worker starts from nothing, as the standard library does it.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext


def _forks() -> bool:
    return "forkserver" in multiprocessing.get_all_start_methods()


def context() -> BaseContext:
    """What workers are started with."""
    return multiprocessing.get_context("forkserver" if _forks() else "spawn")


def warm(*modules: str) -> None:
    """Start the server and let it import `modules`; returns at once.  Only the first call of a process has an effect.

    The server ignores Ctrl-C and SIGTERM for good, since the workers, which outlive neither, are told by their parent.
    """
    if not _forks():
        return
    from multiprocessing import forkserver

    multiprocessing.set_forkserver_preload(list(modules))
    with deaf():
        forkserver.ensure_running()


@contextmanager
def deaf() -> Iterator[None]:
    """Processes started meanwhile ignore Ctrl-C, which reaches every process of a terminal, and SIGTERM from their first moment."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def parent_lives() -> bool:
    """Whether the process that asked for this worker still runs; the fork server between them does not count."""
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()
