"""Where a result comes from: command line, versions, commit, device, seeds, and fingerprints of the inputs.

A fingerprint is the SHA-256 of a file's bytes; of a folder (Zarr) it is the SHA-256 over its files' relative names and
fingerprints in sorted order.
"""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sciml.pipelines.errors import DataError

_PACKAGES = ("sciml", "numpy", "xarray", "h5netcdf", "torch", "jax", "flax", "optax", "timm", "onnx")


def environment(inputs: Mapping[str, Path], *, device: str, seeds: Iterable[int]) -> dict[str, Any]:
    """What environment.json holds; DataError if an input cannot be read. Imports no framework."""
    return {
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "argv": list(sys.argv),
        "folder": os.getcwd(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version(), **versions(_PACKAGES)},
        "commit": commit(),
        "device": str(device),
        "seeds": list(seeds),
        "inputs": {name: fingerprint(Path(path)) for name, path in inputs.items()},
    }


def versions(names: Iterable[str]) -> dict[str, str]:
    """Installed versions by package name; a package that is absent is left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The git commit of the sciml checkout, with "+changes" if files differ from it; None for an installed wheel."""
    root = Path(__file__).resolve().parent.parent
    # A wheel may be installed below somebody else's repository: only our own project file makes it our checkout.
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        return None
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return None
    return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def fingerprint(path: Path) -> dict[str, Any]:
    """{"path", "bytes", "sha256"} of a file or folder; DataError if it is missing or unreadable."""
    try:
        if not path.is_dir():
            return {"path": str(path), "bytes": path.stat().st_size, "sha256": _sha256(path)}
        files = sorted(inner for inner in path.rglob("*") if inner.is_file())
        total = hashlib.sha256()
        for inner in files:
            total.update(f"{inner.relative_to(path).as_posix()} {_sha256(inner)}\n".encode())
        size = sum(inner.stat().st_size for inner in files)
        return {"path": str(path), "bytes": size, "sha256": total.hexdigest()}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
