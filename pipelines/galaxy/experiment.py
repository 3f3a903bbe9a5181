"""What a training run consists of before anything is trained: objects, their split, the arms and the model of each.

Arms: "fusion" sees image and table, "image" and "table" one of them; all are trained on the same split and scored on the same objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.errors import DataError, SettingsError, suggest
from sciml.pipelines.progress import Progress

from . import packed, pixels
from .auxiliary import targets
from .catalog import Catalog
from .feed import Feed
from .fusion.verdicts import Verdicts
from .gather import Gathered, gather
from .measured import with_measurements
from .model import GalaxyModel, ModelShape, build
from .pixels import Pixels
from .splits import Split, hold_out, k_fold
from .tabular import preprocess
from .tabular.embeddings import quantile_edges
from .tabular.preprocess import Preprocessor, Recipe
from .training_settings import ARMS, Train

SIMULATED, MEASURED = "simulated.h5", "measured.npz"  # made once for a run: its later processes read them
N_BINS = 16


class Which(NamedTuple):
    """One model of a run: members of a fold differ in their random numbers alone."""

    arm: str
    fold: int
    member: int = 0

    @property
    def name(self) -> str:
        """As its files are called: fusion-0, and fusion-0-1 for the second member."""
        return f"{self.arm}-{self.fold}" + (f"-{self.member}" if self.member else "")


@dataclass
class Experiment:
    """Objects, one split per fold, the arms in the order they are trained, and where the objects came from."""

    catalog: Catalog
    splits: list[Split]
    arms: tuple[str, ...]
    positive: int | None
    simulated: bool = False
    notes: list[str] = field(default_factory=list)
    members: int = 1

    def jobs(self) -> list[Which]:
        """Every model to train."""
        return [Which(arm, fold, m) for arm in self.arms for fold in range(len(self.splits)) for m in range(self.members)]


@dataclass(frozen=True)
class Prepared:
    """A model of one arm and fold, not yet trained, and the feed that shows it its objects."""

    model: GalaxyModel
    feed: Feed
    pixels: Pixels | None
    preprocessor: Preprocessor | None
    auxiliary: np.ndarray | None = None  # targets beside the label [n, a]


def prepare(settings: Train, folder: Path, progress: Progress) -> Experiment:
    """Read or simulate the objects, split them, and choose the arms.

    Raises:
        DataError: nothing usable, one class, or too few objects for the split. SettingsError: an arm without its data.
    """
    simulated = settings.images is None and not settings.table
    gathered = Gathered(_simulated(settings, folder, progress)) if simulated else gather(replace(settings, measure=False), progress)
    if settings.measure:
        gathered.catalog, notes = with_measurements(gathered.catalog, progress, folder / MEASURED)
        gathered.notes += notes
    for line in gathered.lines():
        progress.note(line)
    catalog = gathered.catalog
    catalog.require_labels()
    arms = _arms(settings, catalog)
    # one arm's objects are every arm's objects: scores of different objects do not compare
    if catalog.images is not None and "image" in arms and not np.all(catalog.images.present):
        keep = np.flatnonzero(catalog.images.present)
        progress.note(f"{len(catalog) - len(keep):,} objects without an image are left out, so that all arms are scored on the same")
        catalog = catalog.take(keep)
        catalog.require_labels()
    counts = ", ".join(f"{name} {count:,}" for name, count in catalog.counts().items())
    progress.note(f"{len(catalog):,} objects ({counts}), {_inputs(catalog)}")
    return Experiment(catalog, _splits(settings, catalog), arms, _positive(settings, catalog), simulated, gathered.lines(), settings.members)


def _inputs(catalog: Catalog) -> str:
    parts = []
    if catalog.images is not None:
        n_bands, height, width = catalog.images.shape
        parts.append(f"images of {height} x {width} px in {', '.join(catalog.images.bands) or n_bands}")
    if len(catalog.table.columns):
        parts.append(f"{len(catalog.table.columns)} columns")
    return " and ".join(parts)


def _simulated(settings: Train, folder: Path, progress: Progress) -> Catalog:
    """Simulated galaxies, kept in the run folder so that a resumed run sees the same."""
    path = folder / SIMULATED
    if not path.exists():
        from .simulator.simulate import simulate

        progress.note(f"no --images and no --table: simulating {settings.simulate:,} galaxies (restricted N-body, their own spectra)")
        with progress.task("simulate", settings.simulate, "galaxies") as task:
            made = simulate(
                settings.simulate, settings.seed, settings.image_size or 64, settings.bands or ("g", "r", "i"),
                progress=task.advance,
            )  # fmt: skip
        packed.write(path, made)
    catalog = packed.open_packed(path)
    scenario = catalog.withheld["scenario"]
    # what is behind the pictures is no column a user would have: nothing for the audit to find
    catalog = replace(catalog, withheld=pd.DataFrame())
    if settings.label == "stage":
        return catalog
    if settings.label == "scenario":
        return replace(catalog, labels=scenario.cat.codes.to_numpy(np.int64), classes=tuple(scenario.cat.categories))
    if settings.label not in (None, "merger"):
        raise SettingsError(
            f"--label {settings.label}: simulated galaxies have the labels merger (default), stage, and scenario "
            f"({', '.join(scenario.cat.categories)})"
        )
    return replace(catalog, labels=(catalog.labels > 0).astype(np.int64), classes=("non", "merger"))


def _arms(settings: Train, catalog: Catalog) -> tuple[str, ...]:
    has = {"image": catalog.images is not None, "table": len(catalog.table.columns) > 0}
    has["fusion"] = has["image"] and has["table"]
    if not any(has.values()):
        raise DataError(
            "there is nothing to learn from: no images, and no column of the table is an input",
            hint="name input columns with --inputs, or give --images",
        )
    wanted = settings.arms or tuple(arm for arm in ARMS if has[arm])
    for arm in wanted:
        if not has[arm]:
            missing = "an image" if not has["image"] else "an input column"
            hint = "give both --images and --table"
            if settings.table and has["image"]:
                hint = "name columns with --inputs; the notes say why each was left out (`sciml galaxy data` shows them all)"
            raise SettingsError(f"--arms {arm}: no object has {missing}", hint=hint)
    if settings.retrieval and "table" not in wanted:
        raise SettingsError("--retrieval asks table rows: no model of the table alone is trained", hint="add table to --arms")
    return tuple(arm for arm in ARMS if arm in wanted)


def _splits(settings: Train, catalog: Catalog) -> list[Split]:
    if settings.folds > 1:
        return k_fold(catalog, settings.folds, settings.seed, settings.validation)
    return [hold_out(catalog, (1 - settings.validation - settings.test, settings.validation, settings.test), settings.seed)]


def _positive(settings: Train, catalog: Catalog) -> int | None:
    if settings.positive is None:
        return 1 if len(catalog.classes) == 2 else None
    if settings.positive not in catalog.classes:
        raise SettingsError(f'--positive "{settings.positive}": no such class; {suggest(settings.positive, catalog.classes)}')
    return catalog.classes.index(settings.positive)


def prepare_model(
    experiment: Experiment, settings: Train, arm: str, fold: int, device: str, feeds: dict | None = None
) -> Prepared:
    """The model of an arm, its inputs prepared by what the fold's training objects say."""
    catalog, train = experiment.catalog, experiment.splits[fold].train
    statmorph = settings.backbone == "statmorph"
    prepared_pixels = prepared_columns = None
    if arm != "table":
        prepared_pixels = pixels.fit(catalog.images, train, "none" if statmorph else settings.stretch)
    if arm != "image":
        prepared_columns = preprocess.fit(catalog.table.iloc[train], recipe(settings), catalog.labels[train])
    feed = Feed(catalog, prepared_pixels, prepared_columns, device, share=feeds)
    shape = _shape(settings, catalog, arm, prepared_columns, len(train))
    edges = None
    if shape.n_bins:
        edges = quantile_edges(feed.table.rows(torch.from_numpy(train)).to("cpu"), shape.n_bins)
    own = settings.pretrained or settings.backbone.startswith(("zoobot:", "local-dir:"))
    statistics = (None, None) if prepared_pixels is None or own else (prepared_pixels.mean, prepared_pixels.std)
    model = build(
        shape, settings.seed + 1000 * fold, pretrained=settings.pretrained and arm != "table",
        mean=statistics[0], std=statistics[1], edges=edges,
    )  # fmt: skip
    if statmorph and arm != "table":
        with_image = train[catalog.images.present[train]]
        model.backbone.fit(feed.ready(feed.sample(torch.from_numpy(with_image))).image.cpu())
    if isinstance(model.head, Verdicts):
        model.head.know(catalog.labels[train])
    if model.retrieval is not None:
        groups = train if catalog.groups is None else np.unique(catalog.groups[train], return_inverse=True)[1]
        rows = feed.table.rows(torch.from_numpy(train).to(feed.device)).to("cpu")
        model.retrieval.store(rows, torch.from_numpy(catalog.labels[train]), torch.from_numpy(groups))
    wanted = None
    if settings.auxiliary:
        wanted = targets(catalog.withheld, settings.auxiliary, train)
    return Prepared(model, feed, prepared_pixels, prepared_columns, wanted)


