"""All measurements of one batch of stamps, in the order in which they depend on each other.

Order and choices follow Rodriguez-Gomez et al. (2019): Petrosian radius about the centroid, centre of least asymmetry, shape
about it, Petrosian radii, then everything inside them.  Columns are float64 [b]; reasons are an int64 bit mask [b].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from . import asymmetry, cas, gini_m20, mid, moments, sersic, shape
from .apertures import Coordinates, Ellipses, Growth, coordinates, growth, part_inside, pixel_lines, together
from .definitions import BITS, Definitions
from .petrosian import Petrosian, fraction_radius, petrosian_radius
from .sky import Skybox, find_skybox
from .stamps import Stamps


@dataclass
class Record:
    """The columns measured so far and the reasons for doubt."""

    reasons: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)

    def doubt(self, name: str, where: Tensor) -> None:
        """Add the reason `name` where the condition [b] holds."""
        self.reasons |= torch.where(where, BITS[name], 0)


class Centred(NamedTuple):
    """Where the source is: centroid, centre of least asymmetry (both (x, y) [b, 2]) and ellipses about the latter."""

    centroid: Tensor
    centre: Tensor
    ellipses: Ellipses


def measure_batch(
    parts: list[Stamps],
    definitions: Definitions,
    *,
    gain: list | None = None,
    psf: list | None = None,
    fit_sersic: bool = True,
) -> list[Record]:
    """Measure stamps whose sources have positive flux; one record per part, see `table.COLUMNS`.

    The centres of all parts are searched together, the rest is measured part by part: that fits a processor's cache.
    gain: per part None or electrons per unit of the image [b].  psf: per part None, [y, x] or [b, y, x].
    """
    started = [_begin(stamps, definitions) for stamps in parts]
    centres = asymmetry.find_centres(parts, [entry.search for entry in started])
    for index, (stamps, begun, centre) in enumerate(zip(parts, started, centres, strict=True)):
        errors = _errors(stamps, begun.sky, gain[index] if gain else None)
        axis = _finish(stamps, begun, centre, definitions, errors)
        if fit_sersic:
            _sersic(stamps, begun, axis, errors, psf[index] if psf else None)
    return [begun.record for begun in started]


class Begun(NamedTuple):
    """A part before its centres are known."""

    record: Record
    sky: Skybox
    light: Tensor
    search: asymmetry.Search


def _begin(stamps: Stamps, definitions: Definitions) -> Begun:
    """Sky, centroid and the Petrosian radius about it."""
    record = Record(torch.zeros(len(stamps), dtype=torch.int64, device=stamps.image.device))
    sky = find_skybox(stamps, definitions.skybox)
    record.doubt("skybox", ~sky.found)
    record.doubt("sky_offset", sky.mean.abs() > sky.sigma)
    record.columns.update(sky_mean=sky.mean, sky_median=sky.median, sky_sigma=sky.sigma)
    light = torch.where(stamps.segment, stamps.image, 0.0)
    middle, _ = moments.centroid(light)
    size = stamps.size.flip(1).to(middle.dtype)
    outside = ((middle < 0) | (middle >= size)).any(1)
    middle = torch.where(outside[:, None], size / 2.0, middle)
    record.doubt("centroid_outside", outside)
    record.doubt("centroid_masked", stamps.pixels(middle[:, 1].long(), middle[:, 0].long()) == 0)
    peak = light.flatten(1).argmax(1)
    width = light.shape[2]
    brightest = torch.stack([peak % width, peak // width], 1).to(middle.dtype)
    curve = growth(stamps.image, stamps.valid, Ellipses.circles(middle), stamps.size)
    found = petrosian_radius(curve, stamps.diagonal, eta=definitions.eta, width=definitions.annulus_width)
    petrosian = _petrosian_doubts(record, found)
    radius, reach = definitions.cas_extent * petrosian, definitions.cas_smoothing * petrosian
    return Begun(record, sky, light, asymmetry.Search(sky.asymmetry, radius, middle, brightest, reach))


def _finish(stamps: Stamps, begun: Begun, centre: asymmetry.Centre, definitions: Definitions, errors: Tensor) -> Coordinates:
    """Everything about the centre of least asymmetry; returns the pixels' coordinates in the ellipses about it."""
    record, sky = begun.record, begun.sky
    place = _centre(stamps, begun, centre)
    curves = _radii(stamps, place, definitions, record)
    _cas(stamps, sky, place, begun.search.radius, definitions, record)
    segment = _gini_m20(stamps, place, definitions, record)
    _mid(stamps, segment, definitions, record)
    axis = coordinates(place.ellipses, *pixel_lines(*stamps.image.shape[1:], stamps.image))
    _shape(stamps, sky, place, axis, curves, definitions, record)
    bright = segment & (stamps.image >= 0) & (errors > 0)
    ratio = torch.where(bright, stamps.image / torch.where(bright, errors, 1.0), 0.0).sum((1, 2)) / bright.sum((1, 2))
    record.doubt("signal_to_noise", ~bright.flatten(1).any(1))
    record.columns["sn_per_pixel"] = ratio
    return axis


