"""One process at a time in a run folder: an advisory lock of the operating system on the file `lock`.

The system drops it with the process that holds it, however that ends, so nothing stale can stay behind; the file then names the last
holder, which nobody reads.  A file system without locks (some network mounts, Windows) goes unguarded.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from sciml.pipelines.errors import DataError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder` (nothing happens if there is none); DataError with the holder's process and host if another has it."""
    if fcntl is None or not folder.is_dir():
        yield
        return
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:  # a folder that cannot be written fails where it is written, with its reason
        yield
        return
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
        raise DataError(
            f"{folder}: {owner} is at work in it",
            hint="wait until it has ended, or stop it; it keeps its checkpoints and can be resumed",
        ) from None
    except OSError:
        return
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