def recipe(settings: Train) -> Recipe:
    """How columns are prepared."""
    return Recipe(
        impute=settings.impute, scale=settings.scale, select=settings.select, max_correlation=settings.max_correlation,
        missing_codes=settings.missing_codes,
    )  # fmt: skip


def _shape(settings: Train, catalog: Catalog, arm: str, columns: Preprocessor | None, n_train: int) -> ModelShape:
    image, table = arm != "table", arm != "image"
    bands, size = (catalog.images.shape[0], catalog.images.shape[-1]) if image else (0, 0)
    n_continuous = len(columns.continuous) if table else 0
    # a verdict learns from every object that has its modality: to hide one of them would only take objects away
    hidden = settings.modality_dropout if image and table and settings.fusion != "verdicts" else 0.0
    of_table = settings.dropout if settings.table_dropout is None else settings.table_dropout
    bins = table and (settings.embedding == "piecewise" or settings.table_encoder == "tab_transformer")
    return ModelShape(
        n_classes=len(catalog.classes), backbone=settings.backbone if image else "", image_size=size, n_bands=bands,
        table=settings.table_encoder if table else "", n_continuous=n_continuous,
        cardinalities=columns.cardinalities if table else (), n_bins=N_BINS if bins and n_continuous else 0,
        fusion=settings.fusion, d_fusion=settings.width, head_dropout=settings.dropout if image else of_table,
        image_dropout=hidden, table_dropout=hidden, table_arguments=_table_arguments(settings, of_table) if table else {},
        fusion_arguments={"dropout": of_table if settings.fusion == "verdicts" else settings.dropout} if image and table else {},
        n_stored=n_train if settings.retrieval and arm == "table" else 0, n_auxiliary=0 if settings.retrieval and arm == "table" else len(settings.auxiliary),
    )  # fmt: skip


def _table_arguments(settings: Train, dropout: float) -> dict:
    if settings.table_encoder == "ft_transformer":
        return {
            "d_block": settings.width, "n_blocks": settings.blocks, "n_heads": max(1, settings.width // 8),
            "embedding": settings.embedding, "attention_dropout": dropout, "ffn_dropout": dropout,
        }  # fmt: skip
    if settings.table_encoder == "tab_transformer":
        return {"n_blocks": settings.blocks, "attention_dropout": dropout, "ffn_dropout": dropout}
    plain = {"d_block": settings.width, "n_blocks": settings.blocks, "dropout": dropout}
    return plain | {"embedding": "none" if settings.embedding == "linear" else settings.embedding}