def _petrosian_doubts(record: Record, found: Petrosian) -> Tensor:
    record.doubt("petrosian_zero", found.dark)
    record.doubt("petrosian_small", found.small)
    record.doubt("petrosian_large", found.large)
    return found.radius


def _centre(stamps: Stamps, begun: Begun, best: asymmetry.Centre) -> Centred:
    """The centres and the shape about the second."""
    record, middle = begun.record, begun.search.centroid
    record.doubt("minimizer_left", best.left)
    record.doubt("minimizer_dark", best.dark)
    record.doubt("centre_drifted", best.drifted)
    record.doubt("centre_lost", best.lost)
    pixel = torch.minimum(best.position.long().clamp(min=0), stamps.size.flip(1) - 1)
    record.doubt("centre_masked", stamps.pixels(pixel[:, 1], pixel[:, 0]) == 0)
    shapes = _shapes(stamps, begun.light, middle, best.position, record)
    return Centred(middle, best.position, Ellipses(best.position, *shapes))


def _shapes(stamps: Stamps, light: Tensor, centroid: Tensor, centre: Tensor, record: Record) -> tuple[Tensor, Tensor]:
    """Elongation and orientation about the centre of least asymmetry, recorded for both centres."""
    for name, point in (("centroid", centroid), ("asymmetry", centre)):
        form = moments.ellipse(light, point)
        record.doubt("second_moment", form.doubtful)
        record.columns[f"xc_{name}"] = point[:, 0] + stamps.origin[:, 1]
        record.columns[f"yc_{name}"] = point[:, 1] + stamps.origin[:, 0]
        record.columns[f"ellipticity_{name}"] = form.ellipticity
        record.columns[f"elongation_{name}"] = form.elongation
        record.columns[f"orientation_{name}"] = form.orientation
    return form.elongation, form.orientation


def _radii(stamps: Stamps, place: Centred, definitions: Definitions, record: Record) -> tuple[Growth, Growth]:
    """Petrosian radii, fluxes and light-fraction radii; the curves of growth in circles and in ellipses."""
    columns, limits = record.columns, {"eta": definitions.eta, "width": definitions.annulus_width}
    round_curve = growth(stamps.image, stamps.valid, Ellipses.circles(place.centre), stamps.size)
    curve = growth(stamps.image, stamps.valid, place.ellipses, stamps.size)
    # curves are small: what takes time is how often they are asked, so that all are asked together
    largest = torch.cat([stamps.diagonal, stamps.diagonal * place.ellipses.elongation])
    found = petrosian_radius(together(round_curve, curve), largest, **limits)
    for name, part in zip(("circ", "ellip"), zip(*(entry.chunk(2) for entry in found), strict=True), strict=True):
        columns[f"rpetro_{name}"] = _petrosian_doubts(record, Petrosian(*part))
    for name, growing in (("circ", round_curve), ("ellip", curve)):
        reach = definitions.flux_extent * columns[f"rpetro_{name}"]
        columns[f"flux_{name}"] = growing.at(growing.flux, reach[:, None])[:, 0].abs()
    whole = definitions.cas_extent * columns["rpetro_circ"].repeat(3)
    fraction = whole.new_tensor([0.2, 0.5, 0.8]).repeat_interleave(len(stamps))[:, None]
    radii, wrong = fraction_radius(together(*[round_curve] * 3), whole, fraction)
    for percent, radius, doubtful in zip((20, 50, 80), radii.chunk(3), wrong.chunk(3), strict=True):
        record.doubt("radius", doubtful)
        columns[f"r{percent}"] = torch.where(radius > 0, radius, torch.nan)
    return round_curve, curve


