"""Settings of a rollout: what follows from them, and what is refused with which words."""

from dataclasses import replace
from pathlib import Path

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.settings import CASES, VARIABLES, Rollout
from sciml.pipelines.settings import dump, resolve


def test_the_defaults_are_the_jablonowski_williamson_wave():
    s = Rollout()
    assert (s.days, s.initial, s.truncation, s.levels) == (10.0, "baroclinic_wave", "T42", 24)
    assert s.step_seconds == 1800 and s.interval_hours == 6 and s.intervals == 40
    assert s.report_frames == (4, 20, 32, 40)  # days 1, 5, 8, 10
    assert s.kind == "primitive" and not s.forced and not s.is_file


@pytest.mark.parametrize(
    ("truncation", "seconds"),
    [("T21", 1800), ("T42", 1800), ("T85", 900), ("T170", 450), ("TL63", 1200), ("TL255", 300)],
)
def test_the_automatic_step_shrinks_with_the_truncation(truncation, seconds):
    assert Rollout(truncation=truncation).step_seconds == seconds


@pytest.mark.parametrize("every", [0.25, 0.5, 1, 3, 6, 7, 12, 24])
@pytest.mark.parametrize("truncation", ["T21", "T42", "T63", "T106", "TL127"])
def test_the_automatic_step_divides_the_output_interval(truncation, every):
    s = Rollout(truncation=truncation, every_hours=every, days=7)
    assert s.steps_per_interval * s.step_seconds == pytest.approx(every * 3600)
    assert s.step_seconds <= 60 * s.auto_minutes() + 1e-6 and s.step_seconds == int(s.step_seconds)


def test_long_runs_write_a_frame_a_day():
    assert Rollout(days=1000, initial="held_suarez").interval_hours == 24
    assert Rollout(days=0.125).interval_hours == 3 and Rollout(days=0.125).intervals == 1


def test_long_runs_keep_their_mass():
    assert not Rollout().fixes_mass and Rollout(days=30).fixes_mass
    assert Rollout(fix_mass=True).fixes_mass and not Rollout(days=30, fix_mass=False).fixes_mass


def test_an_analysis_is_diffused_unless_told_otherwise():
    climate = Rollout(initial="held_suarez")
    assert climate.diffusion == 2.4 and climate.diffusion_power == 4 and not climate.filtered
    assert Rollout(initial="held_suarez", filter_hours=1).filtered and Rollout().filtered
    assert Rollout().diffusion == 0 and Rollout(diffusion_hours=3).diffusion == 3
    assert Rollout(initial="a.nc").diffusion == 6 and Rollout(initial="a.nc", diffusion_hours=0).diffusion == 0
    assert Rollout(initial="a.nc", truncation="T85").diffusion == pytest.approx(6 / 2.4, rel=0.02)


def test_held_suarez_is_forced_unless_told_otherwise():
    assert Rollout(initial="held_suarez").forced and Rollout(initial="rest", forcing="held_suarez").forced
    assert not Rollout(initial="held_suarez", forcing="none").forced


def test_pressures_are_sorted_numbers():
    assert Rollout(output_levels=("850", "250.5")).pressures == (250.5, 850.0)
    assert Rollout(output_levels=("sigma",)).pressures is None


def test_files_are_told_from_cases(tmp_path):
    (tmp_path / "analysis").mkdir()
    assert Rollout(initial="era5.nc").is_file and Rollout(initial="a/b").is_file
    assert Rollout(initial="analysis").is_file and Rollout(initial="era5.zarr/").is_file
    assert not any(Rollout(initial=case).is_file for case in CASES)


WRONG = [
    ({"to": Path(".")}, "--to .: the ending", "forecast.nc"),
    ({"to": Path("a/b.grib")}, "--to a/b.grib: the ending", "b.nc"),
    ({"days": 0.0}, "--days 0", ""),
    ({"days": float("nan")}, "--days nan", ""),
    ({"days": 10.1}, "--days 10.1", "--days 10.25"),
    ({"days": 1.0, "every_hours": 5.0}, "no whole number of output intervals of 5 h", "--days 1.04167"),
    ({"every_hours": -6.0}, "--every-hours -6", ""),
    ({"levels": 0}, "--levels 0", ""),
    ({"levels": 1}, "--levels 1", ""),
    ({"members": 0}, "--members 0", ""),
    ({"perturbation": -1.0}, "--perturbation -1", ""),
    ({"seed": -1}, "--seed -1", ""),
    ({"max_minutes": 0.0}, "--max-minutes 0", ""),
    ({"truncation": "42"}, '--truncation "42"', "T42"),
    ({"truncation": "T42L24"}, '--truncation "T42L24"', "T42"),
    ({"initial": "baroclinic_wav"}, 'did you mean "baroclinic_wave"', "file name"),
    ({"step_minutes": "fast"}, '--step-minutes "fast"', ""),
    ({"step_minutes": "0"}, "--step-minutes 0", ""),
    ({"step_minutes": "nan"}, "--step-minutes nan", ""),
    ({"step_minutes": "7"}, "does not divide the output interval of 360 min", "6.66667 or 7.2"),
    ({"step_minutes": "720"}, "--step-minutes 720: does not divide", "360"),
    ({"variables": ("temprature",)}, 'did you mean "temperature"', ""),
    ({"variables": ("temperature", "temperature")}, "stands twice", ""),
    ({"variables": ("height",)}, 'no variable "height"', ""),
    ({"initial": "williamson2", "variables": ("temperature",)}, 'no variable "temperature"', ""),
    ({"output_levels": ()}, "at least one pressure", ""),
    ({"output_levels": ("850", "sigma")}, '"sigma"', "250,500,850"),
    ({"output_levels": ("85000",)}, '"85000"', "250,500,850"),
    ({"output_levels": ("850", "850.0")}, "stands twice", ""),
    ({"surface": "s.nc"}, "has a surface of its own", "--initial FILE"),
    ({"initial": "galewsky", "forcing": "held_suarez"}, "shallow-water case", "--forcing none"),
    ({"start": "yesterday"}, '--start "yesterday"', "2020-01-31"),
    ({"to": "forecast.grib"}, "--to forecast.grib", "forecast.nc"),
]


@pytest.mark.parametrize(("changes", "words", "hint"), WRONG, ids=lambda x: str(x)[:40])
def test_what_is_refused(changes, words, hint):
    from pathlib import Path

    changes = {k: Path(v) if k in ("surface", "to") else v for k, v in changes.items()}
    with pytest.raises(SettingsError) as caught:
        replace(Rollout(), **changes)
    assert words in str(caught.value) and hint in caught.value.hint


def test_a_settings_file_repeats_the_run(tmp_path):
    wanted = Rollout(days=3, members=4, output_levels=("sigma",), variables=("temperature",), step_minutes="10")
    (tmp_path / "s.toml").write_text(dump(wanted))
    assert resolve(Rollout, {}, tmp_path / "s.toml") == wanted


def test_every_variable_has_attributes():
    from sciml.pipelines.gcm.output.files import ATTRIBUTES

    assert {name for names in VARIABLES.values() for name in names} <= set(ATTRIBUTES)
