"""Pieces of a report page: one HTML file that holds its pictures itself, asks the network for nothing and runs no script.

All text is escaped here. Readable in light and dark, on a narrow screen and in print. The same pictures lie beside the page
as PNG; everything on it is read from the run folder, so that it can be drawn again at any time.
"""

from __future__ import annotations

import base64
import io
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from .checkpoint import write_atomic
from .errors import DataError
from .run import Run, find_runs

_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --paper: #fff; --soft: #5c5e6a; --line: #d9d9df; --row: #eef4fa;
  --good: #00795a; --bad: #b34700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6ea; --paper: #17181b; --soft: #a3a5b0; --line: #3a3c44;
  --row: #22303d; --good: #3cc79c; --bad: #ff9d5c; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 900px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; }
.verdict { border-left: 5px solid var(--soft); padding: .4rem 1rem; margin: 1rem 0; font-size: 1.08rem; }
.verdict.good { border-color: var(--good); }
.verdict.bad { border-color: var(--bad); }
.sub, figcaption, caption, .note { color: var(--soft); font-size: .9rem; }
figure { margin: 1.2rem 0; }
figure img { width: 100%; height: auto; background: #fff; border-radius: 4px; }
figure.narrow img { max-width: 460px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .8rem 0; font-size: .93rem;
  min-width: min(100%, 34rem); }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: .3rem; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: normal; }
td small { display: block; color: var(--soft); font-size: .82em; line-height: 1.2; }
th.text, td.text { text-align: left; }
td.long { text-align: left; white-space: normal; min-width: 15rem; }
tr.main { background: var(--row); }
tr.main th { font-weight: 600; }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 4px; padding: .7rem; font-size: .85rem; }
code { font-size: .92em; overflow-wrap: anywhere; }
summary { cursor: pointer; }
@media print { body { margin: 0; max-width: none; } figure, table { break-inside: avoid; } }
"""


def whole(title: str, parts: Iterable[str]) -> str:
    """The page of the sections."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>\n"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; kind: "", "note", "sub", "verdict good" ..."""
    mark = f' class="{escape(kind)}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>\n" if text else ""


def table(
    head: Sequence[str],
    body: Iterable[Sequence[object]],
    note: str = "",
    *,
    main: Sequence[bool] = (),
    text: Sequence[int] = (),
    long: Sequence[int] = (),
) -> str:
    """The first column names the row; columns in `text` hold words, those in `long` sentences; rows in `main` stand out.

    A cell (value, remark) has its remark in small type below the value.
    """
    side = [' class="long"' if n in long else ' class="text"' if n in text else "" for n in range(len(head))]
    rows = []
    for place, (name, *cells) in enumerate(body):
        mark = ' class="main"' if place < len(main) and main[place] else ""
        inner = "".join(f"<td{side[n]}>{_cell(cell)}</td>" for n, cell in enumerate(cells, start=1))
        rows.append(f'<tr{mark}><th scope="row">{escape(str(name))}</th>{inner}</tr>\n')
    if not rows:
        return ""
    words = {*text, *long}
    top = "".join(
        f'<th scope="col"{" class=" + chr(34) + "text" + chr(34) if n in words else ""}>{escape(name)}</th>'
        for n, name in enumerate(head)
    )
    start = f"<caption>{escape(note)}</caption>\n" if note else ""
    start += f"<thead><tr>{top}</tr></thead>\n"
    return f'<div class="wide"><table>{start}<tbody>\n{"".join(rows)}</tbody></table></div>\n'


def _cell(cell: object) -> str:
    if isinstance(cell, tuple):
        value, remark = cell
        return escape(str(value)) + (f"<small>{escape(str(remark))}</small>" if remark else "")
    return escape(str(cell))


def picture(
    pictures: Mapping[str, bytes], name: str, alternative: str, caption: str = "", *, narrow: bool = False
) -> str:
    """A PNG of `pictures` inside the page; nothing where there is none of this name."""
    if name not in pictures:
        return ""
    data = base64.b64encode(pictures[name]).decode()
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    mark = ' class="narrow"' if narrow else ""
    return f'<figure{mark}><img src="data:image/png;base64,{data}" alt="{escape(alternative)}">{below}</figure>\n'


def folded(title: str, inner: str) -> str:
    """Closed until it is opened; `inner` is HTML."""
    return f"<details><summary>{escape(title)}</summary>{inner}</details>\n"


def verbatim(text: str) -> str:
    """A command or a file, as it is."""
    return f"<pre>{escape(text)}</pre>\n"


def repeat(folder: Path, verb: str, command: str | None = None) -> str:
    """How to repeat the run `sciml <verb>`, with the settings and the versions it ran with."""
    stored, environment = Path(folder) / "settings.toml", Run(Path(folder)).environment()
    html = heading("Repeat this run") + verbatim(command or f"sciml {verb} -c {shlex.quote(str(stored))}")
    if environment.get("argv"):
        html += paragraph(f"It was started as: {shlex.join(['sciml', *environment['argv'][1:]])}", "note")
    if stored.is_file():
        html += folded("Settings", verbatim(stored.read_text(encoding="utf-8")))
    rows = list(environment.get("versions", {}).items())
    rows += [(name, environment[name]) for name in ("commit", "platform", "device", "created") if environment.get(name)]
    return html + (folded("Versions and machine", table(["name", "value"], rows, text=(1,))) if rows else "")


def as_png(figures: Mapping[str, Any], dpi: int) -> dict[str, bytes]:
    """PNG files of matplotlib figures; those that are None are left out."""
    made = {}
    for name, figure in figures.items():
        if figure is not None:
            file = io.BytesIO()
            figure.savefig(file, format="png", dpi=dpi, metadata={"Software": "sciml"})
            made[name] = file.getvalue()
    return made


def write(folder: Path, html: str, pictures: Mapping[str, bytes]) -> Path:
    """Write report/index.html and the pictures into the run folder; returns the page."""
    target = Path(folder) / "report"
    target.mkdir(parents=True, exist_ok=True)
    for name, data in pictures.items():
        write_atomic(target / f"{name}.png", data)
    write_atomic(target / "index.html", html.encode())
    return target / "index.html"


def newest(folder: Path, verb: str, first: str, fits: Callable[[dict], bool]) -> tuple[Path, dict[str, Any]]:
    """The run `folder`, or the newest finished run below it, and its results.

    verb: "kd fit"; first: the command that makes a run; fits: whether results.json is that of such a run. Raises DataError
    if there is none.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"{folder}: no such run", hint=f"make one: {first}")
    here = [folder] if (folder / "results.json").is_file() else []
    runs = here or [run.path for run in find_runs(folder) if (run.path / "results.json").is_file()]
    for path in sorted(runs, key=lambda path: path.name, reverse=True):
        results = Run(path).read_json("results.json")
        if isinstance(results, dict) and fits(results):
            return path, results
    if runs:
        raise DataError(f"{runs[0] / 'results.json'}: not the results of a `{verb}` run", hint="sciml runs list")
    unfinished = (folder / "status.json").is_file()
    raise DataError(
        f"{folder}: no results.json here or in a run below: a report needs a finished run, not an exported model",
        hint=f"finish it: sciml {verb} --resume {folder}" if unfinished else "sciml runs list",
    )
