"""Sersic fits recover what was put in; derivatives and b_n against numerical ones."""

import numpy as np
import pytest
import torch
from scipy.special import gammaincinv

from sciml.pipelines.galaxy.morphology import sersic
from sciml.pipelines.readers.synthetic_galaxies_images import Galaxy, gaussian_psf, render, sersic_profile


def test_b_n():
    n = np.array([0.01, 0.05, 0.3, 0.5, 1.0, 2.5, 4.0, 10.0, 29.0])
    b, slope = sersic.half_light_b(torch.from_numpy(np.log(n)))
    np.testing.assert_allclose(b, gammaincinv(2 * n, 0.5), rtol=2e-4, atol=1e-9)
    np.testing.assert_allclose(b[4:], gammaincinv(2 * n[4:], 0.5), rtol=2e-6)
    expected = (gammaincinv(2 * n * 1.001, 0.5) - gammaincinv(2 * n * 0.999, 0.5)) / 0.002
    np.testing.assert_allclose(slope[3:-1], expected[3:-1], rtol=1e-4)


def guess_of(galaxy: Galaxy, factor: float = 1.3) -> sersic.Guess:
    start = (galaxy.x + 0.5, galaxy.y - 0.4, galaxy.r_half * factor, 0.2, galaxy.theta + 0.3, 1.5, 1.0)
    return sersic.Guess(*(torch.tensor([value], dtype=torch.float64) for value in start))


def sampled(galaxy: Galaxy, size: int = 101) -> np.ndarray:
    y, x = np.mgrid[:size, :size].astype(float)
    return sersic_profile(x, y, galaxy)


@pytest.mark.parametrize(
    ("n", "ellipticity", "theta"), [(0.6, 0.0, 0.0), (1.0, 0.5, 0.7), (2.5, 0.3, 2.2), (4.0, 0.6, 1.5)]
)
def test_noiseless_profiles_are_recovered(n, ellipticity, theta):
    galaxy = Galaxy(50.31, 49.77, 9.0, n, ellipticity, theta)
    image = torch.from_numpy(sampled(galaxy))[None]
    found = sersic.fit(image, torch.ones_like(image), guess_of(galaxy))
    assert found.flag.item() == 0
    assert found.n.item() == pytest.approx(n, rel=2e-3)
    assert found.r_half.item() == pytest.approx(9.0, rel=2e-3)
    assert (found.x.item(), found.y.item()) == pytest.approx((50.31, 49.77), abs=5e-3)
    assert found.ellipticity.item() == pytest.approx(ellipticity, abs=2e-3)
    if ellipticity:
        assert np.tan(found.theta.item() - theta) == pytest.approx(0.0, abs=5e-3)


def test_noise_moves_the_fit_by_its_errors():
    galaxy = Galaxy(50.3, 49.8, 9.0, 2.0, 0.4, 0.7, flux=3e4)
    rng = np.random.default_rng(0)
    image = torch.from_numpy(sampled(galaxy) + rng.normal(size=(8, 101, 101)))
    guess = sersic.Guess(*(entry.expand(8) for entry in guess_of(galaxy)))
    found = sersic.fit(image, torch.ones_like(image), guess)
    assert (found.flag == 0).all()
    assert found.n.mean().item() == pytest.approx(2.0, rel=0.03)
    assert (found.chi2 / found.pixels).mean().item() == pytest.approx(1.0, abs=0.02)


def test_the_psf_is_undone():
    psf = gaussian_psf(3.5)
    galaxy = Galaxy(50.3, 49.8, 5.0, 1.0, 0.3, 0.7)
    image = torch.from_numpy(render(galaxy, (101, 101), psf=psf)).double()[None]
    blurred = sersic.fit(image, torch.ones_like(image), guess_of(galaxy))
    sharp = sersic.fit(image, torch.ones_like(image), guess_of(galaxy), torch.from_numpy(psf))
    assert sharp.n.item() == pytest.approx(1.0, abs=0.03) and sharp.r_half.item() == pytest.approx(5.0, rel=0.01)
    assert abs(blurred.r_half.item() - 5.0) > 3 * abs(sharp.r_half.item() - 5.0)


