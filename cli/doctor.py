"""`sciml doctor`: is this machine ready? Versions, what each framework sees, files, disk, and short self tests.

Each framework is tried in a process of its own, so that a crash is reported instead of ending the doctor, and no
framework stays loaded. Exit code 0 if all required parts work, 5 otherwise.
"""

import json as json_module
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, Any

import typer

from sciml.cli.console import Console
from sciml.cli.options import CONTEXT, Json, epilog

_SECONDS = 180

# Each probe prints one JSON object; what it finds is shown as it is.
_PROBES = {
    "torch": """
import torch
cuda = torch.cuda.is_available()
x = torch.arange(6.0, requires_grad=True)
(x * x).sum().backward()
assert x.grad.tolist() == [0, 2, 4, 6, 8, 10], "the gradient of a sum of squares is wrong"
found = {"version": torch.__version__, "build": "cuda " + torch.version.cuda if torch.version.cuda else "cpu only",
         "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else ["cpu"],
         "threads": torch.get_num_threads()}
""",
    "jax": """
import jax, jax.numpy as jnp
assert float(jax.jit(jax.grad(lambda x: x * x))(3.0)) == 6.0, "the gradient of a square is wrong"
found = {"version": jax.__version__, "devices": [str(device) for device in jax.devices()]}
""",
    "gcm": """
import numpy as np
from sciml.pipelines.gcm.integration import prepare
from sciml.pipelines.gcm.settings import Rollout
from sciml.pipelines.progress import Progress
one = prepare(Rollout(initial="williamson2", truncation="T21"), Progress(), "cpu")
before = one.fields(one.initial())["height"]
change = abs(one.fields(one.advance(one.initial(), 48))["height"] - before).max() / before.max()
assert change < 1e-4, f"a steady flow changed by {change:.1e} in a day"
found = {"steady flow": f"changes by {change:.0e} in a day"}
""",
    "timm": """
from sciml.pipelines.timm_import import import_timm, repaired
timm = import_timm()
found = {"version": timm.__version__, "models": len(timm.list_models()), "torchvision": (
    "PyPI build beside a CPU-only torch: its box operators cannot load, the import of timm was repaired"
    if repaired() else "loads")}
""",
    "netcdf": """
import tempfile, os, numpy as np, xarray as xr
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "doctor.nc")
    wrote = xr.Dataset({"t": ("x", np.arange(5.0))})
    wrote.to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as read:
        assert read.load().identical(wrote), "a file read back differs from what was written"
found = {"h5netcdf": "writes and reads back"}
""",
    "checkpoint": """
import tempfile, os, numpy as np
from pathlib import Path
from sciml.pipelines.checkpoint import load_tensors, save_tensors
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "doctor.safetensors")
    save_tensors(path, {"w": np.arange(5.0)}, {"step": 1})
    tensors, header = load_tensors(path)
    assert tensors["w"].tolist() == [0, 1, 2, 3, 4] and header == {"step": 1}, "a checkpoint read back differs"
found = {"safetensors": "writes and reads back"}
""",
}
_IMPORT_HEAVY = ("torch", "jax", "gcm", "timm")
_HINTS = {
    "torch": "install again: pip install 'torch>=2.11,<2.14' 'torchvision>=0.26,<0.29'",
    "timm": "torch and torchvision must belong together: pip install 'torch>=2.11,<2.14' 'torchvision>=0.26,<0.29'",
    "jax": "jax and jaxlib must belong together: pip install --upgrade 'jax>=0.10,<0.12'",
}


