"""`sciml galaxy predict`: a table of classes and probabilities, with their spread and what they rest on.

Columns: id, predicted, p_<class>, sd_<class> (over models and flips), entropy [nat], modality; with --prevalence the probabilities are
those for a population with that share of the positive class (Saerens et al. 2002).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.checkpoint import write_atomic
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress

from . import fraction
from .bundle import Bundle, common_threshold
from .catalog import Catalog
from .metrics import predict_class
from .pixels import fit as fit_pixels
from .training_settings import Predict
from .using import load, measures, probabilities, target_path


def predict(settings: Predict, progress: Progress | None = None) -> pd.DataFrame:
    """Write the table and return it."""
    progress = progress or Progress()
    target_path(settings.to, settings.overwrite)
    if settings.to.suffix.lower() not in (".csv", ".fits", ".fit"):
        raise SettingsError(f"--to {settings.to}: expected a name that ends in .csv or .fits")
    if settings.zero_shot:
        frame = _zero_shot(settings, progress)
    else:
        bundles, gathered = load(settings, progress)
        p, sd = probabilities(bundles, gathered.catalog, settings, progress)
        frame = _frame(settings, bundles, gathered.catalog, p, sd)
    write_table(frame, settings.to)
    progress.note(f"{len(frame):,} objects in {settings.to}")
    return frame


def _frame(settings: Predict, bundles: list[Bundle], catalog: Catalog, p: np.ndarray, sd: np.ndarray) -> pd.DataFrame:
    bundle = bundles[0]
    positive, threshold = bundle.facts["positive"], common_threshold([one.facts for one in bundles])
    prior = np.asarray(bundle.facts["prior"])
    if settings.prevalence is not None:
        if positive is None:
            raise SettingsError("--prevalence needs a positive class", hint="train with --positive CLASS")
        if not 0 < settings.prevalence < 1:
            raise SettingsError(f"--prevalence {settings.prevalence:g}: must lie between 0 and 1")
        rest = np.delete(prior, positive)
        wanted = np.insert((1 - settings.prevalence) * rest / rest.sum(), positive, settings.prevalence)
        p = fraction.corrected(p, prior, wanted)
        threshold = None  # it was chosen for another population
    frame = pd.DataFrame({"id": catalog.ids})
    frame["predicted"] = np.array(bundle.classes, object)[predict_class(p, positive, threshold)]
    for k, name in enumerate(bundle.classes):
        frame[f"p_{name}"] = np.round(p[:, k], 6)
        frame[f"sd_{name}"] = np.round(sd[:, k], 6)
    frame["entropy"] = np.round(-(p * np.log(np.maximum(p, 1e-12))).sum(1), 6)
    frame["modality"] = _modality(bundle, catalog)
    if catalog.labels is not None:
        frame["label"] = np.array(catalog.classes, object)[catalog.labels]
    return frame


def _modality(bundle: Bundle, catalog: Catalog) -> np.ndarray:
    """What each prediction rests on."""
    image = catalog.images.present if bundle.pixels is not None and catalog.images is not None else np.zeros(len(catalog), bool)
    table = np.full(len(catalog), bundle.preprocessor is not None and len(catalog.table.columns) > 0)
    if measures(bundle, alone=True) and table.any():  # without an image nothing was measured
        table = catalog.table[list(bundle.preprocessor.columns)].notna().any(axis=1).to_numpy()
    return np.where(image, np.where(table, "image + table", "image"), np.where(table, "table", "none"))


def _zero_shot(settings: Predict, progress: Progress) -> pd.DataFrame:
    """Classes given as sentences, told by the towers of a CLIP model."""
    from .backbones.clip import ZeroShotClip
    from .gather import gather

    if settings.images is None:
        raise DataError("--zero-shot compares images with sentences", hint="give --images")
    if len(settings.zero_shot) < 2:
        raise SettingsError("--zero-shot needs a sentence for each of two or more classes", hint="repeat the option")
    towers = ZeroShotClip.from_folder(settings.model)
    catalog = gather(settings, progress).catalog
    if catalog.images is None:
        raise DataError("no object has an image")
    prompts = {sentence: sentence for sentence in settings.zero_shot}
    pixels = fit_pixels(catalog.images, np.arange(len(catalog)))
    parts = []
    for index in np.array_split(np.arange(len(catalog)), max(1, len(catalog) // 64)):
        shown = pixels(torch.from_numpy(catalog.images.read(index))).clamp(0.0, 1.0)
        parts.append(towers.classify(shown, prompts).double().numpy())
    p = np.concatenate(parts)
    frame = pd.DataFrame({"id": catalog.ids, "predicted": np.array(settings.zero_shot, object)[p.argmax(1)]})
    for k, sentence in enumerate(settings.zero_shot):
        frame[f"p_{sentence}"] = np.round(p[:, k], 6)
    return frame


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """CSV or FITS by the name of the file, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".csv":
            write_atomic(path, frame.to_csv(index=False).encode())
            return
        from astropy.table import Table

        waiting = path.with_name(path.name + ".tmp")
        text = {n: frame[n].astype(str).to_numpy("U") for n in frame if not pd.api.types.is_numeric_dtype(frame[n])}
        Table({name: text.get(name, frame[name].to_numpy()) for name in frame}).write(waiting, format="fits", overwrite=True)
        waiting.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}", hint="give another --to") from None
