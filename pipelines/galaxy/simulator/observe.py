"""The telescope: point-spread function, sky, photon and read noise, in nanomaggies per pixel.

One nanomaggy is the flux of an AB magnitude of 22.5.  A pixel collects  N = t e_b (f + sky_b A) + read noise^2  electrons in t seconds,
A its area in arcsec^2; the picture is (Poisson(N) - sky) / (t e_b), plus the small error of the sky's level.  Rates and sky: SDSS
imaging, electrons per second of a 22.5 mag source from its photometric zero points and gains, dark sky at Apache Point (York et al.
2000, AJ 120, 1579; Gunn et al. 1998, AJ 116, 3040).

Legend: g galaxy, b band, y x pixel.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sciml.pipelines.errors import SettingsError, suggest

ELECTRONS = {"g": 23.0, "r": 19.4, "i": 14.4, "z": 2.8}  # per second and nanomaggy
SKY = {"g": 21.84, "r": 20.86, "i": 20.20, "z": 18.90}  # AB mag / arcsec^2
READ_NOISE = 6.0  # electrons per pixel of 0.396 arcsec; scaled with the pixel's area
SDSS_PIXEL, SDSS_EXPOSURE = 0.396, 53.9  # arcsec, s
SHAPES = ("moffat", "gaussian")
MOFFAT_BETA = 3.0  # Trujillo et al. 2001: 2.5 to 5


def psf_kernel(fwhm: Tensor, side: int, shape: str = "moffat", oversample: int = 3) -> Tensor:
    """Point-spread functions [g, b, y, x] of `fwhm` [g, b] pixels, centred on pixel (0, 0) of a periodic picture, sum one.

    Moffat (1969): (1 + (r / alpha)^2)^-beta, beta = 3; the mean over `oversample`^2 points within each pixel.
    """
    if shape not in SHAPES:
        raise SettingsError(f'no point-spread function "{shape}"', hint=suggest(shape, SHAPES))
    reach = min((side - 1) // 2, 24)
    fine = (
        (torch.arange((2 * reach + 1) * oversample, device=fwhm.device, dtype=fwhm.dtype) + 0.5) / oversample
        - reach
        - 0.5
    )
    r2 = fine[:, None] ** 2 + fine[None] ** 2
    width = fwhm[..., None, None] ** 2
    moffat = shape == "moffat"
    value = 1.0 + r2 * 4 * (2.0 ** (1.0 / MOFFAT_BETA) - 1.0) / width if moffat else -4 * np.log(2.0) * r2 / width
    value = value**-MOFFAT_BETA if moffat else torch.exp(value)
    pixels = torch.nn.functional.avg_pool2d(value, oversample)
    kernel = torch.zeros(*fwhm.shape, side, side, device=fwhm.device, dtype=fwhm.dtype)
    kernel[..., : 2 * reach + 1, : 2 * reach + 1] = pixels
    return torch.roll(kernel / kernel.sum((-2, -1), keepdim=True), (-reach, -reach), (-2, -1))


def blur(spectrum: Tensor, kernel: Tensor, margin: int) -> Tensor:
    """Pictures [g, b, y, x] from their rfft2 and the kernel, without the `margin` that keeps the edges apart."""
    side = kernel.shape[-1]
    picture = torch.fft.irfft2(spectrum * torch.fft.rfft2(kernel), s=(side, side))
    return picture[..., margin : side - margin, margin : side - margin].clamp_min(0.0)


def sky_level(bands: tuple[str, ...], brightness: np.ndarray, pixel_scale: float) -> np.ndarray:
    """Sky [g, b] in nanomaggies per pixel; `brightness` [g] magnitudes are added to the dark sky (negative: moonlight)."""
    dark = np.array([SKY[name] for name in bands])
    return 10.0 ** (-0.4 * (dark + np.asarray(brightness)[:, None] - 22.5)) * pixel_scale**2


def pixel_noise(bands: tuple[str, ...], sky: np.ndarray, exposure: np.ndarray, pixel_scale: float) -> np.ndarray:
    """1 sigma [g, b] of an empty pixel in nanomaggies."""
    rate = np.array([ELECTRONS[name] for name in bands]) * exposure[:, None]
    return np.sqrt(sky * rate + read_variance(pixel_scale)) / rate


def read_variance(pixel_scale: float) -> float:
    """Variance [electrons^2] of reading a pixel: larger pixels are sums of SDSS pixels."""
    return READ_NOISE**2 * (pixel_scale / SDSS_PIXEL) ** 2


def expose(
    picture: np.ndarray,
    bands: tuple[str, ...],
    sky: np.ndarray,
    exposure: float,
    pixel_scale: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """One observation [b, y, x] float32 of a noiseless picture [b, y, x]; `sky` [b] is its level per pixel."""
    rate = np.array([ELECTRONS[name] for name in bands])[:, None, None] * exposure
    level = sky[:, None, None] * rate
    electrons = rng.poisson(picture * rate + level)
    read = rng.standard_normal(picture.shape, dtype=np.float32) * np.sqrt(read_variance(pixel_scale))
    # the level of the sky is measured from a thousand-odd empty pixels
    error = rng.standard_normal((len(bands), 1, 1)) * np.sqrt(level + read_variance(pixel_scale)) / 30.0
    return ((electrons - level + read + error) / rate).astype(np.float32)
