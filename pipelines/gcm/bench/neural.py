"""Time of a simulated hour of a NeuralGCM checkpoint beside the original package in the same process, and how they agree.

Both read the same checkpoint and the same analysis, the one that comes with the package, and start from the same random
key. Contestants take turns; CPU time of the process on one pinned core and wall time on all cores are separate rounds.
Compilation (first encode, hour and decode, CPU time) and the peak of memory are measured in a new process for each.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml.kernels.sphere import layout
from sciml.kernels.sphere.bench import machine, one_core
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.neural import members
from sciml.pipelines.gcm.neural.checkpoint import store, unpickle
from sciml.pipelines.gcm.neural.encoder import ABBREVIATED
from sciml.pipelines.gcm.neural.forcing import incremented, own_increment
from sciml.pipelines.gcm.neural.inputs import UNITS
from sciml.pipelines.gcm.neural.model import ModelState, NeuralModel, build
from sciml.pipelines.gcm.scales import ATMOSPHERIC
from sciml.pipelines.progress import Progress

__all__ = ["analysis", "machine", "measure", "original"]

_LONG = {short: long for long, short in ABBREVIATED.items()}
_PARTS = ("inputs", "forcings")
_SEED = 0


def installed() -> bool:
    """Whether the original can be imported."""
    return importlib.util.find_spec("neuralgcm") is not None


def demonstration() -> Path:
    """The small trained checkpoint that comes with the original package; SettingsError without it."""
    spec = importlib.util.find_spec("neuralgcm")
    if spec is None:
        raise SettingsError(
            "the benchmark starts from the analysis that comes with the neuralgcm package, which is not installed",
            hint="pip install 'sciml[oracles]'",
        )
    return Path(spec.origin).parent / "data" / "tl63_stochastic_mini.pkl"


def original(path: str | Path) -> tuple[Any, Mapping[str, Any], Mapping[str, Any]]:
    """(model, inputs, forcings) of the original package for the checkpoint at `path`, with the package's analysis."""
    import neuralgcm

    model = neuralgcm.PressureLevelModel.from_checkpoint(unpickle.load(path))
    return model, *model.data_from_xarray(neuralgcm.demo.load_data(model.data_coords).isel(time=0))


