"""`sciml galaxy explain`: what a trained model looks at: columns, image regions, and each modality.

Columns by permutation importance, regions by Grad-CAM and by the attention of the table on the image, modalities by hiding them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.checkpoint import plain, write_atomic
from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress

from . import attribution, gallery, importance, metrics
from .bundle import Bundle
from .catalog import Catalog
from .feed import Feed, Sample
from .logits import predict_logits
from .training_settings import Explain
from .using import feed_of, load, probabilities

MOST_OBJECTS = 500  # permutation importance predicts each of them many times


def explain(settings: Explain, progress: Progress | None = None) -> dict:
    """Write pictures and tables to `settings.to`; returns what was found."""
    import json

    from . import bars, plates

    progress = progress or Progress()
    folder = _folder(settings)
    bundles, gathered = load(settings, progress)
    bundle, catalog = bundles[0], gathered.catalog
    device = choose_device(settings.device)
    found: dict = {"model": str(settings.model), "arm": bundle.arm, "objects": len(catalog), "models": len(bundles)}
    if len(bundles) > 1:
        progress.note(f"the first of {len(bundles)} models (folds, members) is explained")
    p, _ = probabilities([bundle], catalog, settings, progress)
    if catalog.labels is not None and len(np.unique(catalog.labels)) > 1:
        found["importance"] = column_importance(bundle, catalog, device, settings.seed, settings.repeats, progress)
        found["ablation"] = ablation(bundle, catalog, device, settings.seed)
        _picture(bars.importance(found["importance"]), folder / "importance.png")
    labels = p.argmax(1) if catalog.labels is None else catalog.labels
    chosen = gallery.choose(labels, p, settings.objects, positive=bundle.facts["positive"])["sample"]
    if catalog.images is not None and bundle.pixels is not None:
        heat = heat_maps(bundle, catalog, chosen, device)
        images = catalog.images.read(chosen)
        shown = gallery.colours(images, catalog.images.bands)
        said = p[chosen].argmax(1)
        titles = [f"{bundle.classes[k]} {p[n, k]:.2f}" for n, k in zip(chosen, said, strict=True)]
        for name, maps in heat.items():
            _picture(plates.overlays(shown, maps, titles), folder / f"{name}.png")
        np.savez_compressed(folder / "maps.npz", ids=catalog.ids[chosen], images=images, **heat)
        found["maps"] = sorted(heat)
    attention = column_attention(bundle, catalog, device)
    if attention is not None:
        found["column_attention"] = attention
    write_atomic(folder / "explain.json", json.dumps(plain(found), indent=1, ensure_ascii=False).encode())
    return found


def _picture(figure, path: Path) -> None:
    if figure is not None:
        figure.savefig(path, dpi=150)


def _folder(settings: Explain) -> Path:
    folder = settings.to
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not settings.overwrite):
        raise SettingsError(f"{folder}: exists and is not an empty folder", hint="use --overwrite, or another --to")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made: {error.strerror}", hint="give another --to") from None
    return folder


def column_importance(
    bundle: Bundle, catalog: Catalog, device: str, seed: int, repeats: int, progress: Progress
) -> list[dict]:
    """Drop in AUC when a column, or a whole modality, is shuffled among the objects."""
    rng = np.random.default_rng(seed)
    if len(catalog) > MOST_OBJECTS:
        catalog = catalog.take(np.sort(rng.permutation(len(catalog))[:MOST_OBJECTS]))
    feed = feed_of(bundle, catalog, device)
    features = None
    model = bundle.model.to(device).eval()
    if feed.source is not None:
        features = _features(bundle, feed)
    table = None if bundle.preprocessor is None else catalog.table[list(bundle.preprocessor.columns)]

    @torch.no_grad()
    def predict(frame: pd.DataFrame | None, rows: np.ndarray | None) -> np.ndarray:
        rows = np.arange(len(catalog)) if rows is None else rows
        tokens = None
        if frame is not None:
            tokens = model.encode_table(bundle.preprocessor.transform(frame).to(device))
        image = None if features is None else type(features)(features.tokens[rows], features.pooled[rows], features.grid)
        present = None if feed.present is None else feed.present[torch.from_numpy(rows)]
        logits = model.classify(model.fuse(image, tokens, present)).double().cpu().numpy()
        return bundle.probability(logits)

    rows = None if features is None else np.arange(len(catalog))
    total = importance.calls(table, rows) * repeats
    with progress.task("importance", total, "predictions") as task:
        return importance.importance(
            predict, table, catalog.labels, images=rows, positive=bundle.facts["positive"], groups=catalog.groups,
            n_repeat=repeats, seed=seed, advance=task.advance,
        )  # fmt: skip


@torch.no_grad()
def _features(bundle: Bundle, feed: Feed):
    """Encoded images of all objects: shuffling columns does not change them."""
    parts = [bundle.model.encode_image(_image(feed, index)) for index in torch.arange(len(feed)).split(128)]
    tokens, pooled = (torch.cat([getattr(part, name) for part in parts]) for name in ("tokens", "pooled"))
    return type(parts[0])(tokens, pooled, parts[0].grid)


def _image(feed: Feed, index: torch.Tensor) -> torch.Tensor:
    return feed.ready(feed.sample(index)).image


def ablation(bundle: Bundle, catalog: Catalog, device: str, seed: int = 0) -> list[dict]:
    """Scores of a fusion model that is shown both modalities, or one of them only."""
    if bundle.arm != "fusion" or catalog.images is None or not len(catalog.table.columns):
        return []
    model, feed = bundle.model.to(device), feed_of(bundle, catalog, device)
    hidden = {
        "image and table": feed,
        "image, table hidden": _Hidden(feed, table=True),
        "table, image hidden": _Hidden(feed, image=True),
    }
    rows = []
    for name, shown in hidden.items():
        p = bundle.probability(predict_logits(model, shown, np.arange(len(catalog))))[:, 0]
        scores = metrics.score(
            catalog.labels, p, bundle.classes, positive=bundle.facts["positive"], groups=catalog.groups, seed=seed, n_bootstrap=500
        )
        rows.append({"name": name, "metrics": scores})
    return rows


class _Hidden:
    """A feed that leaves a modality out."""

    def __init__(self, feed: Feed, *, image: bool = False, table: bool = False):
        self.feed, self.image, self.table = feed, image, table
        self.device = feed.device

    def sample(self, index: torch.Tensor) -> Sample:
        found = self.feed.sample(index, with_images=not self.image)
        if self.table:
            found = replace(found, table=None, table_present=None)
        return replace(found, image_present=None) if self.image else found

    def ready(self, sample: Sample, kind: int = 0) -> Sample:
        return self.feed.ready(sample, kind)


def heat_maps(bundle: Bundle, catalog: Catalog, chosen: np.ndarray, device: str) -> dict[str, np.ndarray]:
    """Maps [k, y, x] in 0..1 of the chosen objects: "grad_cam", and "attention" where the fusion attends to the image."""
    model, feed = bundle.model.to(device), feed_of(bundle, catalog, device)
    sample = feed.ready(feed.sample(torch.from_numpy(np.asarray(chosen, np.int64))))
    found = {}
    if model.backbone.token_grid(model.shape.image_size) is not None:
        found["grad_cam"] = attribution.grad_cam(model, sample.image, sample.table)
    looked = attribution.attention_on_image(model, sample.image, sample.table)
    if looked is not None:
        found["attention"] = looked / looked.flatten(1).amax(1)[:, None, None].clamp_min(1e-12)
    size = tuple(sample.image.shape[-2:])
    grow = lambda m: torch.nn.functional.interpolate(m[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0]  # noqa: E731
    return {name: grow(maps).cpu().numpy() for name, maps in found.items()}


def column_attention(bundle: Bundle, catalog: Catalog, device: str) -> list[dict] | None:
    """Mean attention of the class token on each column, most first; None without such a token."""
    if bundle.preprocessor is None or not len(catalog.table.columns):
        return None
    table = bundle.preprocessor.transform(catalog.table.iloc[:MOST_OBJECTS]).to(device)
    share = attribution.attention_on_columns(bundle.model.to(device), table)
    if share is None:
        return None
    mean = share.mean(0).double().cpu().numpy()
    order = np.argsort(-mean)
    return [{"column": bundle.preprocessor.columns[k], "attention": float(mean[k])} for k in order]
