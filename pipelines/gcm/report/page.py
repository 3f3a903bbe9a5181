"""The page of a `gcm rollout`: maps, spectra, conservation and settings in one HTML file.

Convention: report/index.html holds its pictures itself and asks the network for nothing; the same pictures lie beside it
as PNG. Everything is read from the run folder and from the file of frames, so that it can be drawn again at any time.
"""

from __future__ import annotations

import base64
import io
import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from sciml.pipelines.checkpoint import write_atomic
from sciml.pipelines.errors import DataError
from sciml.pipelines.run import Run, find_runs

DPI = 150
_SYMMETRIC = " Even wavenumbers are almost empty until the wave has grown, because the initial jets are symmetric about the equator."
CAPTIONS = {
    "wave": "Northern hemisphere, where the perturbation of the jet grows into the wave of Jablonowski and Williamson "
    "(2006, figures 5 and 6). The scale of each map follows its own range.",
    "maps": "The scale of each map follows its own range.",
    "globe": "The last frame of the maps above, pole to pole.",
    "spread": "Standard deviation over the members.",
    "spectra": "Kinetic energy of the rotational and divergent wind per total wavenumber, mean over the atmosphere's mass. "
    "Dashed: slopes of two-dimensional and of three-dimensional turbulence.",
    "series": "Mass and energy relative to the first frame: without forcing both would stay if nothing were discretised.",
    "zonal": "",
}
_TITLES = {
    "wave": "The wave", "maps": "Maps", "globe": "Pole to pole", "spread": "Spread of the ensemble",
    "spectra": "Spectra", "series": "Conservation and extremes", "zonal": "Zonal means",
}  # fmt: skip
_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --paper: #fff; --soft: #667; --line: #d9d9df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6ea; --paper: #17181b; --soft: #a3a5b0; --line: #3a3c44; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 900px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
.sub, figcaption { color: var(--soft); font-size: .9rem; }
figure { margin: 1.2rem 0; }
figure img { width: 100%; height: auto; background: #fff; border-radius: 4px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .8rem 0; font-size: .93rem; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: left; }
th { font-weight: normal; padding-left: .3rem; }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 4px; padding: .7rem; font-size: .85rem; }
code { font-size: .92em; overflow-wrap: anywhere; }
summary { cursor: pointer; }
@media print { body { margin: 0; max-width: none; } figure, table { break-inside: avoid; } }
"""


def redraw(folder: Path) -> Path:
    """Draw the page of a run again; `folder` is a run, or a folder of runs (the newest one with results is taken).

    Raises DataError if there is no such run, or its frames are gone.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"{folder}: no such run", hint="make one: sciml gcm rollout --days 10")
    here = [folder] if (folder / "results.json").is_file() else []
    runs = here or [run.path for run in find_runs(folder) if (run.path / "results.json").is_file()]
    if not runs:
        unfinished = (folder / "status.json").is_file()
        raise DataError(
            f"{folder}: no results.json here or in a run below: a report needs a finished run",
            hint=f"finish it: sciml gcm rollout --resume {folder}" if unfinished else "sciml runs list",
        )
    run = Run(max(runs, key=lambda path: path.name))
    results = run.read_json("results.json")
    if not isinstance(results, dict) or not {"case", "output", "spectra"} <= results.keys():
        raise DataError(f"{run.path / 'results.json'}: not the results of a `gcm rollout` run")
    # a run folder that was moved took its frames along
    places = (Path(results["output"]), run.path / Path(results["output"]).name)
    found = next((path for path in places if path.exists()), None)
    if found is None:
        raise DataError(f"{places[0]}: the run's frames are gone, and its maps with them", hint="put the file back")
    return write_report(run, results | {"output": str(found)})


def write_report(run: Run, results: Mapping[str, Any]) -> Path:
    """Write report/index.html and its pictures into the run folder; returns the page."""
    from .pictures import draw_all

    target = run.path / "report"
    target.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for name, figure in draw_all(results, run.read_metrics()).items():
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": "sciml"})
        pictures[name] = file.getvalue()
        write_atomic(target / f"{name}.png", pictures[name])
    page = target / "index.html"
    write_atomic(page, _page(run, results, pictures).encode())
    return page