def analysis(
    model: NeuralModel, inputs: Mapping[str, Any], forcings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """(inputs, forcing, sim_time) of our model from those of the original, arrays [p, i, j] in SI units."""

    def nodal(name: str, x: Any) -> Any:
        x = np.asarray(x, np.float64)
        x = ATMOSPHERIC.nondim(x, UNITS[name]) if name in UNITS else x
        x = np.moveaxis(x.reshape(-1, *x.shape[-2:]), 0, -1)
        return jnp.asarray(layout.from_standard(model.plan, x)[..., None, :], jnp.float32)

    fields = {name: nodal(name, inputs[name]) for name in model.input_variables}
    forcing = {name: nodal(name, forcings[name]) for name in model.forcing_variables}
    return fields, forcing, jnp.float32(inputs["sim_time"])


_decode = jax.jit(NeuralModel.decode)


class Ours:
    """Our model with some members."""

    def __init__(
        self, path: str | Path, inputs: Mapping[str, Any], forcings: Mapping[str, Any], members: int = 1,
        seed: int = _SEED,
    ):  # fmt: skip
        found = store.load(path)
        self.members, self.seed = members, seed
        self.model = build(found.config, found.params, found.aux)
        self.inputs, forcing, self.sim_time = analysis(self.model, inputs, forcings)
        self.forcing = incremented(forcing, own_increment(found.config))

    def start(self) -> ModelState:
        """The encoded analysis."""
        key = jax.random.key(self.seed)
        return members.encode(self.model, self.inputs, self.forcing, key, self.members, self.sim_time)

    def hours(self, state: ModelState, n: int) -> ModelState:
        """`state` some steps later."""
        state = jax.tree.map(jnp.array, state)
        for _ in range(n):
            state = members.advance(self.model, state, self.forcing)
        return state

    def output(self, state: ModelState) -> dict[str, np.ndarray]:
        """Fields [p, i, j] of the first member in SI units."""
        found = {}
        for name, x in _decode(self.model, members.member(state, 0), self.forcing).items():
            long = _LONG.get(name, name)
            x = np.moveaxis(layout.to_standard(self.model.plan, np.asarray(x))[:, :, 0], -1, 0)
            unit = "Pa" if long == "surface_pressure" else UNITS.get(long)
            found[long] = ATMOSPHERIC.dim(x, unit) if unit else x
        return found


class Original:
    """The original package's model."""

    members = 1

    def __init__(self, path: str | Path, seed: int = _SEED):
        self.model, self.inputs, self.forcings = original(path)
        self.seed = seed

    def start(self) -> Any:
        """The encoded analysis."""
        return self.model.encode(self.inputs, self.forcings, jax.random.key(self.seed))

    def hours(self, state: Any, n: int) -> Any:
        """`state` some steps later."""
        for _ in range(n):
            state = self.model.advance(state, self.forcings)
        return state

    def output(self, state: Any) -> dict[str, np.ndarray]:
        """Fields [p, i, j] in SI units, and surface pressure [1, i, j] of models that give it."""
        found = {name: np.asarray(x) for name, x in self.model.decode(state, self.forcings).items()}
        kept = {name: x for name, x in found.items() if x.ndim == 3 or name == "surface_pressure"}
        return {name: x.reshape(-1, *x.shape[-2:]) for name, x in kept.items()}


def _contestant(path: str | Path, who: str, data: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Any:
    if who == "neuralgcm":
        return Original(path)
    return Ours(path, *data, int(who.removeprefix("ours x ")) if who != "ours" else 1)


def _timed(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    begin = clock()
    jax.block_until_ready(call())
    return clock() - begin


def first_call(path: str, who: str, data: str) -> None:
    """Print first_call_s, CPU time of the first encode, hour and decode, and peak_memory_GB as JSON.

    data: file of the analysis, so that only the original's process loads the original.
    """
    one = _contestant(path, who, load_analysis(data))
    seconds = _timed(lambda: one.output(one.hours(one.start(), 1)), time.process_time)
    print(json.dumps({"first_call_s": seconds, "peak_memory_GB": peak_memory_gb()}))


def peak_memory_gb() -> float | None:
    """Largest memory of this process so far [GiB]; None where the system does not say.

    Of this program alone: getrusage's maximum survives an exec, so that a child would report its parent's.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) / 1024**2 if found else None


def save_analysis(path: str | Path, inputs: Mapping[str, Any], forcings: Mapping[str, Any]) -> None:
    """Write the original's analysis for a process that does not load the original."""
    pairs = zip(_PARTS, (inputs, forcings), strict=True)
    np.savez(path, **{f"{kind} {name}": x for kind, part in pairs for name, x in part.items()})


def load_analysis(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(inputs, forcings) that `save_analysis` wrote."""
    with np.load(path) as file:
        return tuple(
            {name.partition(" ")[2]: file[name] for name in file if name.startswith(f"{kind} ")} for kind in _PARTS
        )


def in_new_process(function: Callable[..., None], *arguments: Any) -> str:
    """What `function` of a module prints when called in a process of its own; RuntimeError with its words if it fails."""
    code = f"from {function.__module__} import {function.__name__} as call; call(*{arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{function.__name__}{arguments} in a process of its own failed:\n{done.stderr}")
    return done.stdout


def _first_call_alone(path: Path, who: str, data: tuple[Mapping[str, Any], Mapping[str, Any]]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "analysis.npz")
        save_analysis(file, *data)
        return json.loads(in_new_process(first_call, str(path), who, file).splitlines()[-1])


def largest_difference(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> float:
    """Largest relative L2 difference of a field; clouds, a thousand times as sensitive, are left out."""
    dry = [name for name in theirs if "cloud" not in name]
    return max(float(np.linalg.norm(ours[n] - theirs[n]) / np.linalg.norm(theirs[n])) for n in dry)


def measure(
    checkpoint: Path | None = None, hours: int = 2, repeats: int = 5, members: int = 8, peers: bool = True,
    alone: bool = True, progress: Progress | None = None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Rows: checkpoint, implementation, members, clock, s_per_hour (and member), p20, p80, ratio_to_ours, first_call_s,
    peak_memory_GB, difference.

    hours: simulated in a round; difference: of the decoded fields after as many from ours; a clock is "cpu" (process time
    on one pinned core) or "wall". alone: also measure compilation and memory. SettingsError without the original's package.
    """
    path, progress = checkpoint or demonstration(), progress or Progress()
    demonstration()
    data = original(path)[1:]
    names = ("ours", *((f"ours x {members}",) if members > 1 else ()), *(("neuralgcm",) if peers else ()))
    contestants = {who: _contestant(path, who, data) for who in names}
    states = {who: one.start() for who, one in contestants.items()}
    outputs = {who: one.output(one.hours(states[who], hours)) for who, one in contestants.items()}
    differences = {who: largest_difference(x, outputs["ours"]) for who, x in outputs.items()}
    apart = {who: _first_call_alone(path, who, data) if alone else {} for who in names}
    for clock, read in (("cpu", time.process_time), ("wall", time.perf_counter)):
        times: dict[str, list[float]] = {who: [] for who in names}
        with one_core(clock == "cpu"), progress.task(f"{path.stem}, {clock}", repeats, "rounds") as task:
            for _ in range(repeats):
                for who, one in contestants.items():
                    taken = _timed(partial(one.hours, states[who], hours), read)
                    times[who].append(taken / hours / one.members)
                task.advance()
        own = float(np.median(times["ours"]))
        for who, values in times.items():
            median = float(np.median(values))
            yield {
                "checkpoint": path.stem, "implementation": who, "members": contestants[who].members, "clock": clock,
                "s_per_hour": median, "p20": float(np.percentile(values, 20)), "p80": float(np.percentile(values, 80)),
                "ratio_to_ours": median / own, "first_call_s": apart[who].get("first_call_s"),
                "peak_memory_GB": apart[who].get("peak_memory_GB"), "difference": differences[who],
            }  # fmt: skip