def test_convolution_against_scipy():
    from scipy.signal import fftconvolve

    rng = np.random.default_rng(1)
    image, kernel = rng.normal(size=(2, 3, 21, 26)), rng.random((6, 5))
    found = sersic.make_psf(torch.from_numpy(kernel), 21, 26).convolve(torch.from_numpy(image))
    expected = np.stack(
        [[fftconvolve(plane, kernel / kernel.sum(), mode="same") for plane in planes] for planes in image]
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_derivatives():
    parameters = torch.tensor([[3.0, 10.2, 9.7, 0.25, 0.05, 0.4, np.log(1.7)]], dtype=torch.float64)
    x, y = torch.arange(20).double()[None, None, :], torch.arange(19).double()[None, :, None]
    image = torch.zeros(1, 19, 20, dtype=torch.float64)
    pixels = sersic.Pixels(image, torch.ones_like(image), x, y, None)
    columns = sersic._columns(pixels, parameters)
    for index in range(7):
        step = torch.zeros_like(parameters)
        step[0, index] = width = 1e-3 if index == 6 else 1e-5  # b_n is linear between the nodes of its table
        upper, lower = (-sersic._columns(pixels, parameters + sign * step)[:, 7] for sign in (1, -1))
        torch.testing.assert_close(columns[:, index], (upper - lower) / (2 * width), rtol=2e-3, atol=1e-3)


def test_matrix_and_back():
    given = (torch.tensor([7.0]).double(), torch.tensor([0.4]).double(), torch.tensor([2.1]).double())
    found = sersic._from_matrix(sersic._to_matrix(*given))
    for value, expected in zip(found, given, strict=True):
        torch.testing.assert_close(value, expected)


def test_too_few_pixels_and_broken_starts_are_flagged():
    galaxy = Galaxy(50.3, 49.8, 9.0)
    image = torch.from_numpy(np.stack([sampled(galaxy)] * 3))
    sigma = torch.ones_like(image)
    sigma[0] = 0.0
    guess = sersic.Guess(*(entry.repeat(3) for entry in guess_of(galaxy)))
    guess.r_half[1] = torch.nan
    found = sersic.fit(image, sigma, guess)
    assert found.flag.tolist() == [2, 2, 0]
    assert found.n[:2].isnan().all() and found.n[2].item() == pytest.approx(1.0, rel=1e-2)


@pytest.mark.skipif(sersic._compiled is None, reason="the compiled sums are not built")
@pytest.mark.parametrize("step", [1, 3])
def test_compiled_normal_equations_are_those_of_torch(monkeypatch, step):
    rng = np.random.default_rng(5)
    image, weight = (torch.from_numpy(rng.random((3, 61, 47))).float() for _ in range(2))
    weight[:, 20:25] = 0.0
    x, y = torch.arange(47.0)[None, None], torch.arange(61.0)[None, :, None]
    given = [image[:, ::step, ::step], weight[:, ::step, ::step], x[:, :, ::step], y[:, ::step]]
    rows = [[2.0, 23.3, 30.1, 0.1, 0.02, 0.13, 0.7], [1.0, 20.0, 40.0, 0.3, -0.1, 0.2, 1.9], [0.5, 60.0, -9.0, 0.02, 0.0, 0.03, -1.2]]
    parameters = torch.tensor(rows, dtype=torch.float64)
    compiled = sersic._normal(sersic.Pixels(*given, None), parameters)
    monkeypatch.setattr(sersic, "_compiled", None)
    plain = sersic._normal(sersic.Pixels(*(entry.double() for entry in given), None), parameters)
    scale = plain.diagonal(dim1=1, dim2=2).sqrt()
    scale = scale[:, :, None] * scale[:, None, :]
    np.testing.assert_allclose(compiled / scale, plain / scale, atol=3e-5)  # exp of an argument of 50 in single precision


@pytest.mark.skipif(sersic._compiled is None, reason="the compiled sums are not built")
@pytest.mark.parametrize("n", [0.01, 0.1, 30.0])
def test_compiled_normal_equations_stay_finite_where_powers_overflow(n):
    image = torch.ones(1, 40, 40)
    x, y = torch.arange(40.0)[None, None], torch.arange(40.0)[None, :, None]
    parameters = torch.tensor([[1.0, 20.0, 20.0, 3.0, 0.0, 3.0, np.log(n)]], dtype=torch.float64)
    assert torch.isfinite(sersic._normal(sersic.Pixels(image, image, x, y, None), parameters)).all()
