"""Scores of a finished training run: results.json, predictions.csv, sample.npz and the report page.

Test objects of all folds are pooled: each was predicted by a model that had not seen it.

Axes: n object, v view, c class.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.checkpoint import load_tensors, write_atomic
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run

from . import calibrate, fraction, gallery, metrics, roles
from .audit import AuditResult
from .bundle import PREFIX, common_threshold
from .catalog import Catalog
from .experiment import Experiment, Which
from .training_settings import Train

FORMAT = "sciml-galaxy-results-1"
SHOWN = 48  # cutouts kept for the report


@dataclass
class Pooled:
    """One arm's predictions: positions [n] in the catalog, their fold, calibrated probabilities and logits [n, c], by part."""

    index: np.ndarray
    fold: np.ndarray
    part: np.ndarray
    logits: np.ndarray
    probability: np.ndarray
    facts: list[dict]

    def of(self, part: str) -> np.ndarray:
        """Rows of a part, in the order of the catalog."""
        rows = np.flatnonzero(self.part == part)
        return rows[np.argsort(self.index[rows], kind="stable")]


def bundle_file(run: Path, which: Which) -> Path:
    """Where a finished model of the run folder lies."""
    return run / "checkpoints" / f"{PREFIX}{which.name}.safetensors"


def stored_predictions(run: Run, which: Which) -> tuple[dict[str, np.ndarray], dict]:
    """({"validation", "test": logits [n, v, c]}, facts) of a finished model."""
    _, facts = load_tensors(bundle_file(run.path, which))
    return run.load(f"predictions-{which.name}")[0], facts


