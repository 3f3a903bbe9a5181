"""Objects are pure functions of seed and number; groups are matched; times lie in their windows."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.simulator import population
from sciml.pipelines.galaxy.simulator.population import POST, PRE, RELAXED, conditions, make, numbers, scene, stream

IDS = np.arange(400)


@pytest.fixture(scope="module")
def drawn():
    state = conditions(7, IDS)
    return state, scene(7, IDS, state)


def test_streams_depend_on_seed_number_and_name_alone():
    assert stream(1, 5, "a").random() == stream(1, 5, "a").random()
    values = {stream(s, i, name).random() for s in (1, 2) for i in (5, 6) for name in ("a", "b")}
    assert len(values) == 8
    some = numbers(3, np.array([9, 4]), "x", 6).block(6)
    assert np.array_equal(some[1], numbers(3, np.array([4]), "x", 6).block(6)[0])
    assert np.isfinite(numbers(-3, np.array([0]), "x", 2).normal()).all()


def test_columns_are_not_used_twice():
    draws = population.Numbers(np.random.default_rng(0).random((5, 2)))
    assert not np.array_equal(draws.uniform(), draws.uniform())
    with pytest.raises(ValueError, match="more random columns"):
        draws.uniform()


def test_groups_hold_two_controls_one_pre_and_one_post(drawn):
    state, _ = drawn
    for group in range(100):
        assert sorted(state.label[state.group == group]) == [0, 0, 1, 2]
    first = state.label.reshape(-1, 4)[:, 0]
    assert set(first) == {0, 1, 2}  # in random order


def test_members_are_matched_and_conditions_blind_to_the_label(drawn):
    state, _ = drawn
    for values, spread in (
        (state.redshift / state.redshift.mean(), 0.06),
        (state.log_mass, 0.09),
        (state.light_offset, 0.09),
    ):
        inside = values.reshape(-1, 4).std(1).mean()
        assert inside < spread < values.std()
    for values in (
        state.redshift,
        state.log_mass,
        state.light_offset,
        state.exposure,
        state.seeing,
        state.spectrum_quality,
    ):
        means = [values[state.label == k].mean() for k in range(3)]
        assert np.ptp(means) < 5 * values.std() / np.sqrt(100)


def test_scenarios_follow_labels_and_times_their_windows(drawn):
    state, place = drawn
    assert np.array_equal(place.scenario == PRE, state.label == 1) and np.array_equal(
        place.scenario == POST, state.label == 2
    )
    pre, post, relaxed = (place.scenario == k for k in (PRE, POST, RELAXED))
    assert (place.since_coalescence[pre] < 0).all() and (
        place.since_coalescence[pre] >= -population.PRE_WINDOW - 1e-9
    ).all()
    assert (place.since_passage[pre] >= -population.APPROACH - 1e-9).all()
    assert (place.since_coalescence[post] >= 0).all() and (
        place.since_coalescence[post] <= population.POST_WINDOW
    ).all()
    after = (place.now - place.track.coalescence)[relaxed] * place.unit_gyr[relaxed]
    assert after.min() > population.RELAXED_WINDOW[0] - 1e-9
    assert np.isneginf(place.since_passage[~place.interacts]).all()
    assert np.linalg.norm(place.separation()[post], axis=1).max() < 0.11
    assert (place.steps * population.LONGEST_STEP >= (place.now + place.before)).all()
    assert (place.target[~pre] == 0).all() and 0.1 < place.target[pre].mean() < 0.5


def test_an_object_does_not_depend_on_its_neighbours(drawn):
    state, place = drawn
    some = np.array([17, 230])
    alone = conditions(7, some)
    assert np.array_equal(alone.redshift, state.redshift[some])
    again = scene(7, some, alone)
    assert np.allclose(again.now, place.now[some]) and np.allclose(again.unit_kpc, place.unit_kpc[some])


def test_mergers_form_stars_and_thin_their_metals(drawn):
    state, place = drawn
    made = make(numbers(7, IDS, "make", 24), state.log_mass, place)
    control, close = state.label == 0, place.interacts & (np.abs(place.since_coalescence) < 0.3)
    assert (made.activity.second[control] == 0).all() and (made.activity.second[close] > 0).all()
    assert made.log_z_gas[close].mean() < made.log_z_gas[control].mean()


@pytest.mark.parametrize("members", [(), ("merger",), ("non",) * 7])
def test_members_that_make_no_group(members):
    with pytest.raises(SettingsError, match="members of a matched group"):
        conditions(0, IDS, members)


def test_other_groups_are_possible():
    state = conditions(0, IDS, ("non", "post"))
    assert set(state.label) == {0, 2}


def test_sizes_and_speeds_of_a_milky_way():
    assert population.disc_radius(np.array([10.6]))[0] / 4 == pytest.approx(3.0)
    assert population.rotation_speed(np.array([10.6]))[0] == pytest.approx(200.0)
