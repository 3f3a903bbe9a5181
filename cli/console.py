"""What a command prints: results on stdout, progress on stderr.

Progress is a Rich bar on a terminal, one plain line per 30 s in a log, nothing when quiet. Tables are drawn on a
terminal and are aligned plain text, never cut, in a pipe. With --json stdout carries one JSON object and nothing else.
"""

import json
import os
import sys
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any

from sciml.pipelines import progress

LINE_SECONDS = 30.0
_RATE_SECONDS = 30.0  # the rate is over this window, so that it follows a change of speed


class Console(progress.Progress):
    """Implements pipelines.progress.Progress for people, logs and programs."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        json: bool = False,
        verbose: bool = False,
        out: IO[str] | None = None,
        err: IO[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.quiet, self.json, self.verbose = quiet, json, verbose
        self.out = out if out is not None else sys.stdout
        self.err = err if err is not None else sys.stderr
        self.clock = clock
        self._lock = threading.RLock()
        self._bars: Any = None
        self._open_tasks = 0

    # --- stdout: results

    def result(self, text: str = "") -> None:
        """A line of the result; nothing with --json."""
        if not self.json:
            print(printable(text, newlines=True), file=self.out)

    def emit(self, value: Mapping[str, Any]) -> None:
        """The one JSON object of --json; nothing without it. NaN and infinity become null."""
        if self.json:
            print(json_text(value), file=self.out)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
        """A table of the result; nothing with --json. Numbers are right aligned."""
        if self.json:
            return
        cells = [[_cell(value) for value in row] for row in rows]
        right = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(columns))]
        if is_terminal(self.out):
            self._rich_table(columns, cells, right, title)
            return
        if title:
            print(printable(title), file=self.out)
        for line in _aligned([list(columns), *cells], right):
            print(line, file=self.out)

    def _rich_table(self, columns: Sequence[str], cells: list[list[str]], right: list[bool], title: str) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title) if title else None, title_justify="left")
        for name, is_right in zip(columns, right, strict=True):
            table.add_column(Text(name), justify="right" if is_right else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        _rich_console(self.out).print(table)

    # --- stderr: progress

    def note(self, text: str) -> None:
        if not self.quiet:
            self._say(text)

    def detail(self, text: str) -> None:
        """A note for -v only."""
        if self.verbose and not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """A warning; also shown when quiet."""
        self._say(f"warning: {text}", style="yellow")

    def task(self, name: str, total: float, unit: str) -> progress.Task:
        if self.quiet:
            return progress.Task()
        kind = _Bar if is_terminal(self.err) else _Lines
        return kind(self, printable(name), total, unit)

    def _say(self, text: str, style: str | None = None) -> None:
        text = printable(text, newlines=True)
        with self._lock:
            if is_terminal(self.err):
                console = self._bars.console if self._bars is not None else _rich_console(self.err)
                console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=self.err, flush=True)

    def _acquire_bars(self) -> Any:
        """The one live display all open tasks share."""
        with self._lock:
            if self._bars is None:
                self._bars = _rich_progress(self.err)
                self._bars.start()
            self._open_tasks += 1
            return self._bars

    def _release_bars(self) -> None:
        with self._lock:
            self._open_tasks -= 1
            if self._open_tasks == 0:
                self._bars.stop()
                self._bars = None


class _Measured(progress.Task):
    """Counts what is done and how fast."""

    def __init__(self, console: Console, name: str, total: float, unit: str):
        self.console, self.name, self.total, self.unit = console, name, total, unit
        self.done = 0.0
        self.fields: dict[str, object] = {}
        self.start = console.clock()
        self._recent: deque[tuple[float, float]] = deque([(self.start, 0.0)])
        self._lock = threading.Lock()

    def advance(self, amount: float = 1, **fields: object) -> None:
        with self._lock:
            self.done += amount
            self.fields.update(fields)
            now = self.console.clock()
            self._recent.append((now, self.done))
            while len(self._recent) > 2 and now - self._recent[1][0] > _RATE_SECONDS:
                self._recent.popleft()
            self._show(now)

    def update(self, *, total: float | None = None, **fields: object) -> None:
        with self._lock:
            if total is not None:
                self.total = total
            self.fields.update(fields)
            self._show(self.console.clock())

    def _show(self, now: float) -> None:
        raise NotImplementedError  # pragma: no cover

    @property
    def rate(self) -> float:
        """Units per second over the recent window; 0 before the first advance."""
        (then, before), (now, after) = self._recent[0], self._recent[-1]
        return (after - before) / (now - then) if now > then else 0.0

    def pace(self) -> str:
        """'120 windows/s, eta 0:01:23', as far as known."""
        if self.rate <= 0:
            return ""
        left = max(self.total - self.done, 0) / self.rate
        eta = f", eta {_duration(left)}" if left > 0 else ""
        return f"{_rate(self.rate)} {self.unit}/s{eta}"

    def shown_fields(self) -> str:
        return "  ".join(f"{name} {_cell(value)}" for name, value in self.fields.items())


class _Lines(_Measured):
    """A log: a plain line at most every 30 s, and one at the end."""

    def __init__(self, console: Console, name: str, total: float, unit: str):
        super().__init__(console, name, total, unit)
        self._last = self.start

    def _show(self, now: float) -> None:
        if now - self._last >= LINE_SECONDS:
            self._last = now
            percent = f"{100 * self.done / self.total:.0f}%" if self.total else ""
            self._line(percent, f"{_cell(self.done)}/{_cell(self.total)} {self.unit}", self.pace())

    def __exit__(self, kind, error, traceback) -> None:
        seconds = self.console.clock() - self.start
        word = "done" if kind is None else "stopped"
        rate = f"{_rate(self.done / seconds)} {self.unit}/s" if seconds > 0 and self.done else ""
        self._line(word, f"{_cell(self.done)}/{_cell(self.total)} {self.unit} in {_duration(seconds)}", rate)

    def _line(self, *parts: str) -> None:
        self.console._say("  ".join(part for part in (self.name, *parts, self.shown_fields()) if part))


class _Bar(_Measured):
    """A terminal: a Rich bar that stays when the task ends."""

    def __init__(self, console: Console, name: str, total: float, unit: str):
        super().__init__(console, name, total, unit)
        self._bars = console._acquire_bars()
        self._id = self._bars.add_task(name, total=total, pace="", fields="")

    def _show(self, now: float) -> None:
        self._bars.update(self._id, completed=self.done, total=self.total, pace=self.pace(), fields=self.shown_fields())

    def __exit__(self, kind, error, traceback) -> None:
        self._bars.stop_task(self._id)
        self.console._release_bars()


def is_terminal(stream: IO[str]) -> bool:
    """Whether bars and boxes can be drawn on `stream`."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def json_text(value: Any) -> str:
    """Indented JSON; NaN and infinity, which JSON cannot say, become null."""
    from sciml.pipelines.checkpoint import plain

    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def printable(text: str, *, newlines: bool = False) -> str:
    """`text` without control characters: names come from files, and a terminal obeys what it is sent."""
    text = str(text).replace("\t", " ")
    return "".join(c if unicodedata.category(c)[0] != "C" or (newlines and c == "\n") else "�" for c in text)


def _rich_console(stream: IO[str]) -> Any:
    from rich.console import Console as RichConsole

    return RichConsole(file=stream, highlight=False)  # Rich itself honours NO_COLOR


def _rich_progress(stream: IO[str]) -> Any:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
        TextColumn("{task.fields[fields]}", markup=False),
        console=_rich_console(stream),
    )


def _aligned(rows: list[list[str]], right: list[bool]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(right))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return printable(str(value))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == "-"
    return True


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
