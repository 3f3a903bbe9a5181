"""The telescope: normalised point-spread functions and the statistics of noise."""

import numpy as np
import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.simulator import observe

BANDS = ("g", "r")


@pytest.mark.parametrize("shape", observe.SHAPES)
def test_the_kernel_is_normalised_centred_and_as_wide_as_told(shape):
    fwhm = torch.tensor([[2.5, 4.0]], dtype=torch.float64)
    kernel = observe.psf_kernel(fwhm, 64, shape)
    assert torch.allclose(kernel.sum((-2, -1)), torch.ones(1, 2, dtype=torch.float64))
    assert kernel.flatten(2).argmax(-1).eq(0).all()
    profile = torch.fft.fftshift(kernel[0, 1])[32, 32:]
    half = float(profile[0]) / 2
    at = np.interp(-half, -profile.numpy(), np.arange(32))
    assert 2 * at == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("side", [16, 31, 48, 49, 50])
def test_the_kernel_fits_any_picture(side):
    kernel = observe.psf_kernel(torch.tensor([[2.0]]), side)
    assert kernel.shape == (1, 1, side, side) and kernel.sum().item() == pytest.approx(1.0, abs=1e-5)


def test_blurring_conserves_flux_away_from_the_edge():
    picture = torch.zeros(1, 2, 80, 80, dtype=torch.float64)
    picture[:, :, 40, 38] = 5.0
    kernel = observe.psf_kernel(torch.full((1, 2), 2.0, dtype=torch.float64), 80, "gaussian")
    seen = observe.blur(torch.fft.rfft2(picture), kernel, 8)
    assert seen.shape == (1, 2, 64, 64)
    assert seen.sum() == pytest.approx(10.0, rel=1e-6)
    assert np.unravel_index(int(seen[0, 0].argmax()), (64, 64)) == (32, 30)


def test_an_empty_sky_has_the_stated_noise_and_no_level():
    sky = observe.sky_level(BANDS, np.zeros(1), 0.8)
    sigma = observe.pixel_noise(BANDS, sky, np.array([100.0]), 0.8)[0]
    rng = np.random.default_rng(0)
    seen = np.stack([observe.expose(np.zeros((2, 64, 64)), BANDS, sky[0], 100.0, 0.8, rng) for _ in range(20)])
    assert np.allclose(seen.std((0, 2, 3)), sigma, rtol=0.03)
    assert (np.abs(seen.mean((0, 2, 3))) < 0.03 * sigma).all()
    assert seen.dtype == np.float32


def test_photons_of_a_source_add_their_own_noise_and_no_bias():
    flux = np.full((2, 64, 64), 5.0)
    sky = observe.sky_level(BANDS, np.zeros(1), 0.4)
    seen = observe.expose(flux, BANDS, sky[0], 54.0, 0.4, np.random.default_rng(1))
    assert np.allclose(seen.mean((1, 2)), 5.0, rtol=2e-3)
    rate = np.array([observe.ELECTRONS[name] for name in BANDS]) * 54.0
    expected = np.sqrt((5.0 + sky[0]) * rate + observe.read_variance(0.4)) / rate
    assert np.allclose(seen.std((1, 2)), expected, rtol=0.04)


def test_longer_exposures_and_darker_skies_are_deeper():
    sky = observe.sky_level(BANDS, np.array([0.0, 0.5]), 0.8)
    assert (sky[1] < sky[0]).all()
    noise = observe.pixel_noise(BANDS, np.stack((sky[0], sky[0])), np.array([50.0, 5000.0]), 0.8)
    assert np.allclose(noise[0] / noise[1], 10.0, rtol=0.1)  # the short one is read as noisily
    # SDSS: 1 sigma of about 24.2 mag per arcsec^2 in r in one scan
    one = observe.pixel_noise(("r",), observe.sky_level(("r",), np.zeros(1), 0.396), np.array([53.9]), 0.396)[0, 0]
    assert 22.5 - 2.5 * np.log10(one / 0.396) == pytest.approx(24.9, abs=0.8)


def test_unknown_shapes_are_refused():
    with pytest.raises(SettingsError, match="point-spread"):
        observe.psf_kernel(torch.ones(1, 1), 32, "airy")
