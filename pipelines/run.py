"""The run folder: everything needed to understand, repeat and continue one run.

    runs/<pipeline>-<verb>/<UTC stamp>-<4 hex>/
        settings.toml      resolved settings; `-c settings.toml` repeats the run
        environment.json   command line, versions, commit, device, seeds, fingerprints of the inputs
        status.json        running | stopped | failed | finished
        metrics.jsonl      one JSON object a line
        log.txt            one message a line, UTC
        checkpoints/       <name>.safetensors with a JSON header: no pickle is ever executed

Convention: a file is written to `<file>.tmp`, flushed to disk and renamed, so that a reader sees the old one or the
new one; only metrics.jsonl and log.txt are appended to, and may end in a torn line after a crash.
"""

import json
import os
import platform
import secrets
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from sciml.pipelines.checkpoint import load_tensors, plain, save_tensors, write_atomic
from sciml.pipelines.errors import DataError, SettingsError, Stopped
from sciml.pipelines.provenance import environment, fingerprint
from sciml.pipelines.settings import dump, load

STATES = ("running", "stopped", "failed", "finished")
_REQUIRED = ("settings.toml", "environment.json", "status.json")
# These say where a run lives, not what it computes: repeating them would write into the old folder.
_NOT_REPEATED = ("out", "resume")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Run:
    """One run folder; safe to use from several threads of one process."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(
        cls,
        pipeline: str,
        verb: str,
        settings: Any,
        *,
        out: Path | None = None,
        inputs: Mapping[str, Path] | None = None,
        device: str = "cpu",
        seeds: Iterable[int] = (),
    ) -> "Run":
        """Make a new folder under runs/, or at `out`, and write settings, environment and status.

        Raises SettingsError if `out` holds something already, DataError if an input is missing or the folder cannot
        be made.
        """
        facts = environment(inputs or {}, device=device, seeds=seeds)
        text = dump(settings, leave_out=_NOT_REPEATED)
        run = cls(_new_folder(pipeline, verb, out))
        write_atomic(run.path / "settings.toml", text.encode())
        run.write_json("environment.json", {"pipeline": pipeline, "verb": verb, **facts})
        run.set_status("running", started=facts["created"])
        return run

    @classmethod
    def resume(cls, path: Path) -> "Run":
        """Open an existing run to continue it: removes what a crash left half written.

        Raises DataError, naming what is missing, if `path` is not a run folder.
        """
        path = Path(path)
        if not path.is_dir():
            raise DataError(f"{path}: no such run folder", hint="list the runs with: sciml runs list")
        missing = [name for name in _REQUIRED if not (path / name).is_file()]
        if missing:
            raise DataError(
                f"{path}: not a run folder, it has no {', '.join(missing)}", hint="list the runs with: sciml runs list"
            )
        for leftover in path.rglob("*.tmp"):
            if leftover.is_file():
                leftover.unlink()
        run = cls(path)
        run._drop_torn_line()
        return run

    @property
    def name(self) -> str:
        """<pipeline>-<verb>/<folder>, the way `sciml runs` shows it."""
        return f"{self.path.resolve().parent.name}/{self.path.resolve().name}"

    def settings(self) -> dict[str, Any]:
        """The settings of the run as they stand in settings.toml: values that are None are absent."""
        return load(self.path / "settings.toml")

    def environment(self) -> dict[str, Any]:
        """What environment.json says, or an empty dict."""
        return self.read_json("environment.json") or {}

    def status(self) -> dict[str, Any]:
        """What status.json says, or an empty dict."""
        return self.read_json("status.json") or {}

    def check_inputs(self) -> None:
        """DataError, naming the file, if an input of the run has changed since: it could not be continued exactly."""
        for seen in self.environment().get("inputs", {}).values():
            if fingerprint(Path(seen["path"]))["sha256"] != seen["sha256"]:
                raise DataError(
                    f"{seen['path']}: has changed since {self.path} began, which could not continue exactly",
                    hint="restore the file, or start a new run without --resume",
                )

    def set_status(self, state: str, **fields: object) -> None:
        """Record the state and any fields, such as epoch=3; fields set before are kept."""
        if state not in STATES:
            raise ValueError(f'state "{state}" is not one of {", ".join(STATES)}')
        with self._lock:
            self.write_json("status.json", {**self.status(), "state": state, "updated": _now(), **_process(), **fields})

    def log(self, message: str) -> None:
        """Append a line to log.txt; newlines inside the message become spaces."""
        with self._lock, open(self.path / "log.txt", "a", encoding="utf-8") as file:
            file.write(f"{_now()} {' '.join(str(message).split())}\n")

    def metrics(self, **row: object) -> None:
        """Append one row to metrics.jsonl; NaN and infinity are written as null."""
        line = json.dumps(plain(row), allow_nan=False) + "\n"
        with self._lock, open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(line)

    def read_metrics(self) -> list[dict[str, Any]]:
        """All rows; a last line torn by a crash is ignored, a bad line before it is a DataError."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        lines = path.read_bytes().split(b"\n")
        rows = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except ValueError:
                if number < len(lines):
                    raise DataError(f"{path}: line {number} is not JSON") from None
        return rows

    def keep_metrics(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the rows that `keep` refuses: on resume, those written after the checkpoint that is continued from."""
        with self._lock:
            rows = [row for row in self.read_metrics() if keep(row)]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            write_atomic(self.path / "metrics.jsonl", text.encode())

    def _drop_torn_line(self) -> None:
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            write_atomic(path, data[:whole])

    def save(self, name: str, tensors: Mapping[str, Any], header: Mapping[str, Any]) -> Path:
        """Write checkpoints/<name>.safetensors and return its path; the old one stays until the new one is whole."""
        path = self.path / "checkpoints" / f"{name}.safetensors"
        with self._lock:
            path.parent.mkdir(exist_ok=True)
            save_tensors(path, tensors, header)
        return path

    def load(self, name: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """(tensors, header) of a checkpoint, or None if the run has none of that name."""
        path = self.path / "checkpoints" / f"{name}.safetensors"
        return load_tensors(path) if path.exists() else None

    def write_json(self, name: str, value: Any) -> None:
        """Write `name`, e.g. results.json, atomically; NaN and infinity are written as null."""
        text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
        with self._lock:
            write_atomic(self.path / name, (text + "\n").encode())

    def read_json(self, name: str) -> Any:
        """The contents of `name`, or None if there is no such file; DataError if it is not JSON."""
        path = self.path / name
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: not JSON ({error})") from None


def find_runs(root: Path = Path("runs")) -> list[Run]:
    """Every run folder at `root` or up to two levels below it, oldest first."""
    found = {path.parent for pattern in ("", "*/", "*/*/") for path in Path(root).glob(f"{pattern}status.json")}
    runs = [Run(path) for path in found if all((path / name).is_file() for name in _REQUIRED)]
    return sorted(runs, key=lambda run: (_started(run), run.name))


def _started(run: Run) -> str:
    try:
        return str(run.status().get("started", ""))
    except (DataError, AttributeError):
        return ""


class StopRequests:
    """Holds back SIGINT and SIGTERM inside a `with`: the loop finishes its step, saves, and calls `check`.

    A second SIGINT interrupts at once. Outside the main thread no handler is installed and `signum` stays None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._old: dict[int, object] = {}

    def __enter__(self) -> "StopRequests":
        # Python lets only the main thread install handlers.
        if threading.current_thread() is threading.main_thread():
            self._old = {number: signal.signal(number, self._requested) for number in _SIGNALS}
        return self

    def __exit__(self, kind, error, traceback) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._old = {}

    def _requested(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signum is None:
            self.signum = signum

    def check(self, message: str, *, hint: str = "") -> None:
        """Raise Stopped if a signal has come; `message` says where the run stands, `hint` how to go on."""
        if self.signum is not None:
            raise Stopped(self.signum, message, hint=hint)


def check_unchanged(old: Mapping[str, Any], new_given: Mapping[str, Any], may_change: Iterable[str]) -> None:
    """A resumed run keeps its settings: SettingsError that prints each difference, except those in `may_change`.

    `old` is what Run.settings() returned, `new_given` the options typed now.
    """
    allowed = set(may_change)
    differing = {
        key: (old.get(key), _as_stored(value))
        for key, value in new_given.items()
        if key not in allowed and not _same(old.get(key), _as_stored(value))
    }
    if not differing:
        return
    lines = [f"  --{key.replace('_', '-')}: the run has {a}, now {b}" for key, (a, b) in differing.items()]
    can = ", ".join("--" + name.replace("_", "-") for name in sorted(allowed)) or "nothing"
    raise SettingsError(
        "a resumed run keeps its settings; these differ:\n" + "\n".join(lines),
        hint=f"leave them out, or start a new run with --init-from; on resume may change: {can}",
    )


def _as_stored(value: Any) -> Any:
    """A setting as TOML gives it back."""
    if isinstance(value, tuple | list):
        return [_as_stored(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _same(old: Any, new: Any) -> bool:
    return old == new or new is None and old == "none"


def _new_folder(pipeline: str, verb: str, out: Path | None) -> Path:
    if out is not None:
        out = Path(out)
        if out.is_file() or out.is_dir() and any(out.iterdir()):
            raise SettingsError(
                f"{out}: holds something already, and a run is never overwritten",
                hint=f"continue that run with --resume {out}, or choose another --out",
            )
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            return out
        while True:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            path = Path("runs") / f"{pipeline}-{verb}" / f"{stamp}-{secrets.token_hex(2)}"
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path
    except OSError as error:
        where = out if out is not None else Path("runs").absolute()
        raise DataError(
            f"cannot make the run folder {where}: {error.strerror}", hint="choose a writable folder with --out"
        ) from None


def _process() -> dict[str, Any]:
    """Who writes the status: `sciml runs` tells a killed run from a living one by it."""
    return {"pid": os.getpid(), "host": platform.node()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
