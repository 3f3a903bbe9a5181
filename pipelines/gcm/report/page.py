"""The page of a `gcm rollout`: maps, spectra, conservation and settings in one HTML file.

Convention: report/index.html holds its pictures itself and asks the network for nothing; the same pictures lie beside it
as PNG. Everything is read from the run folder and from the file of frames, so that it can be drawn again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sciml.pipelines import page
from sciml.pipelines.errors import DataError
from sciml.pipelines.run import Run

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
    "z500": "Contours every 8 dam at all lead times.",
    "t850": "Contours every 5 K at all lead times; below the ground of high mountains the values are extrapolated.",
    "q700": "",
    "p_minus_e": "From the column's budget of vapour and cloud water under the learned tendencies, at the instant. Green: it "
    "rains more than evaporates. Classes double from one to the next.",
    "global_means": "Means over the sphere; of an ensemble over the members that go on.",
}
_TITLES = {
    "wave": "The wave", "maps": "Maps", "globe": "Pole to pole", "spread": "Spread of the ensemble",
    "z500": "500 hPa geopotential height", "t850": "850 hPa temperature", "q700": "700 hPa specific humidity",
    "p_minus_e": "Precipitation minus evaporation", "global_means": "Global means",
    "spectra": "Spectra", "series": "Conservation and extremes", "zonal": "Zonal means",
}  # fmt: skip


def redraw(folder: Path) -> Path:
    """Draw the page of a run again; `folder` is a run, or a folder of runs (the newest one with results is taken).

    Raises DataError if there is no such run, or its frames are gone.
    """
    path, results = page.newest(
        folder,
        "gcm rollout",
        "sciml gcm rollout --days 10",
        lambda found: found.keys() >= {"case", "output", "spectra"},
    )
    # a run folder that was moved took its frames along
    places = (Path(results["output"]), path / Path(results["output"]).name)
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise DataError(f"{places[0]}: the run's frames are gone, and its maps with them", hint="put the file back")
    return write_report(Run(path), results | {"output": str(found)})


def write_report(run: Run, results: Mapping[str, Any]) -> Path:
    """Write report/index.html and its pictures into the run folder; returns the page."""
    from .pictures import draw_all

    pictures = page.as_png(draw_all(results, run.read_metrics()), DPI)
    return page.write(run.path, _page(run, results, pictures), pictures)


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
    if "parameters" in results:
        rows.append(("parameters", f"{results['parameters']:,}"))
    rows += [(f"{name.replace('_', ' ')} drift", f"{100 * value:+.2g} %") for name, value in drift.items()]
    if results["members"] > 1:
        rows.append(("members", f"{results['members']}, seed {results['seed']}"))
    for member, about in results.get("lost_members", {}).items():
        rows.append((f"member {member} lost", f"by day {about['day']:.4g}, {about['date']}: {about['why']}"))
    rows += [(f"{period} means", path) for period, path in results.get("means", {}).items()]
    rows += [("state at the end", results["state"])] if "state" in results else []
    return rows


def _page(run: Run, results: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    span = f"{results['days']:g} day{'' if results['days'] == 1 else 's'}"
    about = (
        f"{results['equations']}; {span} from {results['start'].replace('T', ' ')[:16]} UTC; "
        f"{results['precision']} on {results['device']}."
    )
    parts = [
        page.heading(results["title"], 1),
        page.paragraph(about, "sub"),
        page.table(("quantity", "value"), result_rows(results), long=(1,)),
    ]
    for name in pictures:
        parts += [page.heading(_TITLES[name]), page.picture(pictures, name, _TITLES[name], _caption(name, results))]
    return page.whole(results["title"], [*parts, _file(results), page.repeat(run.path, "gcm rollout")])


def _caption(name: str, results: Mapping[str, Any]) -> str:
    symmetric = name == "spectra" and results["case"] in ("baroclinic_wave", "steady_state")
    return CAPTIONS[name] + (_SYMMETRIC if symmetric else "")


def _file(results: Mapping[str, Any]) -> str:
    path = results["output"]
    comment = "  # needs zarr" if path.endswith("zarr") else ""
    return (
        page.heading("The frames")
        + page.paragraph(f"{results['frames']} frames of {', '.join(results['variables'])} in {path}.")
        + page.verbatim(f'import xarray\nds = xarray.open_dataset("{path}"){comment}\n')
    )
