"""The page of a training run: verdict, scores, galaxies, calibration, what the model relies on, audit, how to repeat.

Convention: report/index.html holds its pictures itself and asks the network for nothing; the same pictures lie beside it
as PNG. Everything on the page is read from the run folder (results.json, predictions.csv, sample.npz), so that it can be
drawn again at any time. Axes: n test object, k cutout, c class.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError
from sciml.pipelines.page import as_png, newest
from sciml.pipelines.page import write as write_page

from . import calibrate, metrics, sections
from .summary import main_arm, positive_of, shown_classes

DPI = 150  # 1.5 times the page's 900 px
FORMAT = "sciml-galaxy-results-1"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Test objects: ids [n], labels int64 [n], groups [n] or None, probability and logits [n, c] by arm."""

    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    probability: dict[str, np.ndarray]
    logits: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Sample:
    """Cutouts kept for the page: ids [k], images [k, band, y, x], heat [k, h, w] or None, names of the bands or None."""

    ids: np.ndarray
    images: np.ndarray
    heat: np.ndarray | None
    bands: tuple[str, ...] | None


def redraw(model: Path) -> Path:
    """Draw the page of a run again; `model` is a run folder, or a folder of runs (the newest finished one is taken).

    Raises DataError if there is no finished run.
    """
    return write(*newest(model, "galaxy train", "sciml galaxy train", lambda results: results.get("format") == FORMAT))


def write(run_folder: Path, results: Mapping[str, Any]) -> Path:
    """Write report/index.html and its pictures into the run folder; returns the page."""
    folder = Path(run_folder)
    pictures = _pictures(results, read_predictions(folder, results), read_sample(folder, results))
    return write_page(folder, sections.page(folder, results, pictures), pictures)


def read_predictions(folder: Path, results: Mapping[str, Any]) -> Predictions | None:
    """The test rows of predictions.csv; None without that file.

    Raises DataError if a column is missing or a label is no class.
    """
    path, classes = Path(folder) / "predictions.csv", [str(name) for name in results["classes"]]
    if not path.is_file():
        return None
    frame = pd.read_csv(path, dtype={"id": str, "label": str, "part": str, "group": str}, keep_default_na=False)
    wanted = [f"{kind}_{arm}_{name}" for kind in ("p", "logit") for arm in results["arms"] for name in classes]
    missing = [name for name in ("id", "part", "label", *wanted) if name not in frame.columns]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing[:3])}", hint="train again, or remove the file")
    test = frame[frame["part"] == "test"]
    place = {name: k for k, name in enumerate(classes)}
    unknown = sorted(set(test["label"]) - place.keys())
    if unknown:
        raise DataError(f'{path}: label "{unknown[0]}" is none of the classes {", ".join(classes)}')
    columns = lambda kind, arm: test[[f"{kind}_{arm}_{name}" for name in classes]].to_numpy(np.float64)  # noqa: E731
    return Predictions(
        test["id"].to_numpy(str),
        test["label"].map(place).to_numpy(np.int64),
        test["group"].to_numpy(str) if "group" in test else None,
        {arm: columns("p", arm) for arm in results["arms"]},
        {arm: columns("logit", arm) for arm in results["arms"]},
    )


def read_sample(folder: Path, results: Mapping[str, Any]) -> Sample | None:
    """The cutouts of sample.npz; None without that file.

    Raises DataError if the file is damaged.
    """
    path = Path(folder) / "sample.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            ids, images = stored["ids"].astype(str), stored["images"]
            heat = stored.get("heat")
            bands = stored["bands"].astype(str).tolist() if "bands" in stored else results.get("bands")
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: cannot be read ({error})", hint="remove it to draw the page without cutouts"
        ) from None
    if images.ndim != 4 or len(ids) != len(images):
        raise DataError(f"{path}: {len(ids)} ids and images of shape {images.shape}; [k, band, y, x] is needed")
    return Sample(ids, images, heat, tuple(bands) if bands else None)


def _pictures(results: Mapping[str, Any], predictions: Predictions | None, sample: Sample | None) -> dict[str, bytes]:
    """PNG files by name."""
    from . import bars, figures

    arm = main_arm(results)
    drawn = {
        "training_curves": figures.training_curves(results["arms"]),
        "importance": bars.importance(results.get("importance") or ()),
        "by_bin": bars.by_bin(results.get("bins") or {}),
        "fraction": bars.shares(results["fraction"], shown_classes(results)) if results.get("fraction") else None,
        "audit": bars.audit_bars((results.get("audit") or {}).get("findings", ())),
    }
    if predictions is not None and len(predictions.labels):
        drawn |= _held_out(results, predictions, arm)
        if sample is not None:
            drawn |= _plates(results, predictions, sample, arm)
    return as_png(drawn, DPI)


def _held_out(results: Mapping[str, Any], predictions: Predictions, arm: str) -> dict[str, Any]:
    from . import figures

    labels, classes, positive = predictions.labels, results["classes"], positive_of(results)
    probability = predictions.probability[arm]
    said = metrics.predict_class(probability, positive, results["arms"][arm].get("threshold"))
    return {
        "ranking": figures.ranking_curves(
            labels, predictions.probability, classes, positive=positive, groups=predictions.groups
        ),
        "calibration": figures.calibration(
            labels, calibrate.apply(predictions.logits[arm]), probability, classes, positive=positive
        ),
        "confusion": figures.confusion(labels, said, classes),
    }


def _plates(results: Mapping[str, Any], predictions: Predictions, sample: Sample, arm: str) -> dict[str, Any]:
    from . import gallery, plates

    labels, classes, positive = predictions.labels, results["classes"], positive_of(results)
    probability = predictions.probability[arm]
    said = metrics.predict_class(probability, positive, results["arms"][arm].get("threshold"))
    kept = {name: k for k, name in enumerate(sample.ids)}
    rgb = gallery.colours(sample.images, sample.bands)
    chosen, drawn = gallery.choose(labels, probability, 12, positive=positive, predicted=said), {}
    for name in ("sample", "mistakes", "uncertain"):
        rows = np.array([n for n in chosen[name] if predictions.ids[n] in kept], np.int64)
        place = np.array([kept[predictions.ids[n]] for n in rows], np.int64)
        drawn[name] = plates.cutouts(
            rgb[place], labels[rows], said[rows], probability[rows], classes, positive=positive
        )
        if name == "sample" and sample.heat is not None:
            titles = [f"{classes[said[n]]}, true {classes[labels[n]]}" for n in rows[:6]]
            drawn["heat"] = plates.overlays(rgb[place[:6]], sample.heat[place[:6]], titles)
    return drawn