def _cas(stamps: Stamps, sky: Skybox, place: Centred, radius: Tensor, definitions: Definitions, record: Record) -> None:
    columns = record.columns
    columns["concentration"] = cas.concentration(columns["r20"], columns["r80"])
    found = asymmetry.circular_asymmetry(stamps, sky.asymmetry, sky.sigma, radius, place.centre)
    columns["asymmetry"], columns["rms_asymmetry2"] = found
    columns["smoothness"] = cas.smoothness(
        stamps,
        sky,
        place.centre,
        columns["rpetro_circ"],
        smoothing=definitions.cas_smoothing,
        extent=definitions.cas_extent,
        largest=definitions.skybox,
    )
    record.doubt("smoothness", columns["smoothness"].isnan())


def _gini_m20(stamps: Stamps, place: Centred, definitions: Definitions, record: Record) -> Tensor:
    """Records Gini and M20; returns their segment [b, y, x]."""
    columns = record.columns
    about_centroid = place.ellipses._replace(centre=place.centroid)
    found = gini_m20.petrosian_segment(
        stamps,
        columns["rpetro_ellip"],
        about_centroid,
        smoothing=definitions.gini_smoothing,
        width=definitions.annulus_width,
    )
    record.doubt("gini_segment_empty", found.empty)
    record.doubt("gini_segment_full", found.full)
    record.doubt("gini_segment_split", found.split)
    columns["gini"] = gini_m20.gini(stamps.image, found.pixels)
    columns["m20"] = gini_m20.m20(stamps.image, found.pixels)
    record.doubt("gini", columns["gini"].isnan())
    record.doubt("m20", columns["m20"].isnan())
    columns["gini_m20_bulge"] = gini_m20.bulge_statistic(columns["gini"], columns["m20"])
    columns["gini_m20_merger"] = gini_m20.merger_statistic(columns["gini"], columns["m20"])
    return found.pixels


def _mid(stamps: Stamps, gini_segment: Tensor, definitions: Definitions, record: Record) -> None:
    window = mid.source_window(stamps)
    grown = mid.mid_segment(window, definitions.eta)
    other = mid.in_window(gini_segment, window)
    segment = torch.where(grown.undefined[:, None, None], other, grown.pixels)
    record.doubt("mid_segment", grown.added & ~grown.undefined)
    light = mid.trim(torch.where(segment, window.light, 0.0))
    record.columns["multimode"] = mid.multimode(light, window.number)
    peaks = mid.brightest_peaks(light, definitions.mid_sigma)
    record.columns["intensity"] = peaks.intensity
    area = torch.where(grown.undefined, gini_segment.sum((1, 2)), segment.sum((1, 2)))
    record.columns["deviation"] = torch.where(peaks.none, torch.nan, mid.deviation(light, area, peaks.position))
    record.doubt("deviation", record.columns["deviation"].isnan())
    both = (other & segment).sum((1, 2)) / torch.maximum(gini_segment.sum((1, 2)), area).clamp(min=1)
    record.doubt("segments_differ", ~grown.undefined & (both < definitions.segmap_overlap))