def result_rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The numbers of a run in words, for the page and the terminal."""
    seconds, drift, last = results["seconds"], results["drift"], results["last"]
    rows = [
        ("speed", f"{results['simulated_years_per_day']:,.1f} simulated years per day"),
        ("time", f"{seconds['total']:.1f} s, of which compiling {seconds['compile']:.1f} s, "
                 f"integrating {seconds['integration']:.1f} s"),
        ("steps", f"{results['steps']:,} of {results['step_seconds'] / 60:g} min, {results['scheme']}"),
        ("frames", f"{results['frames']} every {results['every_hours']:g} h"),
        ("largest wind", f"{last['max_wind']:.1f} m s-1 at the end, {results['extremes']['max_wind']:.1f} at most"),
    ]  # fmt: skip
    if "temperature_min" in last:
        rows.append(("temperature", f"{last['temperature_min']:.1f} to {last['temperature_max']:.1f} K"))
    if "surface_pressure_min" in last:
        low, high = last["surface_pressure_min"] / 100, last["surface_pressure_max"] / 100
        rows.append(
            ("surface pressure", f"{low:.2f} to {high:.2f} hPa, mean {last['mean_surface_pressure'] / 100:.3f}")
        )
    rows += [(f"{name.replace('_', ' ')} drift", f"{100 * value:+.2g} %") for name, value in drift.items()]
    if results["members"] > 1:
        rows.append(("members", f"{results['members']}, seed {results['seed']}"))
    return rows


def _page(run: Run, results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    title = results["title"]
    about = (
        f"{results['equations']}; {results['days']:g} days from {results['start'].replace('T', ' ')[:16]} UTC; "
        f"{results['precision']} on {results['device']}."
    )
    parts = [f'<h1>{escape(title)}</h1>\n<p class="sub">{escape(about)}</p>\n', _table(result_rows(results))]
    parts += [f"<h2>{_TITLES[name]}</h2>\n{_picture(data, name, results)}" for name, data in pictures.items()]
    parts += [_file(results), _settings(run)]
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _picture(data: bytes, name: str, results: Mapping[str, Any]) -> str:
    coded = base64.b64encode(data).decode()
    caption = CAPTIONS[name]
    if name == "spectra" and results["case"] in ("baroclinic_wave", "steady_state"):
        caption += _SYMMETRIC
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img src="data:image/png;base64,{coded}" alt="{escape(_TITLES[name])}">{below}</figure>\n'


def _table(rows: Iterable[Sequence[object]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(str(value))}</td></tr>\n' for name, value in rows
    )
    return f'<div class="wide"><table><tbody>\n{body}</tbody></table></div>\n'


def _file(results: Mapping[str, Any]) -> str:
    path = results["output"]
    opened = f'import xarray\nds = xarray.open_dataset("{path}")' + (
        "  # needs zarr\n" if path.endswith("zarr") else "\n"
    )
    return (
        f"<h2>The frames</h2>\n<p>{results['frames']} frames of {escape(', '.join(results['variables']))} in "
        f"<code>{escape(path)}</code>.</p>\n<pre>{escape(opened)}</pre>\n"
    )


def _settings(run: Run) -> str:
    """How to repeat the run, with the settings and the versions it ran with."""
    stored, environment = run.path / "settings.toml", run.environment()
    page = f"<h2>Repeat this run</h2>\n<pre>sciml gcm rollout -c {escape(shlex.quote(str(stored)))}</pre>\n"
    typed = environment.get("argv", [])
    if typed:
        page += f"<p>It was started as <code>{escape(shlex.join(['sciml', *typed[1:]]))}</code>.</p>\n"
    if stored.is_file():
        text = escape(stored.read_text(encoding="utf-8"))
        page += f"<details><summary>Settings</summary><pre>{text}</pre></details>\n"
    rows = list(environment.get("versions", {}).items())
    rows += [(name, environment[name]) for name in ("commit", "platform", "device", "created") if environment.get(name)]
    return page + f"<details><summary>Versions and machine</summary>{_table(rows)}</details>\n"