def average(members: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """Probabilities [n, c]: the mean over members of (logits [n, v, c], temperature), each calibrated by itself."""
    return np.mean([calibrate.apply(np.asarray(z, np.float64).mean(1), t) for z, t in members], axis=0)


def pooled(run: Run, experiment: Experiment, arm: str) -> Pooled:
    """Predictions of all folds of an arm; those of a fold's members are averaged."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("index", "fold", "part", "logits", "probability")}
    facts = []
    for fold, split in enumerate(experiment.splits):
        members = [stored_predictions(run, Which(arm, fold, m)) for m in range(experiment.members)]
        facts += [header for _, header in members]
        for part in ("validation", "test"):
            index, logits = getattr(split, part), [np.asarray(stored[part], np.float64) for stored, _ in members]
            columns["index"].append(index)
            columns["fold"].append(np.full(len(index), fold))
            columns["part"].append(np.full(len(index), part))
            columns["logits"].append(np.mean([z.mean(1) for z in logits], axis=0))
            columns["probability"].append(average([(stored[part], header["temperature"]) for stored, header in members]))
    return Pooled(**{name: np.concatenate(values) for name, values in columns.items()}, facts=facts)


def finish(
    run: Run, experiment: Experiment, settings: Train, findings: AuditResult | None, progress: Progress
) -> dict:
    """Score, write all files of the run, and draw the report."""
    from .report import write

    arms = {arm: pooled(run, experiment, arm) for arm in experiment.arms}
    progress.note("scoring on held-out galaxies")
    results = _results(run, experiment, settings, arms) | {"audit": None if findings is None else findings.to_dict()}
    _write_predictions(run, experiment.catalog, arms)
    _write_sample(run, experiment, arms)
    run.write_json("results.json", results)
    write(run.path, results)
    run.set_status("finished")
    return results


def _results(run: Run, experiment: Experiment, settings: Train, arms: dict[str, Pooled]) -> dict:
    catalog, positive = experiment.catalog, experiment.positive
    options = {"positive": positive, "n_bootstrap": settings.bootstrap, "seed": settings.seed}
    test = {arm: found.of("test") for arm, found in arms.items()}
    index = next(iter(arms.values())).index[next(iter(test.values()))]
    labels = catalog.labels[index]
    groups = None if catalog.groups is None else catalog.groups[index]
    probability = {arm: found.probability[test[arm]] for arm, found in arms.items()}
    thresholds = {arm: common_threshold(found.facts) for arm, found in arms.items()}
    described = {}
    for arm, found in arms.items():
        rows = found.of("validation")
        described[arm] = {
            "metrics": {
                "test": metrics.score(labels, probability[arm], catalog.classes, groups=groups, threshold=thresholds[arm], **options),
                "validation": metrics.score(
                    catalog.labels[found.index[rows]], found.probability[rows], catalog.classes, threshold=thresholds[arm],
                    positive=positive, n_bootstrap=0,
                ),
            },
            "temperature": float(np.mean([fact["temperature"] for fact in found.facts])),
            "threshold": thresholds[arm],
            "best_epoch": int(np.median([fact["best_epoch"] for fact in found.facts])),
            "parameters": found.facts[0]["parameters"],
            "seconds": float(sum(fact["seconds"] for fact in found.facts)),
            "curves": found.facts[0]["curves"],
        }  # fmt: skip
    first = next(iter(arms))
    comparison = metrics.compare(labels, probability, catalog.classes, groups=groups, thresholds=thresholds, **options) if len(arms) > 1 else []
    n = {part: int(np.mean([len(split.parts()[part]) for split in experiment.splits])) for part in ("train", "validation")}
    results = {
        "format": FORMAT, "classes": list(catalog.classes), "positive": positive, "simulated": experiment.simulated,
        "n": n | {"test": len(index)}, "folds": len(experiment.splits), "members": experiment.members, "counts": catalog.counts(),
        "arms": described, "comparison": comparison,
        "majority": {"accuracy": float(np.bincount(labels).max() / len(labels))},
        "importance": _importance(run, experiment, settings), "ablation": _ablation(run, experiment, settings),
        "bins": _bins(catalog, index, labels, probability[first], thresholds[first], groups, options),
        "fraction": _fraction(catalog, arms[first], thresholds[first], positive, settings), "settings": asdict(settings),
        "bands": [] if catalog.images is None else list(catalog.images.bands), "notes": experiment.notes,
        "command": shlex.join(run.environment().get("command", [])) if isinstance(run.environment().get("command"), list)
        else str(run.environment().get("command", "")),
    }  # fmt: skip
    return results | {"verdict": verdict(results)}


def _importance(run: Run, experiment: Experiment, settings: Train) -> list[dict] | None:
    """Columns and modalities of the first fold's test objects."""
    from .bundle import load_bundle
    from .explain import column_importance

    arm = next((arm for arm in experiment.arms if arm != "image"), None)
    if arm is None:
        return None
    bundle = load_bundle(bundle_file(run.path, Which(arm, 0)))
    return column_importance(bundle, experiment.catalog.take(experiment.splits[0].test), "cpu", settings.seed, 5, Progress())


def _ablation(run: Run, experiment: Experiment, settings: Train) -> list[dict] | None:
    """The fusion model of the first fold with a modality hidden."""
    from .bundle import load_bundle
    from .explain import ablation

    if "fusion" not in experiment.arms:
        return None
    bundle = load_bundle(bundle_file(run.path, Which("fusion", 0)))
    return ablation(bundle, experiment.catalog.take(experiment.splits[0].test), "cpu", settings.seed)


def verdict(results: dict) -> str:
    """One sentence: did both modalities together beat the better single one, beyond the interval of the difference?"""
    arms = results["arms"]
    if not {"fusion", "image", "table"} <= arms.keys():
        arm = next(iter(arms))
        auc = arms[arm]["metrics"]["test"]["auc"]
        return f"{arm} alone: AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}) on {results['n']['test']:,} held-out galaxies."
    best = max(("image", "table"), key=lambda arm: arms[arm]["metrics"]["test"]["auc"]["value"])
    row = next(r for r in results["comparison"] if {r["arm"], r["against"]} == {"fusion", best})
    sign = 1.0 if row["arm"] == "fusion" else -1.0
    gain = row["metrics"]["auc"]
    low, value, high = sorted(sign * gain[name] for name in ("low", "value", "high"))
    how = "beats" if low > 0 else "is worse than" if high < 0 else "is not distinguishable from"
    text = f"Fusion {how} {best} alone: AUC {value:+.3f} ({low:+.3f} to {high:+.3f}) on {results['n']['test']:,} held-out galaxies."
    if results["simulated"]:
        text += " These galaxies are simulated, and what each modality can know was designed: it says that the fusion works, nothing about a survey."
    return text


def binned_columns(catalog: Catalog) -> dict[str, pd.Series]:
    """The first column each of redshift, mass and magnitude, as far as there are any."""
    frame = pd.concat([catalog.nuisance, catalog.table], axis=1)
    found: dict[str, str] = {}
    for name in frame.columns:
        plain = name.casefold()
        if roles.nuisance_kind(name, frame.columns) == "redshift":
            kind = "redshift"
        elif "mass" in plain:
            kind = "mass"
        elif roles.is_magnitude(name) or plain.startswith("absmag"):
            kind = "magnitude"
        else:
            continue
        if kind not in found and frame[name].nunique() > 1:
            found[kind] = name
    return {name: frame[name] for name in found.values()}


def _bins(catalog: Catalog, index, labels, probability, threshold, groups, options) -> dict[str, list[dict]]:
    """One arm's scores in bins of redshift, mass and magnitude."""
    return {
        name: metrics.by_bin(
            labels, probability, values.iloc[index].reset_index(drop=True), catalog.classes, threshold=threshold, groups=groups,
            positive=options["positive"], seed=options["seed"], n_bins=4,
        )
        for name, values in binned_columns(catalog).items()
    }  # fmt: skip


def _fraction(catalog: Catalog, found: Pooled, threshold: float | None, positive: int | None, settings: Train) -> dict | None:
    """The share of each class among the test objects as it would be estimated without their labels."""
    held, test = found.of("validation"), found.of("test")
    labels = catalog.labels[found.index[held]]
    if len(np.unique(labels)) < len(catalog.classes):
        return None
    groups = {} if catalog.groups is None else {
        "groups": catalog.groups[found.index[held]], "target_groups": catalog.groups[found.index[test]]
    }  # fmt: skip
    return fraction.estimate(
        labels, found.probability[held], found.probability[test], catalog.classes, threshold=threshold, positive=positive,
        target_labels=catalog.labels[found.index[test]], n_bootstrap=min(settings.bootstrap, 500), seed=settings.seed, **groups,
    )  # fmt: skip


def _write_predictions(run: Run, catalog: Catalog, arms: dict[str, Pooled]) -> None:
    first = next(iter(arms.values()))
    frame = pd.DataFrame({
        "id": catalog.ids[first.index], "part": first.part, "fold": first.fold,
        "label": np.array(catalog.classes, object)[catalog.labels[first.index]],
    })  # fmt: skip
    if catalog.groups is not None:
        frame["group"] = catalog.groups[first.index]
    for arm, found in arms.items():
        for k, name in enumerate(catalog.classes):
            frame[f"p_{arm}_{name}"] = np.round(found.probability[:, k], 6)
            frame[f"logit_{arm}_{name}"] = np.round(found.logits[:, k], 5)
    write_atomic(run.path / "predictions.csv", frame.to_csv(index=False).encode())


def _write_sample(run: Run, experiment: Experiment, arms: dict[str, Pooled]) -> None:
    """Cutouts of the objects that the report shows, with Grad-CAM of the first arm that has an image."""
    catalog = experiment.catalog
    if catalog.images is None:
        return
    found = next(iter(arms.values()))
    test = found.of("test")
    labels = catalog.labels[found.index[test]]
    p, options = found.probability[test], {"positive": experiment.positive}
    predicted = metrics.predict_class(p, threshold=common_threshold(found.facts), **options)
    chosen = gallery.choose(labels, p, 12, predicted=predicted, **options)
    rows = np.unique(np.concatenate([np.asarray(value, int) for value in chosen.values()]))[:SHOWN]
    index = found.index[test][rows]
    shown = {"ids": catalog.ids[index], "images": catalog.images.read(index), "bands": np.array(catalog.images.bands)}
    heat = _heat(run, experiment, index)
    np.savez_compressed(run.path / "sample.npz", **shown, **({} if heat is None else {"heat": heat}))


def _heat(run: Run, experiment: Experiment, index: np.ndarray) -> np.ndarray | None:
    """Grad-CAM of the cutouts, each by the model that had not seen it."""
    from .bundle import load_bundle
    from .explain import heat_maps

    arm = next((arm for arm in experiment.arms if arm != "table"), None)
    if arm is None:
        return None
    heat = np.zeros((len(index), *experiment.catalog.images.shape[1:]), np.float32)
    for fold, split in enumerate(experiment.splits):
        mine = np.isin(index, split.test)
        if not mine.any():
            continue
        bundle = load_bundle(bundle_file(run.path, Which(arm, fold)))
        maps = heat_maps(bundle, experiment.catalog, index[mine], "cpu")
        if "grad_cam" not in maps:
            return None
        heat[mine] = maps["grad_cam"]
    return heat