def _shape(
    stamps: Stamps, sky: Skybox, place: Centred, axis: Coordinates, curves: tuple[Growth, Growth], definitions: Definitions, record: Record
) -> None:
    columns = record.columns
    inner = definitions.flux_extent * columns["rpetro_ellip"]
    found = shape.shape_segment(stamps, sky, place.centre, inner, definitions.skybox)
    record.doubt("shape_segment", found.added)
    record.doubt("shape_undefined", found.undefined)
    circles = Ellipses.circles(place.centre)
    columns["rmax_circ"], columns["rmax_ellip"] = (shape.farthest(found.pixels, e) for e in (circles, place.ellipses))
    half, wrong = fraction_radius(together(*curves), torch.cat([columns["rmax_circ"], columns["rmax_ellip"]]), 0.5)
    columns["rhalf_circ"], columns["rhalf_ellip"] = half.chunk(2)
    for doubtful in wrong.chunk(2):
        record.doubt("radius", doubtful)
    lines = pixel_lines(*stamps.image.shape[1:], stamps.image)
    inside_circle = part_inside(coordinates(circles, *lines), columns["rmax_circ"])
    binary = found.pixels.to(stamps.image.dtype)
    none = torch.zeros_like(columns["rmax_circ"])
    columns["shape_asymmetry"] = asymmetry.weighted_asymmetry(stamps, binary, inside_circle, none, place.centre)
    ring = part_inside(axis, columns["rmax_ellip"]) - part_inside(axis, columns["rhalf_ellip"])
    columns["outer_asymmetry"] = asymmetry.weighted_asymmetry(stamps, stamps.image, ring, sky.asymmetry, place.centre)


def _errors(stamps: Stamps, sky: Skybox, gain: Tensor | None) -> Tensor:
    """Standard deviation of every pixel [b, y, x]; 0 where masked.

    From the weightmap, or Poisson noise of `gain` electrons per unit plus the sky's noise, or the sky's noise alone.
    """
    if stamps.weightmap is not None:
        return stamps.weightmap.abs()
    variance = torch.nan_to_num(sky.sigma).square().float()[:, None, None].expand_as(stamps.image)
    if gain is not None:
        variance = variance + stamps.image.abs() / (gain * stamps.unit).float()[:, None, None]
    return torch.where(stamps.valid, variance, 0.0).sqrt()


def _guess(stamps: Stamps, columns: dict[str, Tensor], axis: Coordinates) -> sersic.Guess:
    """Start of the fit: the shape about the centre of least asymmetry, n from the concentration."""
    x = columns["xc_asymmetry"] - stamps.origin[:, 1]
    y = columns["yc_asymmetry"] - stamps.origin[:, 0]
    elongation, theta = columns["elongation_asymmetry"], columns["orientation_asymmetry"]
    r_half = columns["rhalf_ellip"]
    inner, outer = r_half - 0.5, r_half + 0.5
    ring = (part_inside(axis, outer) - part_inside(axis, torch.where(inner < 0, r_half, inner))) * stamps.valid
    brightness = ((ring * stamps.image).sum((1, 2)) / ring.sum((1, 2)).clamp(min=1e-9)).abs().double()
    n = (10.0**-1.5 * torch.nan_to_num(columns["concentration"], nan=2.8).clamp(min=0) ** 3.5).clamp(1.0, 3.5)
    return sersic.Guess(x, y, r_half, 1 - 1 / elongation, theta, n, brightness.clamp(min=1e-30))


def _sersic(stamps: Stamps, begun: Begun, axis: Coordinates, errors: Tensor, psf: Tensor | None) -> None:
    columns = begun.record.columns
    # without any known error every pixel counts alike
    unknown = ~(errors > 0).flatten(1).any(1)[:, None, None]
    found = sersic.fit(stamps.image, torch.where(unknown & stamps.valid, 1.0, errors), _guess(stamps, columns, axis), psf)
    columns["sersic_amplitude"], columns["sersic_rhalf"], columns["sersic_n"] = found.amplitude, found.r_half, found.n
    columns["sersic_xc"], columns["sersic_yc"] = found.x + stamps.origin[:, 1], found.y + stamps.origin[:, 0]
    columns["sersic_ellip"], columns["sersic_theta"] = found.ellipticity, found.theta
    columns["flag_sersic"] = found.flag
    number, free = found.pixels.to(found.chi2.dtype), 7
    columns["sersic_chi2_dof"] = found.chi2 / (number - free)
    scatter = number * torch.log(found.chi2 / number)
    columns["sersic_bic"] = scatter + free * torch.log(number)
    few = number / free < 40  # corrected for small samples (Cavanaugh 1997)
    columns["sersic_aic"] = scatter + 2 * free + torch.where(few, 2 * free * (free + 1) / (number - free - 1), 0.0)
