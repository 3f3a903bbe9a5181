import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sciml.pipelines.compute import workers

FORKS = "forkserver" in multiprocessing.get_all_start_methods()
PROGRAM = """
import sys, time
from sciml.pipelines.compute import workers
def work(queue):
    queue.put(("colorsys" in sys.modules, workers.parent_lives()))
if __name__ == "__main__":
    workers.warm("colorsys")
    context = workers.context()
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(*queue.get(timeout=60))
    process.join()
"""
ORPHAN = """
import os, sys, time
from sciml.pipelines.compute import workers
def work():
    print(os.getpid(), flush=True)
    while workers.parent_lives():
        time.sleep(0.05)
if __name__ == "__main__":
    context = workers.context()
    context.Process(target=work).start()
    time.sleep(60)
"""


def program(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(text)
    return [sys.executable, str(path)]


@pytest.mark.skipif(not FORKS, reason="no fork server here")
def test_a_worker_has_what_the_server_imported(tmp_path):
    done = subprocess.run(program(tmp_path, PROGRAM), capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True", "True"], done.stderr


@pytest.mark.skipif(not FORKS or not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_worker_sees_that_its_parent_was_killed(tmp_path):
    with subprocess.Popen(program(tmp_path, ORPHAN), stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_the_process_at_the_top_has_no_parent_to_lose():
    assert workers.parent_lives()
    assert os.getpid() == multiprocessing.current_process().pid
