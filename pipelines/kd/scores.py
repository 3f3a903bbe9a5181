"""Scores on the held-out block, and the comparison of students: errors in the target's unit, against observations only.

All methods are scored on the same elements: those where the observation, the teacher and every method are known.
    RMSE, MAE, bias = mean(f - y), skill = 1 - MSE / MSE(climatology)
Legend: i issue, k lead, s station, v target.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

STANDALONE = ("alone", "alone_own")
LABELS = {
    "persistence": "persistence",
    "climatology": "climatology",
    "ar": "linear AR",
    "nwp": "raw NWP",
    "operator": "NWP through the fitted operator",
    "mos": "linear MOS",
    "mos_ar": "linear MOS + AR",
    "mos_all": "linear MOS, all predictors + AR",
    "alone": "student alone",
    "alone_own": "student alone, own normalisation",
    "shuffled": "student with a shuffled teacher",
    "distilled": "distilled student",
}


def common_elements(truth: np.ndarray, forecasts: Mapping[str, list[np.ndarray]]) -> np.ndarray:
    """Where the truth and every forecast [i, k, s, v] are known."""
    known = np.isfinite(truth)
    for members in forecasts.values():
        for forecast in members:
            known = known & np.isfinite(forecast)
    return known


def score(
    method: str,
    members: list[np.ndarray],
    truth: np.ndarray,
    known: np.ndarray,
    climate: np.ndarray,
    weight: np.ndarray,
    names: tuple[str, ...],
) -> dict:
    """One row of results.json["scores"].

    members: one forecast [i, k, s, v] per seed; weight [v]: 1, or 1 / scale where targets have different units.
    """
    student = method in STANDALONE or method in ("distilled", "shuffled")
    errors = [np.where(known, f - truth, np.nan) * weight for f in members]
    reference = np.where(known, climate - truth, np.nan) * weight
    per_seed = [_rms(e) for e in errors]
    leads = range(truth.shape[1])
    mean_of = lambda f: float(np.mean([f(e) for e in errors]))  # noqa: E731
    skill = lambda e, r: 1.0 - _rms(e) ** 2 / max(_rms(r) ** 2, 1e-30)  # noqa: E731
    by_target = {
        name: {
            "rmse": mean_of(lambda e, v=v: _rms(e[..., v])) / float(weight[v]),
            "mae": mean_of(lambda e, v=v: float(np.nanmean(np.abs(e[..., v])))) / float(weight[v]),
            "bias": mean_of(lambda e, v=v: float(np.nanmean(e[..., v]))) / float(weight[v]),
        }
        for v, name in enumerate(names)
        if known[..., v].any()
    }
    return {
        "method": method,
        "label": LABELS[method],
        "kind": "student" if student else "baseline",
        "rmse": float(np.mean(per_seed)),
        "rmse_sd": float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None,
        "rmse_per_seed": per_seed,
        "mae": mean_of(lambda e: float(np.nanmean(np.abs(e)))),
        "bias": mean_of(lambda e: float(np.nanmean(e))),
        "skill": mean_of(lambda e: skill(e, reference)),
        "by_lead": {
            "rmse": [mean_of(lambda e, k=k: _rms(e[:, k])) for k in leads],
            "mae": [mean_of(lambda e, k=k: _mean_abs(e[:, k])) for k in leads],
            "bias": [mean_of(lambda e, k=k: _mean(e[:, k])) for k in leads],
            "skill": [mean_of(lambda e, k=k: skill(e[:, k], reference[:, k])) for k in leads],
        },
        "by_target": by_target,
    }


def _rms(e: np.ndarray) -> float:
    seen = e[np.isfinite(e)]
    return float(np.sqrt(np.mean(seen**2))) if seen.size else float("nan")


def _mean_abs(e: np.ndarray) -> float:
    seen = e[np.isfinite(e)]
    return float(np.mean(np.abs(seen))) if seen.size else float("nan")


def _mean(e: np.ndarray) -> float:
    seen = e[np.isfinite(e)]
    return float(np.mean(seen)) if seen.size else float("nan")


def compare(rows: Mapping[str, list[dict]], scores: list[dict], seeds: list[int], epochs: int, unit: str) -> dict:
    """Epochs to target, cost and verdict; `rows` are the curves of every job by name."""
    arms = {name.rsplit("-", 1)[0] for name in rows}
    if "distilled" not in arms:
        return {}
    table = {entry["method"]: entry for entry in scores}
    return {
        "train": _race(rows, seeds, "train_rmse", epochs),
        "validation": _race(rows, seeds, "validation_rmse", epochs),
        "cost": _cost(rows, seeds),
        "control": {"rmse": table["shuffled"]["rmse"]} if "shuffled" in table else None,
        "verdict": _verdict(table, unit),
    }


def _fit_rows(rows: Mapping[str, list[dict]], arm: str, seed: int) -> list[dict]:
    return [r for r in rows.get(f"{arm}-{seed}", []) if r["stage"] == "fit"]


def _race(rows: Mapping[str, list[dict]], seeds: list[int], key: str, epochs: int) -> dict:
    """First epoch at which the distilled student meets the stronger stand-alone one.

    The goal is the training RMSE after the last epoch, or the best validation RMSE (reached at `goal_epoch`).
    """
    found = []
    for seed in seeds:
        goals = []
        for arm in STANDALONE:
            curve = _fit_rows(rows, arm, seed)
            if curve:
                chosen = curve[-1] if key == "train_rmse" else min(curve, key=lambda r: r[key])
                goals.append((chosen[key], arm, chosen["epoch"]))
        goal, arm, goal_epoch = min(goals)
        epoch = next((r["epoch"] for r in _fit_rows(rows, "distilled", seed) if r[key] <= goal), None)
        ratio = None if epoch is None else max(goal_epoch, 1) / max(epoch, 1)
        found.append(
            {"seed": seed, "goal": goal, "goal_arm": arm, "goal_epoch": goal_epoch, "epoch": epoch, "ratio": ratio}
        )
    reached = [f["epoch"] if f["epoch"] is not None else np.inf for f in found]
    middle, goal = float(np.median(reached)), float(np.median([f["goal_epoch"] for f in found]))
    # the ratio of the medians that are printed beside it
    ratio = max(goal, 1.0) / max(middle, 1.0) if np.isfinite(middle) else None
    return {"seeds": found, "epoch": middle if np.isfinite(middle) else None, "ratio": ratio}


def _cost(rows: Mapping[str, list[dict]], seeds: list[int]) -> dict:
    """Mean steps and CPU seconds over the seeds; pre-training, and the trials that all seeds share, counted."""

    def spent(arm: str) -> dict:
        last = [rows[f"{arm}-{seed}"][-1] for seed in seeds if rows.get(f"{arm}-{seed}")]
        archive = [
            [r for r in rows[f"{arm}-{seed}"] if r["stage"] == "archive"] for seed in seeds if rows.get(f"{arm}-{seed}")
        ]
        mean = lambda values: float(np.mean(values)) if values else 0.0  # noqa: E731
        return {
            "steps": mean([r["steps"] for r in last]),
            "cpu_seconds": mean([r["cpu_seconds"] for r in last]),
            "archive_steps": mean([a[-1]["steps"] if a else 0 for a in archive]),
            "archive_cpu_seconds": mean([a[-1]["cpu_seconds"] if a else 0.0 for a in archive]),
        }

    alone, distilled = spent("alone"), spent("distilled")
    for curve in (curve for name, curve in rows.items() if name.startswith("trial")):
        for key in ("steps", "cpu_seconds"):
            distilled[key] += curve[-1][key] / len(seeds)
    return {
        "alone": alone,
        "distilled": distilled,
        "steps_ratio": distilled["steps"] / max(alone["steps"], 1),
        "cpu_ratio": distilled["cpu_seconds"] / max(alone["cpu_seconds"], 1e-9),
    }


def _verdict(table: Mapping[str, dict], unit: str) -> dict:
    """Whether the gain on the held-out block exceeds the spread over seeds, and the control's gain."""
    alone = min((table[arm] for arm in STANDALONE if arm in table), key=lambda entry: entry["rmse"])
    taught = table["distilled"]
    gain = alone["rmse"] - taught["rmse"]
    spread = float(np.hypot(alone["rmse_sd"] or 0.0, taught["rmse_sd"] or 0.0))
    numbers = f"held-out RMSE {_pm(taught)} {unit} against {_pm(alone)} {unit} for the student alone ({-gain / alone['rmse']:+.1%})"
    control = table.get("shuffled")
    if len(taught["rmse_per_seed"]) < 2:
        return {
            "helped": gain > 0,
            "text": f"Distillation {'helped' if gain > 0 else 'did not help'}, by one seed only: {numbers}; use --seeds 3 to see the spread",
        }
    if gain <= spread:
        worse = gain < -spread
        why = (
            "worse beyond the spread over seeds"
            if worse
            else f"the difference is within the spread over seeds ({spread:.2g} {unit})"
        )
        return {"helped": False, "text": f"Distillation did not help: {numbers}; {why}"}
    if control is not None and control["rmse"] - taught["rmse"] <= spread:
        return {
            "helped": False,
            "text": f"Distillation did not help more than a shuffled teacher does ({control['rmse']:.3g} {unit}): {numbers}",
        }
    tail = f"; a shuffled teacher gives {control['rmse']:.3g} {unit}" if control is not None else ""
    return {
        "helped": True,
        "text": f"Distillation helped: {numbers}, beyond the spread over seeds ({spread:.2g} {unit}){tail}",
    }


def _pm(entry: dict) -> str:
    return f"{entry['rmse']:.3g}" if entry["rmse_sd"] is None else f"{entry['rmse']:.3g} ± {entry['rmse_sd']:.1g}"
