"""Options of `sciml gcm rollout` that belong to a NeuralGCM model, and which of the others such a model excludes.

A rollout is that of a NeuralGCM model when --checkpoint or --model is given; grid, layers, step and scheme are then the
model's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sciml.pipelines.errors import SettingsError, suggest
from sciml.pipelines.option_checks import option, require
from sciml.pipelines.settings import setting

NEURAL = "NeuralGCM"
MODELS = ("neuralgcm-2.8", "neuralgcm-1.4", "neuralgcm-0.7", "neuralgcm-ens-1.4")
SIMULATED = "baroclinic_wave"  # the default of --initial: an analysis computed from formulas
PERIODS = ("daily", "monthly")

_TRACERS = ("specific_humidity", "specific_cloud_ice_water_content", "specific_cloud_liquid_water_content")
_MOVED = ("u_component_of_wind", "v_component_of_wind", "temperature", *_TRACERS)
# What --outputs adds, by group; a group writes those of its variables that the model has.
OUTPUT_GROUPS: dict[str, tuple[str, ...]] = {
    "default": ("geopotential", *_MOVED),
    "surface": ("surface_pressure", "mean_sea_level_pressure"),
    "omega": ("vertical_velocity",),
    "water": (
        "precipitation_minus_evaporation", "precipitation_minus_evaporation_cumulative", "precipitation_rate",
        "total_precipitation", "evaporation", "evaporation_cumulative", "precipitable_water",
    ),
    "tendencies": (
        *(f"{name}_tendency_due_to_dynamics" for name in _MOVED),
        *(f"{name}_tendency_due_to_physics" for name in _MOVED),
    ),
    "sigma": (*(f"{name}_on_sigma" for name in (*_MOVED, "vorticity", "divergence")), "surface_pressure"),
}  # fmt: skip
OUTPUT_VARIABLES = tuple(dict.fromkeys(name for names in OUTPUT_GROUPS.values() for name in names))

# Options of the dynamical core alone: the checkpoint decides them.
_DECIDED = (
    "truncation", "levels", "step_minutes", "scheme", "forcing", "filter_hours", "diffusion_hours", "diffusion_order",
    "digital_filter_hours", "perturbation", "devices",
)  # fmt: skip
_HORIZON = 366_000.0  # [days], beyond which times leave what datetime64[ns] holds


@dataclass(frozen=True)
class NeuralOptions:
    """The part of `sciml gcm rollout` that a NeuralGCM model adds."""

    checkpoint: Path | None = setting(
        None, "NeuralGCM checkpoint: a released .pkl, or a folder made by `sciml gcm export`", panel=NEURAL
    )
    model: str | None = setting(
        None, f"a configuration of the NeuralGCM paper without a checkpoint: {', '.join(MODELS)}", panel=NEURAL
    )
    random_weights: bool = setting(False, "untrained weights for --model, drawn from --seed", panel=NEURAL)
    sea_surface: Path | None = setting(
        None,
        "file with sea_surface_temperature and sea_ice_cover in time; default: the file of --initial",
        panel=NEURAL,
    )
    sst_increment: float = setting(0.0, "added to the sea surface temperature, e.g. 1, 2 or 4 [K]", panel=NEURAL)
    persist_sst: bool = setting(False, "keep sea surface and ice as they are at the start", panel=NEURAL)
    forcing_shift_hours: float = setting(
        0.0, "take sea surface and ice from this much earlier, 24 as in the paper's forecasts [h]", panel=NEURAL
    )
    interpolation: Literal["log-pressure", "pressure", "none"] = setting(
        "log-pressure", "how levels of an analysis that are not the model's become so: linear in ln p, in p, or refused",
        panel=NEURAL,
    )  # fmt: skip
    outputs: tuple[str, ...] = setting(
        ("default", "surface", "water"), f"groups of variables to write: {', '.join(OUTPUT_GROUPS)}", panel=NEURAL
    )
    means: tuple[str, ...] = setting((), f"means written on the way: {', '.join(PERIODS)}", panel=NEURAL)

    @property
    def neural(self) -> bool:
        """Whether the rollout is that of a NeuralGCM model."""
        return self.checkpoint is not None or self.model is not None

    @property
    def neural_variables(self) -> tuple[str, ...]:
        """What a NeuralGCM rollout writes if the model has it, in the order of the groups."""
        names = getattr(self, "variables", ())
        if names:
            return tuple(names)
        return tuple(dict.fromkeys(name for group in self.outputs for name in OUTPUT_GROUPS[group]))

    def check_neural(self, defaults: dict[str, Any]) -> None:
        """SettingsError for options that exclude each other; `defaults` are those of all options by field name."""
        if not self.neural:
            self._check_unused(defaults)
            return
        self._check_model()
        self._check_lists()
        for name in _DECIDED:
            require(
                getattr(self, name) == defaults[name],
                f"{option(name)} {_shown(getattr(self, name))}: the NeuralGCM model has its own",
                hint=f"leave {option(name)} away; it belongs to the dynamical core alone",
            )
        require(
            self.is_file or self.initial == SIMULATED,
            f"--initial {self.initial}: a NeuralGCM model starts from an analysis on pressure levels",
            hint="give a file, --initial ERA5.nc; without one the analysis is simulated",
        )
        require(
            self.precision != "float64",
            "--precision float64: NeuralGCM models are trained and run in float32",
            hint="accepted: float32, BF16_BF16_F32_X3, TF32",
        )
        require(
            self.surface is None or self.checkpoint is None,
            f"--surface {self.surface}: the checkpoint holds orography and land-sea mask",
            hint="leave --surface away, or use --model NAME --random-weights",
        )
        self._check_forcing()

    def _check_unused(self, defaults: dict[str, Any]) -> None:
        names = ("random_weights", "sea_surface", "sst_increment", "persist_sst", "forcing_shift_hours")
        for name in (*names, "interpolation", "outputs", "means"):
            require(
                getattr(self, name) == defaults[name],
                f"{option(name)} belongs to a NeuralGCM model, and none is given",
                hint="add --checkpoint FILE.pkl, or --model neuralgcm-2.8 --random-weights",
            )

    def _check_model(self) -> None:
        require(
            self.checkpoint is None or self.model is None,
            f"--checkpoint {self.checkpoint} and --model {self.model}: give one of them",
            hint="a checkpoint brings its own configuration",
        )
        if self.checkpoint is not None:
            require(
                not self.random_weights, "--random-weights: the checkpoint has weights",
                hint="use --model NAME --random-weights, or leave --random-weights away",
            )  # fmt: skip
            return
        if self.model not in MODELS:
            raise SettingsError(f'--model "{self.model}": no such configuration; {suggest(self.model, MODELS)}')
        require(
            self.random_weights,
            f"--model {self.model}: a configuration without weights",
            hint="give the weights with --checkpoint FILE.pkl, or try it untrained with --random-weights",
        )

    def _check_lists(self) -> None:
        for name, accepted in (("outputs", OUTPUT_GROUPS), ("means", PERIODS)):
            values = getattr(self, name)
            for value in values:
                require(value in accepted, f'{option(name)}: no "{value}"; {suggest(value, accepted)}')
            require(len(set(values)) == len(values), f"{option(name)} {','.join(values)}: one stands twice")
        require(bool(self.outputs), "--outputs: give at least one group", hint=f"accepted: {', '.join(OUTPUT_GROUPS)}")
        for name in self.variables:
            require(name in OUTPUT_VARIABLES, f'--variables: no variable "{name}"; {suggest(name, OUTPUT_VARIABLES)}')

    def _check_forcing(self) -> None:
        require(
            math.isfinite(self.sst_increment) and abs(self.sst_increment) <= 20,
            f"--sst-increment {self.sst_increment:g}: expected between -20 and 20 K",
        )
        require(
            math.isfinite(self.forcing_shift_hours) and self.forcing_shift_hours >= 0,
            f"--forcing-shift-hours {self.forcing_shift_hours:g}: must not be negative",
            hint="24 takes the sea surface of the day before, as in the paper's forecasts",
        )
        require(self.days <= _HORIZON, f"--days {self.days:g}: at most {_HORIZON:g}")
        require(
            abs(self.interval_hours - round(self.interval_hours)) < 1e-9 and self.interval_hours >= 1,
            f"--every-hours {self.interval_hours:g}: a NeuralGCM model steps by whole hours",
            hint="e.g. --every-hours 1 or --every-hours 6",
        )
        require(
            not self.means or 24 % min(self.interval_hours, 24) == 0 and self.interval_hours % 1 == 0,
            f"--means {','.join(self.means)} with --every-hours {self.interval_hours:g}: a day must hold whole intervals",
            hint="e.g. --every-hours 6 or 24",
        )

    @property
    def sample_hours(self) -> int:
        """Time between the samples of a mean [h]: 6, or less where frames are written more often."""
        return math.gcd(6, round(self.interval_hours))


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
