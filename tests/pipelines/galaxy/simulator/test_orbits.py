"""The encounter law against the real pairs, and orbits against conservation laws."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.simulator import orbits
from sciml.pipelines.galaxy.simulator.orbits import COALESCED, GALAXY_ZOO_MERGERS, Drawn, follow, pull


def drawn(q=(1.0, 0.3), pericentre=(0.6, 0.6), speed=(0.9, 0.9)) -> Drawn:
    n = len(q)
    return Drawn(np.array(q), np.ones(n), np.array(pericentre), np.array(speed), np.tile([0.0, 0.0, 1.0], (n, 2, 1)))


def test_without_friction_energy_and_angular_momentum_hold():
    pair = drawn()
    track = follow(pair, before=4.0, after=20.0, step=0.01, coulomb=0.0)
    x = track.position
    v = np.gradient(x, track.time, axis=0)[2:-2]
    x = x[2:-2]
    spin = x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0]
    assert np.abs(spin / spin[0] - 1).max() < 2e-3
    r = np.sqrt((x**2).sum(-1) + orbits.SOFTENING**2)
    energy = 0.5 * (v**2).sum(-1) - (1 + pair.mass_ratio) / (r + pair.scale)
    assert np.abs(energy / energy[0] - 1).max() < 5e-3


def test_without_scale_or_softening_the_pull_is_keplers():
    x = np.array([[3.0, 4.0]])
    assert np.allclose(pull(x, np.array([2.0]), np.zeros(1), 0.0), -2.0 * x / 125.0)


def test_friction_brings_the_nuclei_together():
    pair = drawn(q=(1.0, 0.3, 1.0), pericentre=(0.6, 0.6, 1.2), speed=(0.9,) * 3)
    track = follow(pair)
    start = np.abs(track.time).argmin()
    distance = np.linalg.norm(track.position, axis=-1)
    assert distance[start] == pytest.approx(pair.pericentre)  # the first pericentre is at time zero
    assert (distance[0] > 3.0).all()
    assert np.isfinite(track.coalescence).all() and (track.coalescence > 2.0).all()
    for k, when in enumerate(track.coalescence):
        assert (distance[track.time > when, k] <= COALESCED).all()
    assert track.coalescence[2] > track.coalescence[0]  # wider passages take longer


def test_tracks_are_read_between_steps_and_held_at_their_ends():
    track = follow(drawn(), before=1.0, after=1.0, step=0.1)
    middle = track.at(np.array([[0.05, 0.15]]))[0]
    assert np.allclose(middle[0], 0.5 * (track.position[10, 0] + track.position[11, 0]))
    assert np.allclose(track.at(np.array([[-9.0, -9.0]]))[0], track.position[0])
    assert np.allclose(track.rows(np.array([1])).at(np.array([[0.15]]))[0, 0], middle[1])


def test_draws_follow_the_law():
    made = GALAXY_ZOO_MERGERS.draw(np.random.default_rng(0).random((4000, 8)))
    assert (made.mass_ratio >= 0.15).all() and (made.mass_ratio <= 1).all()
    assert (made.speed >= 0.849).all() and (made.speed <= 1.001).all()
    assert (
        np.median(np.log10(made.pericentre / (1 + made.size_ratio))) < GALAXY_ZOO_MERGERS.pericentre[0]
    )  # cut at the 84th percentile
    assert np.allclose(np.linalg.norm(made.spin, axis=-1), 1.0)
    for disc, k in enumerate(GALAXY_ZOO_MERGERS.spin):
        assert made.spin[:, disc, 2].mean() == pytest.approx(1 / np.tanh(k) - 1 / k, abs=0.03)
    again = GALAXY_ZOO_MERGERS.draw(np.random.default_rng(0).random((4000, 8)))
    assert np.array_equal(again.pericentre, made.pericentre)


def test_the_law_is_the_fit_to_the_real_pairs(galaxy_data):
    pairs = orbits.read_pairs(galaxy_data / "gzm_orbits" / "data.txt")
    assert pairs.shape == (62, 14)
    assert orbits.fit_pairs(pairs) == GALAXY_ZOO_MERGERS


def test_the_last_pericentre_of_a_radial_fall_is_behind():
    """A pair that flies apart was closest before; one that approaches is closest now."""
    base = np.array([3.0, 1.0, 0.0, 1.0, 0.2, 0.0, 1.0, 0.5, 1.0, 0.8, 0.0, 0.0, 0.0, 0.0])
    coming = base.copy()
    coming[3:6] *= -1
    at, speed, when = orbits.last_pericentre(np.stack((base, coming)), span=8.0)
    assert when[0] < -0.5 and np.linalg.norm(at[0]) < 3.0
    assert abs(at[0] @ speed[0]) < 0.02 * np.linalg.norm(at[0]) * np.linalg.norm(speed[0])
    assert when[1] == 0.0 and np.allclose(at[1], coming[:3])


def test_what_is_no_list_of_pairs(tmp_path):
    path = tmp_path / "data.txt"
    with pytest.raises(DataError, match="no list of fitted pairs"):
        orbits.read_pairs(path)
    path.write_text("1,2,3\n")
    with pytest.raises(DataError, match="14 numbers"):
        orbits.read_pairs(path)
    path.write_text("a,b\n")
    with pytest.raises(DataError, match="no list"):
        orbits.read_pairs(path)