def register(app: typer.Typer) -> None:
    """Add `doctor` to the root command."""
    examples = epilog(["sciml doctor", "sciml doctor --quick", "sciml doctor --json > machine.json"])
    app.command("doctor", epilog=examples, context_settings=CONTEXT)(doctor)


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Do not import torch, jax and timm.")] = False,
    json: Json = False,
) -> None:
    """Check versions, frameworks, file engines and disk; exit code 5 if something required is broken."""
    console = Console(json=json)
    probes = {name: code for name, code in _PROBES.items() if not (quick and name in _IMPORT_HEAVY)}
    console.note(f"doctor: {len(probes)} checks" + ("" if quick else ", some seconds for the frameworks"))
    checks = {"packages": _packages(), **_probe_all(probes), "zarr": _zarr(), "run folder": _run_folder()}
    broken = [name for name, check in checks.items() if not check["ok"]]
    report = {"machine": _machine(), "checks": checks, "broken": broken, "quick": quick}
    console.emit(report)
    _print(console, report)
    if broken:
        raise typer.Exit(code=5)


def _print(console: Console, report: dict[str, Any]) -> None:
    console.table(("machine", ""), [(key, value) for key, value in report["machine"].items()])
    console.result()
    packages = report["checks"]["packages"]["found"]
    console.table(("package", "version"), list(packages.items()))
    console.result()
    rows = [
        (name, "ok" if check["ok"] else "BROKEN", _words(check["found"]))
        for name, check in report["checks"].items()
        if name != "packages"
    ]
    console.table(("check", "state", "found"), rows)
    for name in report["broken"]:
        check = report["checks"][name]
        found = check["found"] if name != "packages" else [n for n, v in check["found"].items() if v == "missing"]
        hint = _HINTS.get(name, check.get("hint", ""))
        console.warn(f"{name}: {_words(found)}" + (f"; {hint}" if hint else ""))
    console.result()
    console.result("ready" if not report["broken"] else f"not ready: {', '.join(report['broken'])}")


def _words(found: Any) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{key} {_words(value)}" for key, value in found.items())
    return " / ".join(map(str, found)) if isinstance(found, list) else str(found)


def _machine() -> dict[str, str]:
    usage = shutil.disk_usage(".")
    # A container may be given fewer processors than the machine has.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "sciml": version("sciml"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "processors": f"{usable} of {os.cpu_count()}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}",
        "memory": _memory(),
        "disk": f"{usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free here",
    }


def _memory() -> str:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        free, total = os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
    except (ValueError, OSError):  # macOS does not tell the free pages
        return "unknown"
    return f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"


def _packages() -> dict[str, Any]:
    found, missing = {}, []
    for requirement in requires("sciml") or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0]
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
            missing.append(name)
    hint = f"pip install {' '.join(missing)}" if missing else ""
    return {"ok": not missing, "found": found, "hint": hint}


def _zarr() -> dict[str, Any]:
    try:
        return {"ok": True, "found": version("zarr")}
    except PackageNotFoundError:
        return {"ok": True, "found": "not installed; needed for Zarr folders only: pip install 'sciml[zarr]'"}


def _run_folder() -> dict[str, Any]:
    folder = Path("runs") if Path("runs").is_dir() else Path(".")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return {"ok": True, "found": f"writable: {folder.absolute()}"}
    except OSError as error:
        hint = "change to a writable folder, or use --out"
        return {"ok": False, "found": f"cannot write into {folder.absolute()}: {error.strerror}", "hint": hint}


def _probe_all(probes: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Run all probes at once, each in its own process."""
    started = {}
    for name, code in probes.items():
        source = f"import json\n{code}\nprint(json.dumps(found))"
        started[name] = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    return {name: _outcome(process) for name, process in started.items()}


def _outcome(process: subprocess.Popen) -> dict[str, Any]:
    try:
        out, err = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"ok": False, "found": f"no answer within {_SECONDS} s"}
    if process.returncode < 0:
        return {"ok": False, "found": f"the process crashed with signal {-process.returncode}"}
    if process.returncode > 0:
        lines = err.strip().splitlines()
        return {"ok": False, "found": lines[-1] if lines else f"exit code {process.returncode}"}
    return {"ok": True, "found": json_module.loads(out.strip().splitlines()[-1])}
