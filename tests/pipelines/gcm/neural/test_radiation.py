"""Incident radiation: what astronomy says, and the numbers the released models were trained on."""

import jax
import numpy as np
import pytest

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.plan import make_plan
from sciml.pipelines.gcm.neural import radiation
from sciml.pipelines.gcm.scales import ATMOSPHERIC

REFERENCE = np.datetime64("1979-01-01T00:00")


@pytest.fixture(scope="module")
def plan():
    return make_plan("T21")


def time_of(date):
    """float32 without dimension, as the models count."""
    hours = (np.datetime64(date) - REFERENCE) / np.timedelta64(1, "h")
    return np.float32(ATMOSPHERIC.nondim(hours, "hour"))


flux_at = jax.jit(radiation.incident_radiation, static_argnames=("orbit", "normalized"))


def on_map(plan, date, normalized=True):
    """Flux [i, j] at `date`."""
    flux = flux_at(plan, radiation.orbit(REFERENCE), time_of(date), normalized=normalized)
    return np.asarray(layout.to_standard(plan, flux))[..., 0, 0]


def test_noon_at_greenwich_and_night_on_the_other_side(plan):
    flux = on_map(plan, "1999-03-21T12:00")
    row = flux[:, plan.truncation.nlat // 2]
    assert np.abs(plan.longitude[np.argmax(row)] % 360) <= 6 and row[plan.truncation.nlon // 2] == 0


def test_polar_day_and_night(plan):
    june, december = on_map(plan, "2001-06-21T06:00"), on_map(plan, "2001-12-21T06:00")
    assert (june[:, -1] > 0).all() and (june[:, 0] == 0).all()
    assert (december[:, 0] > 0).all() and (december[:, -1] == 0).all()


def test_units(plan):
    normalized, flux = on_map(plan, "1990-01-03T12:00"), on_map(plan, "1990-01-03T12:00", normalized=False)
    np.testing.assert_allclose(flux, 1408 * normalized, rtol=1e-5)
    assert 1390 < flux.max() <= 1408 and flux.min() == 0


def test_the_annual_mean_is_a_quarter_of_the_irradiance(plan):
    """Over sphere and year: S / 4, but for the few samples."""
    weights = layout.to_standard(plan, np.broadcast_to(plan.cos_lat, (*plan.nodal_shape, 1)))[..., 0]
    dates = np.datetime64("1985-01-01T00") + np.arange(24) * np.timedelta64(int(365.25 * 24 // 24), "h")
    means = [np.average(on_map(plan, d, normalized=False), weights=weights) for d in dates]
    assert np.mean(means) == pytest.approx(1361 / 4, rel=0.01)


def test_equation_of_time():
    """At most a quarter of an hour, late in February and early in November."""
    year = np.linspace(0, 2 * np.pi, 400, dtype=np.float32)
    minutes = np.asarray(radiation.equation_of_time(year)) * 1440 / (2 * np.pi)
    assert -14.8 < minutes.min() < -13.8 and 16 < minutes.max() < 16.8


def test_reference_within_the_year():
    start = radiation.orbit(np.datetime64("2000-07-01T06:00"))
    assert start.day_start == pytest.approx(np.pi / 2)
    assert start.year_start == pytest.approx(2 * np.pi * 182.25 / 366)


@pytest.mark.parametrize("date", ["1959-01-02T00:00", "1979-01-01T05:00", "2020-02-29T17:00", "2061-08-08T21:00"])
@pytest.mark.parametrize("normalized", [True, False])
def test_against_dinosaur(plan, date, normalized):
    names = (
        "radiation",
        "spherical_harmonic",
        "sigma_coordinates",
        "coordinate_systems",
        "primitive_equations",
        "scales",
    )
    d = {name: pytest.importorskip(f"dinosaur.{name}") for name in names}
    grid = d["spherical_harmonic"].Grid.T21()
    coords = d["coordinate_systems"].CoordinateSystem(grid, d["sigma_coordinates"].SigmaCoordinates.equidistant(2))
    specs = d["primitive_equations"].PrimitiveEquationsSpecs.from_si(scale=d["scales"].ATMOSPHERIC_SCALE)
    kind = d["radiation"].SolarRadiation
    theirs = (kind.normalized if normalized else kind)(coords, specs, REFERENCE)
    expected = np.asarray(jax.jit(theirs.radiation_flux)(time_of(date)))
    found = on_map(plan, date, normalized=normalized)
    found, expected = (x / np.linalg.norm(x) for x in (found, expected)) if not normalized else (found, expected)
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)
