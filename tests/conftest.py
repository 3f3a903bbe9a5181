"""What all tests share: an empty working folder, a terminal that looks the same everywhere, commands, one trained run."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Tests are small: two threads that wait for each other on a busy machine make them ten times slower. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Many tests, commands and processes need the same few programs: one compiles a program, the others read it.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="sciml-compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import pytest  # noqa: E402

MOST_PROCESSES = 4  # each imports torch and jax


def pytest_xdist_auto_num_workers(config) -> int:
    """Processes of a run with `-n auto`: one file, or less, is not worth a second one."""
    if len(config.args) == 1 and (config.args[0].partition("::")[0]).endswith(".py"):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES) if cores > 1 else 0


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    """Runs are written under the working folder: each test gets its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def compiled_quickly(request):
    """JAX programs that run for milliseconds are compiled without most optimizations, which take far longer. Slow tests
    and tests that do without this fixture compile as users do."""
    import jax

    jax.config.update("jax_disable_most_optimizations", request.node.get_closest_marker("slow") is None)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def sciml(tmp_path):
    """Runs the command line in a process of its own and returns it, finished: `sciml("runs", "list").stdout`."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "sciml.cli", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            timeout=300,
        )

    return run


# Importing torch takes longer than most of what is tested: one process imports everything, and each command runs in a
# copy of it, with its own signals, folder, output and exit code. What a command imported late, the next one finds there.
_SERVER = """
import contextlib, gc, importlib, json, os, signal, sys
import matplotlib.pyplot
from sciml.cli.main import main
MODULES = {"kd": ("export", "predict", "survey"), "galaxy": ("experiment", "export", "fit", "predict")}
for line in sys.stdin:
    call = json.loads(line)
    for name in MODULES.pop(call["arguments"][0], ()):
        importlib.import_module(f"sciml.pipelines.{call['arguments'][0]}.{name}")
    gc.freeze()  # a collection in the copy would touch, and so copy, all memory
    known, late = set(sys.modules), call["out"] + ".modules"
    child = os.fork()
    if child == 0:
        signal.alarm(240)
        os.chdir(call["folder"])
        for number, name in ((0, os.devnull), (1, call["out"]), (2, call["err"])):
            os.dup2(os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv = ["sciml", *call["arguments"]]
        code = main()
        sys.stdout.flush(), sys.stderr.flush()
        with open(late, "w") as file:
            json.dump([name for name in sys.modules if name not in known], file)
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    if os.path.exists(late):
        for name in json.load(open(late)):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        os.remove(late)
"""


@pytest.fixture(scope="session")
def command(tmp_path_factory):
    """Runs `sciml <arguments>` in a folder: `command("kd", "fit", folder=home)` -> returncode, stdout, stderr."""
    streams = tmp_path_factory.mktemp("streams")
    environment = {**os.environ, "COLUMNS": "200", "MPLBACKEND": "agg"}
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )

    def run(*arguments, folder) -> subprocess.CompletedProcess:
        out, err = streams / "out", streams / "err"
        words = [str(argument) for argument in arguments]
        call = {"arguments": words, "folder": str(folder), "out": str(out), "err": str(err)}
        print(json.dumps(call), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read_text("utf-8"), err.read_text("utf-8"))

    yield run
    server.stdin.close()
    server.stdout.close()
    server.wait(30)


TINY = (
    "--hidden", "4", "--epochs", "3", "--archive-epochs", "2", "--seeds", "1", "--batch-size", "64", "--workers", "1", "--threads", "1",
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny():
    """Options of a fit that takes a second."""
    return TINY


@pytest.fixture(scope="session")
def home(tmp_path_factory, command) -> Path:
    """A folder with nwp.nc, obs.nc (2 stations, 2 leads, 150 observed of 240 days), the finished run `run`, and
    stdout.json: what `kd fit --json` printed. Tests may add files to it, and change none."""
    from sciml.pipelines.readers.synthetic import write_kd_files

    folder = tmp_path_factory.mktemp("home")
    write_kd_files(folder, days=240, stations=2, leads_hours=(24, 48), observed_days=150)
    done = command("kd", "fit", "--observations", "obs.nc", *TINY, "--out", "run", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.json").write_text(done.stdout)
    return folder
