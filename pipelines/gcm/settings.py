"""Settings of the `sciml gcm` commands: one frozen dataclass per command, checked when it is made."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Literal

from sciml.pipelines.errors import SettingsError, suggest
from sciml.pipelines.option_checks import positive, require
from sciml.pipelines.settings import setting

from .neural_settings import NeuralOptions

CASES = ("rest", "baroclinic_wave", "steady_state", "held_suarez", "williamson2", "williamson5", "galewsky")
SHALLOW_WATER = ("williamson2", "williamson5", "galewsky")
SCHEMES = (
    "imex_rk_sil3", "semi_implicit_leapfrog", "crank_nicolson_rk2", "crank_nicolson_rk3", "crank_nicolson_rk4",
    "backward_forward_euler",
)  # fmt: skip
Scheme = Literal[
    "imex_rk_sil3", "semi_implicit_leapfrog", "crank_nicolson_rk2", "crank_nicolson_rk3", "crank_nicolson_rk4",
    "backward_forward_euler",
]  # fmt: skip
Precision = Literal["float32", "BF16_BF16_F32_X3", "TF32", "float64"]

TRACERS = ("specific_humidity", "specific_cloud_ice_water_content", "specific_cloud_liquid_water_content")
# Names as in WeatherBench2, by kind of model.
VARIABLES = {
    "primitive": (
        "u_component_of_wind", "v_component_of_wind", "temperature", "geopotential", "vorticity", "divergence",
        "vertical_velocity", "surface_pressure", "mean_sea_level_pressure", *TRACERS,
    ),
    "shallow_water": (
        "u_component_of_wind", "v_component_of_wind", "height", "vorticity", "divergence", "depth", "potential_vorticity",
    ),
}  # fmt: skip
# Written unless --variables says otherwise; moisture is added where the initial state has some.
DEFAULT_VARIABLES = {
    "primitive": (
        "u_component_of_wind", "v_component_of_wind", "temperature", "geopotential", "surface_pressure",
        "mean_sea_level_pressure",
    ),
    "shallow_water": ("u_component_of_wind", "v_component_of_wind", "height", "vorticity"),
}  # fmt: skip
# The 13 pressure levels of WeatherBench2 [hPa].
PRESSURE_LEVELS = ("50", "100", "150", "200", "250", "300", "400", "500", "600", "700", "850", "925", "1000")

START, MODEL, ENSEMBLE, OUTPUT, RUN = "Initial state", "Model", "Ensemble", "Output", "Run"
_FILE_ENDINGS = (".nc", ".nc4", ".netcdf", ".zarr", ".h5", ".hdf5", ".cdf", ".grib", ".grib2", ".grb")
# Minutes x wavenumber: 30 min at T42, 15 at T85. The explicit part of imex_rk_sil3 carries |omega dt| <= sqrt(3), and
# a wind of 140 m s-1 over Earth's radius of 6.37e6 m turns wavenumber 42 by 1.66 in 30 min.
_STEP_WAVENUMBERS = 42 * 30.4
_LONGEST_STEP = 30.0  # [min]
_DRIFTING_RUN = 15.0  # [days], from which on the mean pressure's drift in float32 matters
_LONG_RUN = 40.0  # [days], from which on one frame a day is written unless more are asked for


def _dividing_steps(minutes: float, step: float) -> list[float]:
    """The nearest shorter and longer step that divides `minutes`, in whole seconds where there is one near."""
    seconds, fewest = round(minutes * 60), max(math.ceil(minutes / step - 1e-9), 1)
    shorter = next((n for n in range(fewest, 2 * fewest) if seconds % n == 0), fewest)
    longer = next((n for n in range(fewest - 1, fewest // 2, -1) if seconds % n == 0), fewest - 1)
    return [minutes / n for n in (shorter, longer) if n > 0]


@dataclass(frozen=True)
class DynamicsOptions:
    """The part of `sciml gcm rollout` that the dynamical core and every model share."""

    days: float = setting(10.0, "length of the run [days]", panel=START)
    initial: str = setting(
        "baroclinic_wave", f"{', '.join(CASES)}, or an analysis on pressure levels (NetCDF or Zarr)", panel=START,
        metavar="CASE|FILE",
    )  # fmt: skip
    surface: Path | None = setting(
        None, "file with surface geopotential (and land-sea mask), for an analysis without", panel=START
    )
    regrid: Literal["conservative", "bilinear"] = setting(
        "conservative", "horizontal interpolation of an analysis: cell means, or between points", panel=START
    )
    start: str | None = setting(
        None, "date and time of the first frame; default: 2000-01-01, or the analysis' own", panel=START
    )

    truncation: str = setting("T42", "T21 to T425 (quadratic grids) or TL31 to TL1279 (linear grids)", panel=MODEL)
    levels: int = setting(24, "sigma layers of equal thickness", panel=MODEL)
    step_minutes: str = setting("auto", "time step [min]; auto: from truncation, 30 at T42", panel=MODEL)
    scheme: Scheme = setting("imex_rk_sil3", "time integration", panel=MODEL)
    forcing: Literal["auto", "none", "held_suarez"] = setting(
        "auto", "auto: held_suarez for --initial held_suarez, else none", panel=MODEL
    )
    precision: Precision = setting("float32", "arithmetic of the spherical-harmonic transform", panel=MODEL)
    filter_hours: float | None = setting(
        None, "time in which the exponential filter damps the shortest wave by e^16 [h]; default: as NeuralGCM's; "
        "none under the Held-Suarez forcing, which has diffusion",
        panel=MODEL,
    )  # fmt: skip
    diffusion_hours: float | None = setting(
        None, "e-folding time of the shortest wave under diffusion [h], 0: none; default: none; 6 at T42 for an analysis; "
        "2.4 under the Held-Suarez forcing",
        panel=MODEL,
    )  # fmt: skip
    diffusion_order: int | None = setting(
        None, "power of the Laplacian in the diffusion; default: 2, del^4; 4, del^8, under the Held-Suarez forcing",
        panel=MODEL,
    )  # fmt: skip
    fix_mass: bool | None = setting(
        None, "keep the global mean of log surface pressure; default: in runs over 15 days", panel=MODEL
    )
    digital_filter_hours: float = setting(
        0.0, "span of a digital filter that takes fast waves out of the initial state [h]; 0: none", panel=MODEL
    )

    members: int = setting(1, "ensemble members, integrated together", panel=ENSEMBLE)
    perturbation: float = setting(
        0.5, "rms wind of the members' random perturbation [m s-1]; member 0 has none", panel=ENSEMBLE
    )
    seed: int = setting(0, "random seed of the perturbations", panel=ENSEMBLE)

    every_hours: float | None = setting(
        None, "time between frames [h]; default: 6, or 24 for runs over 40 days", panel=OUTPUT
    )
    variables: tuple[str, ...] = setting((), "what is written; default: wind, temperature, ...", panel=OUTPUT)
    output_levels: tuple[str, ...] = setting(
        PRESSURE_LEVELS,
        'pressure levels [hPa], or "sigma" for the model\'s own; of NeuralGCM by default all 37',
        panel=OUTPUT,
    )
    to: Path | None = setting(None, "file (.nc) or folder (.zarr) to write; default: in the run folder", panel=OUTPUT)
    overwrite: bool = setting(False, "replace an existing --to", panel=OUTPUT)
    report: bool = setting(True, "draw the report page at the end", panel=OUTPUT)

    device: str = setting("auto", "auto, cpu, cuda, cuda:N or tpu", panel=RUN)
    devices: int = setting(1, "devices that share the run, from --device on: members first, then the state", panel=RUN)
    out: Path | None = setting(None, "run folder; default: runs/gcm-rollout/<time>", panel=RUN)
    resume: Path | None = setting(None, "continue this run folder exactly; a larger --days extends it", panel=RUN)
    max_minutes: float | None = setting(None, "stop after this long and keep a checkpoint [min]", panel=RUN)

    def _check_dynamics(self) -> None:
        positive(
            self,
            "days",
            "levels",
            "members",
            "devices",
            "diffusion_order",
            "every_hours",
            "filter_hours",
            "max_minutes",
        )
        for name in ("perturbation", "digital_filter_hours", "diffusion_hours", "seed"):
            value = getattr(self, name) or 0
            shown = f"--{name.replace('_', '-')} {value:g}"
            require(math.isfinite(value) and value >= 0, f"{shown}: must not be negative")
        require(self.levels >= 2 or self.shallow_water, f"--levels {self.levels}: the model needs at least 2")
        self._check_names()
        self._check_surface()
        self._check_output()
        self._check_times()

    def _check_names(self) -> None:
        require(
            re.fullmatch(r"TL?\d+", self.truncation) is not None,
            f'--truncation "{self.truncation}": expected T or TL and a number',
            hint="e.g. T21, T42, T85, T170 or TL31, TL63, TL127, TL255",
        )
        if self.initial in CASES or self.is_file:
            return
        raise SettingsError(
            f'--initial "{self.initial}": no such case, and no such file; {suggest(self.initial, CASES)}',
            hint="an analysis is given by its file name, e.g. --initial era5.nc",
        )

    def _check_surface(self) -> None:
        require(
            self.surface is None or self.is_file,
            f"--surface {self.surface}: --initial {self.initial} has a surface of its own",
            hint="--surface belongs to an analysis: --initial FILE --surface FILE",
        )
        require(
            not (self.shallow_water and self.forcing == "held_suarez"),
            f"--forcing held_suarez: --initial {self.initial} is a shallow-water case, without temperature",
            hint="use --forcing none, or --initial held_suarez",
        )

    def _check_output(self) -> None:
        accepted = VARIABLES[self.kind]
        for name in () if self.neural else self.variables:
            require(name in accepted, f'--variables: no variable "{name}"; {suggest(name, accepted)}')
        require(
            len(set(self.variables)) == len(self.variables), f"--variables {','.join(self.variables)}: one stands twice"
        )
        self.pressures  # noqa: B018, checks --output-levels
        endings = (".nc", ".zarr")
        require(
            self.to is None or self.to.suffix in endings,
            f"--to {self.to}: the ending says the format, and must be {' or '.join(endings)}",
            hint=f"e.g. --to {Path((self.to and self.to.name) or 'forecast').with_suffix('.nc')}",
        )

    def _check_times(self) -> None:
        if self.start is not None:
            try:
                datetime.fromisoformat(self.start)
            except ValueError:
                raise SettingsError(
                    f'--start "{self.start}": not a date', hint="e.g. --start 2020-01-31 or 2020-01-31T12:00"
                ) from None
        frames = self.days * 24 / self.interval_hours
        require(
            abs(frames - round(frames)) < 1e-9 * frames + 1e-6 and round(frames) >= 1,
            f"--days {self.days:g} is no whole number of output intervals of {self.interval_hours:g} h",
            hint=f"use --days {max(math.ceil(frames), 1) * self.interval_hours / 24:g}, or another --every-hours",
        )
        seconds = self.interval_hours * 3600
        require(
            abs(seconds - round(seconds)) < 1e-6 and round(seconds) >= 1,
            f"--every-hours {self.interval_hours:g}: must be a whole number of seconds",
        )
        self.step_seconds  # noqa: B018, checks --step-minutes

    # --- what follows from the settings

    @property
    def is_file(self) -> bool:
        """Whether --initial names a file."""
        text = self.initial
        return text not in CASES and (
            text.lower().rstrip("/").endswith(_FILE_ENDINGS) or "/" in text or Path(text).exists()
        )

    @property
    def shallow_water(self) -> bool:
        """Whether --initial is a case of the shallow-water equations."""
        return self.initial in SHALLOW_WATER

    @property
    def fixes_mass(self) -> bool:
        """Whether the mass is kept after every step."""
        return self.days > _DRIFTING_RUN if self.fix_mass is None else self.fix_mass

    @property
    def diffusion(self) -> float:
        """E-folding time of the shortest wave [h]; 0 for none.

        Over real mountains and without any physics the enstrophy that cascades to the smallest scales ends a run at TL63
        within three days, whatever the step; 6 h keep it for ten. Shorter by 2.4 with each halving of the grid, as usual.
        Held & Suarez (1994) damp with del^8 in 0.1 day at every resolution: at T21 their jets stand at 42 to 47 degrees so,
        and at 31 to 36 under the exponential filter, which takes a quarter of the wavenumbers with it.
        """
        if self.diffusion_hours is not None:
            return self.diffusion_hours
        if self.forced:
            return 2.4
        return 6.0 * (42.0 / self.wavenumber) ** math.log2(2.4) if self.is_file else 0.0

    @property
    def diffusion_power(self) -> int:
        """Power of the Laplacian in the diffusion."""
        return self.diffusion_order or (4 if self.forced else 2)

    @property
    def filtered(self) -> bool:
        """Whether the exponential filter acts."""
        return not self.forced or self.filter_hours is not None

    @property
    def kind(self) -> str:
        """primitive or shallow_water."""
        return "shallow_water" if self.shallow_water else "primitive"

    @property
    def forced(self) -> bool:
        """Whether the Held-Suarez forcing acts."""
        return self.forcing == "held_suarez" or self.forcing == "auto" and self.initial == "held_suarez"

    @property
    def written(self) -> tuple[str, ...]:
        """The variables of the file, as far as the settings tell."""
        return self.variables or DEFAULT_VARIABLES[self.kind] + (TRACERS if self.is_file else ())

    @property
    def wavenumber(self) -> int:
        """The largest wavenumber, 42 for T42."""
        return int(self.truncation.lstrip("TL"))

    @property
    def interval_hours(self) -> float:
        """Time between frames [h]."""
        if self.every_hours is not None:
            return self.every_hours
        return min(24.0 if self.days > _LONG_RUN else 6.0, self.days * 24)

    @property
    def intervals(self) -> int:
        """Number of frames after the initial one."""
        return round(self.days * 24 / self.interval_hours)

    @property
    def report_frames(self) -> tuple[int, ...]:
        """The frames that the report shows: days 1, 5, 8 and 10 of a run of ten days, and in proportion.

        Of a NeuralGCM forecast the start, too, and its thirds.
        """
        if self.neural:
            return tuple(sorted({round(part * self.intervals / 3) for part in range(4)}))
        share = (0.1, 0.5, 0.8, 1.0)
        return tuple(sorted({max(round(part * self.intervals), 1) for part in share}))

    @property
    def steps_per_interval(self) -> int:
        """Time steps between two frames."""
        minutes = self.interval_hours * 60
        if self.step_minutes == "auto":
            return round(minutes / _dividing_steps(minutes, self.auto_minutes())[0])
        step = self._typed_step()
        steps = max(round(minutes / step), 1)
        if abs(steps * step - minutes) > 1e-5 * minutes:
            near = " or ".join(f"{value:.6g}" for value in _dividing_steps(minutes, step))
            raise SettingsError(
                f"--step-minutes {self.step_minutes}: does not divide the output interval of {minutes:g} min",
                hint=f"use --step-minutes {near}, or another --every-hours",
            )
        return steps

    def _typed_step(self) -> float:
        try:
            step = float(self.step_minutes)
        except ValueError:
            raise SettingsError(f'--step-minutes "{self.step_minutes}": expected auto or a number [min]') from None
        require(math.isfinite(step) and step > 0, f"--step-minutes {self.step_minutes}: must be greater than 0")
        return step

    def auto_minutes(self) -> float:
        """The longest step that --step-minutes auto takes [min]; it is cut to divide the output interval."""
        return min(_STEP_WAVENUMBERS / max(self.wavenumber, 1), _LONGEST_STEP)

    @property
    def step_seconds(self) -> float:
        """Time step [s]."""
        return self.interval_hours * 3600 / self.steps_per_interval

    @property
    def pressures(self) -> tuple[float, ...] | None:
        """Pressure levels of the output [hPa], ascending; None for the model's own levels."""
        if self.output_levels == ("sigma",):
            return None
        found = []
        for text in self.output_levels:
            try:
                found.append(float(text))
            except ValueError:
                found.append(math.nan)
            require(
                0 < found[-1] <= 1100,
                f'--output-levels "{text}": expected pressures in hPa between 0 and 1100, or sigma alone',
                hint="e.g. --output-levels 250,500,850",
            )
        require(bool(found), "--output-levels: give at least one pressure [hPa], or sigma")
        require(len(set(found)) == len(found), f"--output-levels {','.join(self.output_levels)}: one stands twice")
        return tuple(sorted(found))


@dataclass(frozen=True)
class Rollout(NeuralOptions, DynamicsOptions):
    """`sciml gcm rollout`."""

    def __post_init__(self):
        self._check_dynamics()
        self.check_neural({field.name: field.default for field in fields(self)})


@dataclass(frozen=True)
class Report:
    """`sciml gcm report`."""

    run: Path = setting(
        Path("runs/gcm-rollout"), "run folder, or the folder of runs (the newest is taken)", metavar="RUN"
    )
