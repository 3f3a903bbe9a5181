"""Every forecast meets the observation of its own valid time, and nothing that was made later."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.kd.pairs import pair
from sciml.pipelines.kd.settings import DataChoice, Fit
from sciml.pipelines.kd.teacher import Teacher
from sciml.pipelines.progress import Progress

START = np.datetime64("2020-01-01T00", "ns")
HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")


def since_start(times) -> np.ndarray:
    return (np.asarray(times, dtype="datetime64[ns]") - START) / HOUR


def teacher_of(issues, leads, stations=("A", "B"), **more) -> Teacher:
    """A forecast that is right: 280 + 0.01 h at hour h after the start, 5 K more at every further station."""
    issue = START + np.array(issues) * HOUR
    lead = np.array(leads) * HOUR
    hours = since_start(issue[:, None] + lead[None, :])
    values = 280.0 + 0.01 * hours[:, :, None] + 5.0 * np.arange(len(stations))
    name = more.pop("name", "2m_temperature")
    given = dict(units={name: "K"}, original={name: "t2m"}, original_units={name: "K"}) | more
    return Teacher(Path("nwp.nc"), issue, lead, tuple(stations), {name: values}, {}, **given)


def write_csv(hours, stations=("A", "B"), column="t2m [K]", value=lambda h, s: 280.0 + 0.01 * h + 5.0 * s) -> Path:
    """Observations of the same weather, one row per time and station."""
    times = START + np.round(np.asarray(hours, float) * 3600).astype("timedelta64[s]")
    rows = [
        f"{t},{name},{value(h, s):.6f}" for t, h in zip(times, hours, strict=True) for s, name in enumerate(stations)
    ]
    Path("obs.csv").write_text("\n".join([f"time,station,{column}", *rows]), encoding="utf-8")
    return Path("obs.csv")


class Heard(Progress):
    def __init__(self):
        self.warnings, self.notes = [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)


def choice(hours, cls=DataChoice, csv=None, **more):
    return cls(observations=write_csv(hours, **(csv or {})), **more)


CASES = {
    "daily issues, daily observations": (range(0, 24 * 40, 24), (24, 48), range(0, 24 * 42, 24)),
    "issues every 12 h, hourly observations": (range(0, 240, 12), (1, 6, 30), range(0, 272)),
    "issues between two daily observations": (range(6, 24 * 40, 24), (18, 42), range(0, 24 * 42, 24)),
    "observations before and after the forecasts": (range(240, 480, 24), (24, 48), range(0, 900, 24)),
    "forecasts before and after the observations": (range(0, 900, 24), (24, 48), range(240, 480, 24)),
    "three-hourly observations at 01, 04, ...": (range(0, 480, 24), (4, 7, 25), range(1, 500, 3)),
}


@pytest.mark.parametrize("case", CASES)
def test_forecasts_meet_their_own_hour(case):
    issues, leads, observed = CASES[case]
    teacher = teacher_of(issues, leads)
    pairs = pair(teacher, choice(list(observed)))
    assert pairs.same_quantity and pairs.targets == ("2m_temperature",) and pairs.units == ("K",)
    # the weather is a function of time: a pair of one valid time agrees exactly, a shifted one by 0.01 K per hour
    both = np.isfinite(pairs.truth)
    np.testing.assert_allclose(pairs.truth[both], pairs.forecast[both], atol=1e-5)
    valid = since_start(teacher.issue)[:, None] + teacher.lead_hours[None, :]
    np.testing.assert_array_equal(both[:, :, 0, 0], np.isin(valid, np.array(observed)))
    inside = pairs.valid >= 0
    np.testing.assert_array_equal(since_start(pairs.time[pairs.valid[inside]]), valid[inside])


@pytest.mark.parametrize("case", CASES)
def test_the_anchor_is_the_last_observation_time_before_the_issue(case):
    issues, leads, observed = CASES[case]
    pairs = pair(teacher_of(issues, leads), choice(list(observed)))
    anchored = pairs.time[pairs.anchor]
    assert (anchored <= pairs.teacher.issue).all()
    assert (pairs.teacher.issue - anchored < pairs.cadence).all()
    inside = pairs.valid >= 0
    assert (pairs.valid > pairs.anchor[:, None])[inside].all(), "a target lies after the past window"


@given(
    cadence=st.sampled_from([1, 2, 3, 6, 12, 24]), phase=st.integers(0, 23), step=st.sampled_from([3, 6, 12, 24]),
    leads=st.lists(st.integers(1, 72), min_size=1, max_size=4, unique=True), minute=st.sampled_from([0, 0, 30]),
)  # fmt: skip
@settings(max_examples=15, deadline=None)
def test_alignment_law(cadence, phase, step, leads, minute):
    """Any cadence, phase and leads: equal valid times meet, others (more than 2 % of the cadence apart) never do."""
    observed = [phase + minute / 60 + cadence * n for n in range(40)]
    teacher = teacher_of(range(0, 10 * step, step), sorted(leads), stations=("A",))
    wanted = np.isclose((since_start(teacher.issue)[:, None] + sorted(leads))[..., None], observed).any(-1)
    chosen = choice(observed, csv={"stations": ("A",)})
    if not wanted.any():
        with pytest.raises(DataError):
            pair(teacher, chosen)
        return
    pairs = pair(teacher, chosen)
    kept = np.isin(sorted(leads), pairs.teacher.lead_hours)
    assert not wanted[:, ~kept].any()
    found = np.isfinite(pairs.truth)[:, :, 0, 0]
    np.testing.assert_array_equal(found, wanted[:, kept])
    np.testing.assert_allclose(pairs.truth[:, :, 0, 0][found], pairs.forecast[:, :, 0, 0][found], atol=1e-5)
    assert (pairs.time[pairs.anchor] <= pairs.teacher.issue).all() and (pairs.anchor >= 0).all()


def test_gaps_of_the_record_are_missing_and_not_closed():
    observed = [h for h in range(0, 24 * 60, 24) if not 24 * 20 <= h < 24 * 30]
    pairs = pair(teacher_of(range(0, 24 * 58, 24), (24,)), choice(observed))
    assert len(pairs.time) == 60 and np.isnan(pairs.observed[20:30]).all() and np.isfinite(pairs.observed[30:]).all()


@pytest.mark.parametrize("late", [50, 59])
def test_a_last_time_just_before_the_next_step(late):
    """The last row at minute 50: the regular grid must still hold a place for it, or refuse it, never shift it."""
    observed = [*range(0, 48), 48 + late / 60]
    teacher = teacher_of(range(0, 36, 12), (6, 12))
    for tolerance in (0.0, 0.5):
        pairs = pair(teacher, choice(observed, tolerance_hours=tolerance))
        np.testing.assert_allclose(pairs.truth, pairs.forecast, atol=1e-5)


def test_a_last_forecast_just_before_the_next_step():
    """Daily observations at 00, forecasts valid at 23:40, half an hour allowed; the last day is not observed."""
    teacher = teacher_of(range(0, 24 * 40, 24), (24 - 1 / 3,), stations=("A",))
    pairs = pair(teacher, choice(list(range(0, 24 * 39, 24)), csv={"stations": ("A",)}, tolerance_hours=0.5))
    found = np.isfinite(pairs.truth[:, 0, 0, 0])
    np.testing.assert_array_equal(found, [True] * 38 + [False, False])
    np.testing.assert_allclose(pairs.truth[found], pairs.forecast[found], atol=0.01)


def test_tolerance_allows_a_difference():
    teacher = teacher_of(range(0, 480, 12), (6, 12))
    late = [h + 0.4 for h in range(0, 500)]
    with pytest.raises(DataError, match="no forecast .* is valid at an observation time") as caught:
        pair(teacher, choice(late))
    assert "--tolerance-hours" in caught.value.hint
    pairs = pair(teacher, choice(late, tolerance_hours=0.5))
    np.testing.assert_allclose(pairs.truth, pairs.forecast, atol=0.005)
    assert (pairs.time[pairs.anchor] <= pairs.teacher.issue).all()


def test_leads_that_are_never_observed_are_left_out_aloud():
    pairs = pair(teacher_of(range(0, 24 * 40, 24), (12, 24)), choice(list(range(0, 24 * 42, 24))))
    np.testing.assert_array_equal(pairs.teacher.lead_hours, [24])
    assert pairs.forecast.shape[1] == pairs.valid.shape[1] == 1
    assert any("leads 12 h are never valid" in note for note in pairs.notes)


def test_irregular_observations_are_refused():
    irregular = np.cumsum(np.random.default_rng(0).integers(1, 5, 200)) * 1.0 + np.arange(200) % 2 * 0.3
    with pytest.raises(DataError, match="off the regular step"):
        pair(teacher_of(range(0, 240, 12), (6, 12)), choice(list(irregular)))


def test_a_few_rows_off_the_step_are_left_out_aloud():
    observed = [h + (0.5 if h == 30 else 0.0) for h in range(0, 272)]
    pairs = pair(teacher_of(range(0, 240, 12), (6, 12)), choice(observed))
    assert any("1 observations off the step" in note for note in pairs.notes)
    assert np.isnan(pairs.observed[30]).all() and np.isfinite(pairs.observed[31]).all()


def test_stations_are_matched_by_name():
    teacher = teacher_of(range(0, 240, 12), (6, 12))
    pairs = pair(
        teacher,
        choice(list(range(272)), csv={"stations": ("B", "A"), "value": lambda h, s: 280 + 0.01 * h + 5 * (1 - s)}),
    )
    np.testing.assert_allclose(pairs.truth, pairs.forecast, atol=1e-5)


def test_a_station_that_is_never_observed_stays_missing():
    pairs = pair(teacher_of(range(0, 240, 12), (6, 12)), choice(list(range(272)), csv={"stations": ("A",)}))
    assert pairs.teacher.stations == ("A", "B")
    assert np.isfinite(pairs.truth[:, :, 0]).all() and np.isnan(pairs.truth[:, :, 1]).all()


def test_no_station_in_common():
    with pytest.raises(DataError, match="no station in common"):
        pair(teacher_of(range(0, 240, 12), (6, 12)), choice(list(range(272)), csv={"stations": ("X", "Y")}))


def test_a_column_without_a_unit_is_in_the_unit_of_the_forecast_file():
    celsius = {"column": "t2m", "value": lambda h, s: 6.85 + 0.01 * h + 5.0 * s}
    teacher = teacher_of(range(0, 240, 12), (6, 12), original_units={"2m_temperature": "degC"})
    pairs = pair(teacher, choice(list(range(272)), csv=celsius))
    np.testing.assert_allclose(pairs.truth, pairs.forecast, atol=1e-5)
    kelvin = teacher_of(range(0, 240, 12), (6, 12))
    pairs = pair(kelvin, choice(list(range(272)), csv=celsius))
    np.testing.assert_allclose(pairs.truth, pairs.forecast - 273.15, atol=1e-5)
    pairs = pair(kelvin, choice(list(range(272)), csv=celsius, units=("t2m=degC",)))
    np.testing.assert_allclose(pairs.truth, pairs.forecast, atol=1e-5)


def test_a_stated_unit_is_converted():
    celsius = {"column": "t2m [degC]", "value": lambda h, s: 6.85 + 0.01 * h + 5.0 * s}
    pairs = pair(teacher_of(range(0, 240, 12), (6, 12)), choice(list(range(272)), csv=celsius))
    np.testing.assert_allclose(pairs.truth, pairs.forecast, atol=1e-5)


def test_clock_times_of_a_zone():
    korean = [h + 9 for h in range(272)]
    pairs = pair(
        teacher_of(range(0, 240, 12), (6, 12)),
        choice(korean, csv={"value": lambda h, s: 280 + 0.01 * (h - 9) + 5 * s}, zone="Asia/Seoul"),
    )
    np.testing.assert_allclose(pairs.truth, pairs.forecast, atol=1e-5)


POWER = {"column": "power", "value": lambda h, s: 0.5 + 0.4 * np.sin(h)}


def test_another_quantity_needs_a_word():
    teacher = teacher_of(range(0, 240, 12), (6, 12), name="10m_wind_speed")
    with pytest.raises(SettingsError, match="another quantity") as caught:
        pair(teacher, choice(list(range(272)), csv=POWER))
    assert "--operator isotonic" in caught.value.hint
    for chosen in (
        choice(list(range(272)), csv=POWER, predictor="10m_wind_speed"),
        choice(list(range(272)), Fit, csv=POWER, operator="isotonic"),
    ):
        pairs = pair(teacher, chosen)
        assert pairs.targets == ("power",) and pairs.predictor == ("10m_wind_speed",) and not pairs.same_quantity
        np.testing.assert_array_equal(pairs.forecast[..., 0], teacher.values["10m_wind_speed"])


@pytest.mark.parametrize("name", ["t2m", "2m_temperature", "tas", "temperature"])
def test_target_by_any_common_name(name):
    pairs = pair(teacher_of(range(0, 240, 12), (6, 12)), choice(list(range(272)), target=(name,)))
    assert pairs.targets == ("2m_temperature",)


def test_misspelt_target():
    with pytest.raises(SettingsError, match='no column "t2n"; did you mean'):
        pair(teacher_of(range(0, 240, 12), (6, 12)), choice(list(range(272)), target=("t2n",)))


def test_no_common_time():
    teacher = teacher_of(range(0, 240, 12), (6, 12))
    chosen = choice([h + 24 * 365 for h in range(272)])
    with pytest.raises(DataError, match="share no valid time"):
        pair(teacher, chosen)
    assert np.isnan(pair(teacher, chosen, need_overlap=False).truth).all()


def test_typing_error_in_a_year_does_not_fill_the_memory():
    with pytest.raises(DataError, match="are the times right"):
        pair(teacher_of(range(0, 240, 12), (6, 12)), choice([*(h / 60 for h in range(300)), 24 * 365 * 200]))


def test_self_taught():
    teacher, heard = teacher_of(range(0, 24 * 40, 24), (24, 48, 72)), Heard()
    pairs = pair(teacher, DataChoice(), heard)
    assert "shortest lead (24 h)" in heard.warnings[0]
    np.testing.assert_array_equal(pairs.teacher.lead_hours, [48, 72])
    found = np.isfinite(pairs.truth)
    np.testing.assert_allclose(pairs.truth[found], pairs.forecast[found], atol=1e-9)
    # the last run's leads of 2 and 3 days are valid after the last "observation" of 1 day
    assert found[:, :, 0, 0].sum(0).tolist() == [39, 38]
    assert (pairs.time[pairs.anchor] <= pairs.teacher.issue).all()


def test_self_taught_by_a_single_lead():
    heard = Heard()
    pairs = pair(teacher_of(range(0, 24 * 40, 24), (24,)), DataChoice(), heard)
    assert "its own target" in heard.warnings[1]
    np.testing.assert_array_equal(pairs.truth, pairs.forecast)


def test_spread_follows_the_target(ensemble, daily):
    np.testing.assert_array_equal(ensemble.pairs.spread[..., 0], ensemble.pairs.teacher.spread["2m_temperature"])
    assert daily.pairs.spread is None


def shifted_by(seconds, **more):
    """Hourly observations, some of them later by so many seconds."""
    late = [h + (seconds / 3600 if h % 7 == 3 else 0.0) for h in range(0, 500)]
    return pair(teacher_of(range(0, 480, 12), (3, 6)), choice(late, **more))


def test_no_tolerance_means_none():
    """Two per cent of the step is the default; 0 is 0 but for the rounding of stored times."""
    assert not shifted_by(40).notes and not shifted_by(0, tolerance_hours=0.0).notes
    assert "left out" in shifted_by(40, tolerance_hours=0.0).notes[0]
    assert "left out" in shifted_by(80).notes[0] and not shifted_by(80, tolerance_hours=0.05).notes


def test_a_forecast_between_two_steps_needs_a_tolerance():
    teacher = teacher_of(range(0, 480, 12), (3 + 40 / 3600, 6))
    hours = list(range(0, 500))
    assert pair(teacher, choice(hours)).valid.shape[1] == 2
    assert pair(teacher, choice(hours, tolerance_hours=0.0)).valid.shape[1] == 1


def test_only_the_target_has_to_be_numbers():
    path = write_csv(range(0, 500))
    lines = path.read_text().splitlines()
    cells = ["flag", *("x" if n == 7 else "0" for n in range(len(lines) - 1))]
    path.write_text("\n".join(f"{line},{cell}" for line, cell in zip(lines, cells, strict=True)))
    teacher = teacher_of(range(0, 480, 12), (3, 6))
    with pytest.raises(DataError, match="'flag' is not numeric"):
        pair(teacher, DataChoice(observations=path))
    assert pair(teacher, DataChoice(observations=path, target=("t2m",))).targets == ("2m_temperature",)
