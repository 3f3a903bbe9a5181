"""The page of a rollout, drawn from a run folder that was written by hand."""

import re
from dataclasses import replace

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.output.files import Layout, open_output
from sciml.pipelines.gcm.report import page
from sciml.pipelines.gcm.report.page import redraw, result_rows, write_report
from sciml.pipelines.gcm.settings import Rollout
from sciml.pipelines.run import Run

LONGITUDE, LATITUDE = np.arange(16) * 22.5, np.linspace(-80, 80, 8)
PRIMITIVE = ("temperature", "u_component_of_wind", "v_component_of_wind", "surface_pressure")


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    monkeypatch.setattr(page, "DPI", 30)


def a_run(folder, *, case="baroclinic_wave", kind="primitive", variables=PRIMITIVE, members=1, forced=False, **changes):
    """A finished run with five frames a day apart."""
    levels = {"pressures": (250.0, 500.0, 850.0)} if kind == "primitive" else {}
    layout = Layout(
        tuple(variables), LONGITUDE, LATITUDE, np.datetime64("2000-01-01T00"), 86400, 5, members=members, **levels
    )
    layout = replace(layout, **changes)
    run = Run.create("gcm", "rollout", Rollout(), out=folder, device="cpu", seeds=[0])
    output = open_output(run.path / "rollout.nc", layout)
    output.create()
    rng = np.random.default_rng(0)
    for frame in range(5):
        output.append({name: 280 + rng.normal(size=layout.shape(name)) for name in layout.variables})
        facts = {"mass": 1.0 + 1e-9 * frame, "energy": 2.0 - 1e-5 * frame, "max_wind": 30.0 + frame}
        if kind == "primitive":
            facts |= {"temperature_min": 200.0, "temperature_max": 300.0, "mean_surface_pressure": 1e5}
            facts |= {"surface_pressure_min": 94000.0, "surface_pressure_max": 102000.0}
        run.metrics(frame=frame, day=float(frame), **facts)
    output.finish()
    results = {
        "title": f"{case.replace('_', ' ')}, T21", "equations": "some equations", "case": case, "kind": kind, "days": 4.0,
        "frames": 5, "every_hours": 24.0, "steps": 192, "step_seconds": 1800.0, "scheme": "imex_rk_sil3",
        "precision": "float32", "device": "cpu", "members": members, "seed": 0, "forced": forced, "start": "2000-01-01T00",
        "variables": list(layout.variables), "report_frames": [1, 2, 3, 4], "output": str(output.path),
        "seconds": {"total": 3.0, "compile": 1.0, "integration": 2.0}, "simulated_years_per_day": 120.0,
        "drift": {"mass": 4e-9, "energy": -4e-5},
        "conserved": {"mass": "mass", "energy": "energy"}, "last": run.read_metrics()[-1], "extremes": {"max_wind": 34.0},
        "spectra": [{"day": 4.0, "kinetic_energy": list(np.exp(-np.arange(22.0)))}],
    }  # fmt: skip
    run.write_json("results.json", results)
    run.set_status("finished")
    return run, results


def pictures(run) -> list[str]:
    return sorted(path.stem for path in (run.path / "report").glob("*.png"))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["globe", "series", "spectra", "wave", "zonal"]),
        ({"case": "rest"}, ["maps", "series", "spectra", "zonal"]),
        ({"case": "held_suarez", "forced": True}, ["maps", "series", "spectra", "zonal"]),
        (
            {"case": "williamson5", "kind": "shallow_water", "variables": ("height", "vorticity")},
            ["maps", "series", "spectra"],
        ),
        ({"members": 3}, ["globe", "series", "spectra", "spread", "wave", "zonal"]),
        ({"case": "a.nc", "variables": ("u_component_of_wind", "v_component_of_wind")}, ["maps", "series", "spectra"]),
        ({"case": "a.nc", "variables": ("vorticity",)}, ["series", "spectra"]),
        ({"pressures": None, "sigma": (0.2, 0.5, 0.9)}, ["globe", "series", "spectra", "wave", "zonal"]),
    ],
    ids=lambda x: str(x)[:30],
)
def test_the_page_shows_what_the_file_allows(tmp_path, given, names):
    run, results = a_run(tmp_path / "run", **given)
    page = write_report(run, results)
    assert pictures(run) == names
    text = page.read_text()
    assert text.count("data:image/png;base64,") == len(names) and 'src="http' not in text and "<script" not in text
    assert f"sciml gcm rollout -c {run.path}/settings.toml" in text and results["title"] in text
    assert not list(run.path.rglob("*.tmp"))


def test_names_from_files_are_text_on_the_page(tmp_path):
    run, results = a_run(tmp_path / "run")
    text = write_report(run, results | {"title": "<b>& co"}).read_text()
    assert "<b>& co" not in text and "&lt;b&gt;&amp; co" in text


def test_the_newest_run_of_a_folder_is_drawn_again(tmp_path):
    a_run(tmp_path / "runs/gcm-rollout/20260101T000000Z-aaaa")
    run, _ = a_run(tmp_path / "runs/gcm-rollout/20260102T000000Z-aaaa")
    assert redraw(tmp_path / "runs/gcm-rollout") == run.path / "report" / "index.html"


def test_a_run_that_was_moved_is_still_drawn(tmp_path):
    run, _ = a_run(tmp_path / "run")
    run.path.rename(tmp_path / "moved")
    assert redraw(tmp_path / "moved").is_file()


def test_what_cannot_be_drawn(tmp_path):
    with pytest.raises(DataError, match="no such run") as caught:
        redraw(tmp_path / "nothing")
    assert "sciml gcm rollout" in caught.value.hint
    run, results = a_run(tmp_path / "run")
    (run.path / "rollout.nc").unlink()
    with pytest.raises(DataError, match="frames are gone"):
        redraw(run.path)
    (run.path / "results.json").write_text("[]")
    with pytest.raises(DataError, match="not the results"):
        redraw(run.path)
    (run.path / "results.json").unlink()
    with pytest.raises(DataError, match="needs a finished run") as caught:
        redraw(run.path)
    assert f"--resume {run.path}" in caught.value.hint


def test_the_numbers_in_words(tmp_path):
    _, results = a_run(tmp_path / "run")
    rows = dict(result_rows(results))
    assert rows["speed"] == "120.0 simulated years per day" and rows["steps"] == "192 of 30 min, imex_rk_sil3"
    assert rows["surface pressure"].startswith("940.00 to 1020.00 hPa") and re.match(r"\+4e-07 %", rows["mass drift"])
