"""Laws of test particles: Kepler, conserved quantities, equilibrium, tides."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.simulator import nbody
from sciml.pipelines.galaxy.simulator.nbody import Discs, circular_speed, frame_of, integrate, make_discs, place

ONE = np.ones((1, 2))


def alone(count=1024, tilt=0.0) -> Discs:
    return make_discs(ONE, ONE, np.zeros((1, 7)), np.full((1, 2), tilt), (count, 64))


def run(discs: Discs, steps: int, step: float, **options):
    pull = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    return integrate(discs, np.zeros((steps, 1, 2, 3)), np.array([step]), pull, np.full((1, 2), 0.5), **options)


def test_a_kepler_orbit_closes():
    """Semi-major axis 1, eccentricity 0.5: period 2 pi."""
    like = {"dtype": torch.float64}
    x, v = torch.zeros(3, 1, 1, **like), torch.zeros(3, 1, 1, **like)
    x[0], v[1] = 0.5, 3.0**0.5
    discs = Discs(x, v, torch.ones(1, **like), torch.zeros(1, dtype=torch.long))
    pull, zero = np.array([[[1.0, 0.0], [0.0, 0.0]]]), np.zeros((1, 2))
    for part, where in ((1.0, (0.5, 0.0)), (0.5, (-1.5, 0.0))):
        steps = 4000
        now, _ = integrate(
            discs, np.zeros((steps, 1, 2, 3)), np.array([2 * np.pi * part / steps]), pull, zero, softening=0.0
        )
        assert np.allclose(now[:2, 0, 0], where, atol=2e-3)


def test_an_isolated_disc_keeps_energy_and_angular_momentum():
    discs = alone()

    def constants(x, v):
        s = torch.sqrt((x**2).sum(0) + nbody.SOFTENING**2)
        return 0.5 * (v**2).sum(0) - 1.0 / (s + 0.5), torch.linalg.cross(x, v, dim=0)

    energy, spin = constants(discs.position, discs.velocity)
    later_energy, later_spin = constants(*run(discs, 400, 0.02))
    assert ((later_energy - energy) / energy).abs().max() < 2e-3
    assert (later_spin - spin).abs().max() < 2e-4 * spin.abs().max()


def test_a_disc_is_exponential_and_stays_so():
    discs = alone(4096)
    weight = discs.weight[:4096].numpy()

    def half_light(x):
        r = np.hypot(*x[:2, 0, :4096].numpy())
        order = np.argsort(r)
        return np.interp(0.5, np.cumsum(weight[order]), r[order])

    assert weight.sum() == pytest.approx(1.0, abs=1e-4)
    assert half_light(discs.position) == pytest.approx(1.678 * nbody.SCALE_LENGTH, rel=0.05)
    later, _ = run(discs, 256, 0.1)
    assert half_light(later) == pytest.approx(half_light(discs.position), rel=0.06)


def test_speed_is_circular():
    r = np.array([0.1, 0.5, 2.0])
    s = np.sqrt(r**2 + nbody.SOFTENING**2)
    assert np.allclose(circular_speed(r, 2.0, 0.5) ** 2 / r, 2.0 * r / (s * (s + 0.5) ** 2))  # v^2 / r is the pull
    discs = alone()
    radius = torch.hypot(*discs.position[:2, 0])
    along = (discs.position[0, 0] * discs.velocity[1, 0] - discs.position[1, 0] * discs.velocity[0, 0]) / radius
    assert (along / circular_speed(radius, 1.0, 0.5)).mean() == pytest.approx(1.0, abs=0.02)


def test_tilted_orbits_make_a_thick_galaxy_in_equilibrium():
    flat, thick = alone(2048), alone(2048, tilt=0.8)
    height = [d.position[2, 0, :2048].abs().mean() for d in (flat, thick)]
    assert height[1] > 5 * height[0]
    radius = [(d.position**2).sum(0).sqrt() for d in (flat, thick)]
    assert torch.allclose(*radius, atol=1e-4)
    later, _ = run(thick, 256, 0.1)
    assert later[2, 0, :2048].abs().mean() == pytest.approx(float(height[1]), rel=0.1)


def test_frames_are_rotations_to_the_spin():
    rng = np.random.default_rng(0)
    spin = rng.normal(size=(20, 3))
    spin /= np.linalg.norm(spin, axis=1, keepdims=True)
    frame = frame_of(spin, rng.random(20) * 6)
    assert np.allclose(np.einsum("nij,nkj->nik", frame, frame), np.eye(3), atol=1e-12)
    assert np.allclose(frame @ np.array([0.0, 0.0, 1.0]), spin)
    assert np.allclose(np.linalg.det(frame), 1.0)


def test_discs_are_placed_turned_and_moving():
    discs = alone(256)
    frames = np.stack((np.eye(3), frame_of(np.array([[1.0, 0.0, 0.0]]), np.zeros(1))[0]))[None]
    centre, drift = np.array([[[1.0, 2.0, 3.0], [0.0, 0.0, -1.0]]]), np.array([[[0.1, 0.0, 0.0], [0.0, 0.2, 0.0]]])
    placed = place(discs, frames, centre, drift)
    first = discs.disc == 0
    assert torch.allclose(
        placed.position[:, 0, first], discs.position[:, 0, first] + torch.tensor([1.0, 2.0, 3.0])[:, None]
    )
    second = placed.position[:, 0, ~first]
    assert (second[0].abs() < 0.2).all()  # its plane is x = 0
    assert placed.velocity[1, 0, ~first].mean() == pytest.approx(0.2, abs=0.1)


def test_a_passing_companion_raises_tides():
    """A prograde passage throws particles out of the disc; the same disc without a companion keeps them."""
    discs = make_discs(ONE, ONE, np.zeros((1, 7)), np.zeros((1, 2)), (1024, 64))
    steps, step = 300, 0.04
    time = -6.0 + step * (np.arange(steps) + 0.5)
    centres = np.zeros((steps, 1, 2, 3))
    centres[:, 0, 1] = np.stack((np.full(steps, 1.2), 1.2 * time, np.zeros(steps)), axis=1)
    farthest = []
    for companion in (0.0, 1.0):
        pull = np.array([[[1.0, companion], [0.0, 1.0]]])
        now, _ = integrate(discs, centres, np.array([step]), pull, np.full((1, 2), 0.5))
        farthest.append(now[:, 0, :1024].norm(dim=0).quantile(0.98))
    assert farthest[0] < 1.6 < 2.0 < farthest[1]
