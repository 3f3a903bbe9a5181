"""Single-Sersic fits of a batch of stamps by Levenberg-Marquardt.

I(z) = I_e exp(-b_n [z^(1/n) - 1]), z the elliptical radius in units of r_e, P(2n, b_n) = 1/2 (Sersic 1968; Graham & Driver 2005).
The model is taken at the pixel centres and, with a PSF, convolved with it; residuals are weighted by 1 / sigma.
Inside the fit z^2 = |L^T d|^2 with a lower triangular L, which has no preferred angle for round galaxies, and n enters as
log n; the normal equations carry all derivatives in closed form.  Axes [b, y, x], parameters [b, 7]:
I_e, x, y, L11, L21, L22, log n.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor

from .apertures import pixel_lines

try:
    from . import _normal as _compiled
except ImportError:  # not built: no compiler where the package was installed
    _compiled = None

SMALLEST_N, LARGEST_N = 0.01, 30.0
NODES = 4096  # of the table of b_n
MOST_ROUNDS = 60
FLOOR = 1e-9  # of z^2: the derivatives are singular on the centre itself


@lru_cache(maxsize=4)
def _b_nodes(device: torch.device) -> tuple[Tensor, Tensor]:
    """b_n and d b_n / d log n on NODES equal steps of log n from SMALLEST_N to LARGEST_N."""
    log_n = np.linspace(np.log(SMALLEST_N), np.log(LARGEST_N), NODES)
    b = gammaincinv(2.0 * np.exp(log_n), 0.5)
    return torch.from_numpy(b).to(device), torch.from_numpy(np.gradient(b, log_n, edge_order=2)).to(device)


def half_light_b(log_n: Tensor) -> tuple[Tensor, Tensor]:
    """b_n and its derivative by log n, interpolated linearly: b_n to 1e-6 of itself."""
    smallest, largest = math.log(SMALLEST_N), math.log(LARGEST_N)
    place = ((log_n - smallest) * ((NODES - 1) / (largest - smallest))).clamp(0.0, NODES - 1.001)
    left = place.long()
    b, slope = (torch.lerp(node[left], node[left + 1], place - left) for node in _b_nodes(log_n.device))
    return b, slope


class Sersic(NamedTuple):
    """Fitted parameters [b]: centre in the stamp [px], semi-major half-light radius, axis, quality and flag (0, 1, 2)."""

    amplitude: Tensor
    r_half: Tensor
    n: Tensor
    x: Tensor
    y: Tensor
    ellipticity: Tensor
    theta: Tensor
    chi2: Tensor
    pixels: Tensor
    flag: Tensor


class Pixels(NamedTuple):
    """What is fitted: image and weight 1 / sigma [b, y, x] (0: not used), x [1, 1, x], y [1, y, 1], PSF spectrum or None."""

    image: Tensor
    weight: Tensor
    x: Tensor
    y: Tensor
    psf: Psf | None


class Psf(NamedTuple):
    """Transform of the zero-padded PSF and how to cut the convolution to the stamp."""

    spectrum: Tensor
    padded: tuple[int, int]
    start: tuple[int, int]

    def convolve(self, image: Tensor) -> Tensor:
        """Linear convolution of [..., y, x], same size."""
        height, width = image.shape[-2:]
        product = torch.fft.rfft2(image, s=self.padded) * self.spectrum
        wide = torch.fft.irfft2(product, s=self.padded)
        top, left = self.start
        return wide[..., top : top + height, left : left + width]


def _smooth_length(length: int) -> int:
    """The next length without a prime factor above 5."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def make_psf(psf: Tensor, height: int, width: int) -> Psf:
    """psf: [y, x] or [b, y, x], its centre in the middle; normalised here."""
    psf = psf if psf.ndim == 3 else psf[None]
    psf = psf / psf.sum((1, 2), keepdim=True)
    padded = (_smooth_length(height + psf.shape[1] - 1), _smooth_length(width + psf.shape[2] - 1))
    start = ((psf.shape[1] - 1) // 2, (psf.shape[2] - 1) // 2)
    return Psf(torch.fft.rfft2(psf, s=padded)[:, None], padded, start)


def _to_matrix(r_half: Tensor, ellipticity: Tensor, theta: Tensor) -> Tensor:
    """L [b, 3] with L L^T = R diag(1/a^2, 1/b^2) R^T."""
    a = r_half.square().reciprocal()
    b = (r_half * (1 - ellipticity)).square().reciprocal()
    cosine, sine = torch.cos(theta), torch.sin(theta)
    xx, yy = a * cosine.square() + b * sine.square(), a * sine.square() + b * cosine.square()
    xy = (a - b) * sine * cosine
    first = xx.sqrt()
    second = xy / first
    return torch.stack([first, second, (yy - second.square()).clamp(min=1e-300).sqrt()], 1)


def _from_matrix(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Semi-major axis, ellipticity and orientation in [0, pi) from L [b, 3]."""
    first, second, third = matrix.unbind(1)
    xx, xy, yy = first.square(), first * second, second.square() + third.square()
    middle, root = 0.5 * (xx + yy), (0.25 * (xx - yy).square() + xy.square()).sqrt()
    least = (first * third).square() / (middle + root)  # the small eigenvalue, without cancellation
    theta = 0.5 * torch.atan2(-2 * xy, yy - xx)
    return least.rsqrt(), 1 - (least / (middle + root)).sqrt(), torch.remainder(theta, torch.pi)


def _columns(pixels: Pixels, parameters: Tensor) -> Tensor:
    """Weighted derivatives by the seven parameters and the weighted residual, [b, 8, y * x]."""
    amplitude, x0, y0, first, second, third, log_n = (entry[:, None, None] for entry in parameters.unbind(1))
    n, (b, b_slope) = log_n.exp(), half_light_b(log_n)
    kind = pixels.image.dtype
    amplitude, x0, y0, first, second, third, n, b, b_slope = (
        entry.to(kind) for entry in (amplitude, x0, y0, first, second, third, n, b, b_slope)
    )
    dx, dy = pixels.x - x0, pixels.y - y0
    u, v = first * dx + second * dy, third * dy
    square = (u.square() + v.square()).clamp_(min=FLOOR)
    log_z = square.log().mul_(0.5)
    power = (log_z / n).exp_()
    shape = torch.exp(b * (1 - power))
    light = amplitude * shape
    pull = light * power / square * (-b / n)  # d I / d(u^2 + v^2) * 2
    pull_u, pull_v = pull * u, pull * v
    columns = torch.empty(len(parameters), 8, *light.shape[1:], dtype=light.dtype, device=light.device)
    columns[:, 0] = shape
    torch.mul(pull_u, -first, out=columns[:, 1])
    torch.addcmul(columns[:, 1] * (second / first), pull_v, third, value=-1, out=columns[:, 2])
    torch.mul(pull_u, dx, out=columns[:, 3])
    torch.mul(pull_u, dy, out=columns[:, 4])
    torch.mul(pull_v, dy, out=columns[:, 5])
    by_n = power.mul_(log_z.mul_(b / n) - b_slope).add_(b_slope)
    torch.mul(by_n, light, out=columns[:, 6])
    columns[:, 7] = light
    if pixels.psf is not None:
        columns = pixels.psf.convolve(columns)
    columns[:, 7] = pixels.image - columns[:, 7]
    return columns.mul_(pixels.weight[:, None]).flatten(2)


def _normal(pixels: Pixels, parameters: Tensor) -> Tensor:
    """[b, 8, 8]: J^T J, J^T r and r^T r."""
    plain = pixels.psf is None and pixels.image.device.type == "cpu" and pixels.image.dtype == torch.float32
    if _compiled is not None and plain:
        return _compiled_normal(pixels, parameters)
    columns = _columns(pixels, parameters)
    return torch.bmm(columns, columns.transpose(1, 2)).to(parameters.dtype)


def _compiled_normal(pixels: Pixels, parameters: Tensor) -> Tensor:
    n, (b, b_slope) = parameters[:, 6].exp(), half_light_b(parameters[:, 6])
    model = torch.cat([parameters[:, :6], torch.stack([1.0 / n, b, b_slope], 1)], 1).contiguous()
    weight = pixels.weight if pixels.weight.stride() == pixels.image.stride() else pixels.weight.contiguous()
    image = pixels.image if pixels.image.stride() == weight.stride() else pixels.image.contiguous()
    out = torch.empty(len(model), 8, 8, dtype=torch.float64)
    arrays = (image, weight, pixels.x.contiguous(), pixels.y.contiguous(), model, out)
    _compiled.normal(*(entry.data_ptr() for entry in arrays), *image.shape, *image.stride(), FLOOR)
    return out


def _propose(normal: Tensor, damping: Tensor) -> Tensor:
    """Marquardt's step: (J^T J + damping diag) step = J^T r."""
    matrix, gradient = normal[:, :7, :7], normal[:, :7, 7]
    scale = matrix.diagonal(dim1=1, dim2=2).clamp(min=1e-300).rsqrt()
    unit = matrix * scale[:, :, None] * scale[:, None, :]
    unit = torch.nan_to_num(unit) + torch.diag_embed(damping[:, None].expand(-1, 7))
    step = torch.linalg.solve_ex(unit, torch.nan_to_num(gradient * scale)[:, :, None])[0][:, :, 0]
    return torch.nan_to_num(step * scale)


def _bounded(old: Tensor, step: Tensor) -> Tensor:
    """The new parameters; n, and each change of size and n, stay within bounds."""
    new = old + step
    smallest, largest = torch.log(old.new_tensor(SMALLEST_N)), torch.log(old.new_tensor(LARGEST_N))
    new[:, 6] = (old[:, 6] + step[:, 6].clamp(-1.0, 1.0)).clamp(smallest, largest)
    for index in (3, 5):  # diagonal of L: positive, at most a factor of three at once
        new[:, index] = torch.minimum(torch.maximum(new[:, index], old[:, index] / 3), old[:, index] * 3)
    return new


def _minimise(
    pixels: Pixels, start: Tensor, *, tolerance: float, damping: float, most_rounds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Parameters, chi^2 and whether the fit converged; objects leave the batch as they converge."""
    best = start.clone()
    which = torch.arange(len(start), device=start.device)
    normal = _normal(pixels, best)
    damping = torch.full_like(best[:, 0], damping)
    converged = torch.zeros_like(which, dtype=torch.bool)
    active = pixels
    for _ in range(most_rounds):
        step = _propose(normal[which], damping[which])
        promise = (2.0 * step * normal[which, :7, 7] - (step[:, None] @ normal[which, :7, :7])[:, 0] * step).sum(1)
        done = (promise <= 0.1 * tolerance * normal[which, 7, 7]) & (damping[which] < 1.0)
        trial = _bounded(best[which], step)
        if bool(done.all()):  # a step this small keeps its promise: no need to look
            best[which] = trial
        else:
            new = _normal(active, trial)
            old_chi2, chi2 = normal[which, 7, 7], new[:, 7, 7]
            better = (chi2 < old_chi2) | done  # False for NaN
            best[which[better]], normal[which[better]] = trial[better], new[better]
            damping[which] = torch.where(better, damping[which] * 0.1, damping[which] * 10).clamp(1e-12, 1e12)
            done = done | (better & (old_chi2 - chi2 <= tolerance * old_chi2)) | (~better & (damping[which] > 1e8))
        converged[which[done]] = True
        if bool(done.any()):
            which = which[~done]
            if len(which) == 0:
                break
            active = _part(active, ~done)
    return best, normal[:, 7, 7], converged


def _part(pixels: Pixels, keep: Tensor) -> Pixels:
    psf = pixels.psf
    if psf is not None and len(psf.spectrum) > 1:
        psf = psf._replace(spectrum=psf.spectrum[keep])
    return pixels._replace(image=pixels.image[keep], weight=pixels.weight[keep], psf=psf)


class Guess(NamedTuple):
    """Start of the fit [b]: centre in the stamp, half-light radius, ellipticity, orientation, index, brightness at r_half."""

    x: Tensor
    y: Tensor
    r_half: Tensor
    ellipticity: Tensor
    theta: Tensor
    n: Tensor
    amplitude: Tensor


def fit(image: Tensor, sigma: Tensor, guess: Guess, psf: Tensor | None = None) -> Sersic:
    """Fit pixels with a positive sigma and a value other than zero (masked pixels are zero).

    image, sigma: [b, y, x].  psf: [y, x] or [b, y, x].  flag 1: n at its bound; 2: too few pixels, a start that is not
    finite, or no convergence.
    """
    used = (sigma > 0) & (image != 0)
    number = used.sum((1, 2))
    weight = torch.where(used, 1.0 / torch.where(used, sigma, 1.0), 0.0)
    start = _start(guess)
    possible = (number > 7) & torch.isfinite(start).all(1)
    safe = torch.where(possible[:, None], start, _start(_plain(guess)))
    height, width = image.shape[1:]
    x, y = pixel_lines(height, width, image)
    # single precision: its error in a parameter is some 1e-5 of the parameter's own standard error
    pixels = Pixels(*(entry.float() for entry in (image, weight, x, y)), None)
    if psf is not None:
        pixels = pixels._replace(psf=make_psf(psf.float(), height, width))
    # the way to the minimum is walked on every third pixel and without the PSF; only the last steps need all
    enough = (number > 1000) & possible
    if bool(enough.any()):
        thin = (pixels.image[:, ::3, ::3], pixels.weight[:, ::3, ::3], pixels.x[:, :, ::3], pixels.y[:, ::3])
        safe[enough] = _minimise(
            _part(Pixels(*thin, None), enough), safe[enough], tolerance=1e-3, damping=1e-3, most_rounds=20
        )[0]
    parameters, chi2, converged = _minimise(pixels, safe, tolerance=1e-5, damping=1e-5, most_rounds=MOST_ROUNDS)
    r_half, ellipticity, theta = _from_matrix(parameters[:, 3:6])
    n = parameters[:, 6].exp()
    bound = (n <= SMALLEST_N * 1.0001) | (n >= LARGEST_N * 0.9999)
    flag = torch.where(possible & converged, bound.long(), 2)
    values = (parameters[:, 0], r_half, n, parameters[:, 1], parameters[:, 2], ellipticity, theta, chi2)
    return Sersic(*(torch.where(possible, entry, torch.nan) for entry in values), number, flag)


def _start(guess: Guess) -> Tensor:
    matrix = _to_matrix(guess.r_half.clamp(min=0.1), guess.ellipticity.clamp(0.0, 0.98), guess.theta)
    n = guess.n.clamp(SMALLEST_N, LARGEST_N).log()
    return torch.cat([torch.stack([guess.amplitude, guess.x, guess.y], 1), matrix, n[:, None]], 1)


def _plain(guess: Guess) -> Guess:
    one = torch.ones_like(guess.x)
    return Guess(one, one, 3 * one, 0 * one, 0 * one, one, one)
