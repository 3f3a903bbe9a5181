"""A trained model on objects: read them as in training, predict with every model and view.

    p = mean over models f (folds, members) and views v of softmax(z_fv / T_f),   spread = standard deviation over them

Axes: n object, m = model x view, c class.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.compute.threads import convolutions, probe, using
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress
from sciml.pipelines.run import Run
from sciml.pipelines.settings import resolve

from .bundle import Bundle, find_bundles, run_folder
from .catalog import Catalog
from .experiment import prepare
from .feed import Feed
from .gather import Gathered, gather_in_threads
from .logits import predict_logits
from .measured import is_measured, without_measurements
from .settings import Choice
from .training_settings import Train, Use

_NAMES_OF_COLUMNS = ("id", "image_id", "ra", "dec", "categorical")


def load(settings: Use, progress: Progress) -> tuple[list[Bundle], Gathered]:
    """The bundles of the arm that fits what is given, and the objects.

    Without images and table these are the run's own test objects.

    Raises:
        DataError: no model, no objects, other bands or columns. SettingsError: an arm that was not trained.
    """
    has_images, has_table = settings.images is not None, bool(settings.table)
    if not has_images and not has_table:
        bundles = find_bundles(settings.model, settings.arm)
        return bundles, Gathered(_own_test(settings, bundles, progress))
    from .packed import is_packed

    packed = is_packed(settings.images)
    bundles = _arm(settings, has_images, has_table or packed)
    choice = _as_trained(settings, bundles[0], packed)
    gathered = gather_in_threads(choice, progress, settings.threads)
    if measures(bundles[0]) and not has_images:
        if measures(bundles[0], alone=True):
            raise DataError("all columns of this model are measured on images", hint="give them with --images")
        gathered.catalog = without_measurements(gathered.catalog)
    for line in gathered.lines():
        progress.note(line)
    _check(bundles[0], gathered.catalog)
    return bundles, gathered


def _arm(settings: Use, images: bool, table: bool) -> list[Bundle]:
    """The bundles to use; images alone are image and table to a model whose columns are all measured on them."""
    if images and not table and settings.arm == "auto":
        whole = find_bundles(settings.model)
        if measures(whole[0], alone=True):
            return whole
    return find_bundles(settings.model, settings.arm, images, table)


def measures(bundle: Bundle, alone: bool = False) -> bool:
    """Whether some columns of the model, or all (`alone`), are measured on the cutouts."""
    columns = () if bundle.preprocessor is None else bundle.preprocessor.columns
    return any(map(is_measured, columns)) and (not alone or all(map(is_measured, columns)))


def _own_test(settings: Use, bundles: list[Bundle], progress: Progress) -> Catalog:
    folder = run_folder(settings.model)
    folds = len({bundle.facts["fold"] for bundle in bundles})
    if not (folder / "settings.toml").is_file() or folds > 1:
        raise SettingsError(
            f"{folder}: "
            + ("all its objects were training objects of some fold" if folds > 1 else "an exported model has no data of its own"),
            hint="name the objects with --images and --table",
        )
    trained = resolve(Train, {}, Run(folder).path / "settings.toml")
    experiment = prepare(trained, folder, progress)
    return experiment.catalog.take(experiment.splits[0].test)


def _as_trained(settings: Use, bundle: Bundle, packed: bool) -> Choice:
    """How the files are read: as they were in training where nothing else is said."""
    plain = {f.name: f.default for f in fields(Choice)}
    mine = {name: getattr(settings, name) for name in plain}
    mine["measure"] |= _must_measure(settings, bundle, packed)
    if packed:
        return Choice(**mine)
    stored = {n: tuple(v) if isinstance(v, list) else v for n, v in bundle.facts.get("choice", {}).items()}
    if not settings.table:  # images alone have none of the columns that were named in training
        stored = {n: v for n, v in stored.items() if n not in _NAMES_OF_COLUMNS}
    stored.pop("measure", None)
    taken = {n: v for n, v in stored.items() if n in mine and mine[n] == plain[n] and v is not None}
    if bundle.pixels is not None and mine["image_size"] is None and settings.images is not None:
        taken["image_size"] = bundle.model.shape.image_size
    if bundle.preprocessor is not None and settings.table and not mine["inputs"]:
        taken["inputs"] = tuple(name for name in bundle.preprocessor.columns if not is_measured(name))
    if bundle.arm == "fusion":
        taken["unmatched"] = "keep"  # either modality may be absent
    return Choice(**(mine | taken))


def _must_measure(settings: Use, bundle: Bundle, packed: bool) -> bool:
    """Not where other columns are absent with the table: the model then sees the image alone, as it learnt to."""
    if settings.images is None or not measures(bundle):
        return False
    return bool(settings.table) or packed or measures(bundle, alone=True)


def _check(bundle: Bundle, catalog: Catalog) -> None:
    if not len(catalog):
        raise DataError("no object is left to predict")
    if bundle.arm == "image" and catalog.images is None:
        raise DataError("this model sees images only", hint="give --images, or another --arm")
    if bundle.arm == "table" and not len(catalog.table.columns):
        raise DataError("this model sees the table only", hint="give --table, or another --arm")
    if bundle.pixels is not None and catalog.images is not None:
        if catalog.images.shape[0] != len(bundle.pixels.bands):
            raise DataError(
                f"the images have {catalog.images.shape[0]} bands ({', '.join(catalog.images.bands)}), the model was trained on "
                f"{len(bundle.pixels.bands)} ({', '.join(bundle.pixels.bands)})",
                hint="choose them with --bands",
            )
        if catalog.images.shape[-1] != bundle.model.shape.image_size:
            size = bundle.model.shape.image_size
            raise DataError(
                f"the images are {catalog.images.shape[-1]} px wide, the model was trained on {size}",
                hint=f"pack them again with --image-size {size}",
            )


def feed_of(bundle: Bundle, catalog: Catalog, device: str, share: dict | None = None) -> Feed:
    """The objects as the model sees them; a modality that is not there is left out."""
    image = bundle.pixels if catalog.images is not None else None
    table = bundle.preprocessor if len(catalog.table.columns) else None
    return Feed(catalog, image, table, device, share)


def probabilities(
    bundles: list[Bundle], catalog: Catalog, settings: Use, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """(probability [n, c], its standard deviation [n, c] over models and views)."""
    device = choose_device(settings.device)
    found, share = [], {}
    threads = settings.threads or (probe(convolutions()) if device == "cpu" else 1)
    with using(threads), progress.task("predict", len(catalog) * len(bundles), "objects") as task:
        for bundle in bundles:
            feed = feed_of(bundle, catalog, device, share)
            model = bundle.model.to(device)
            views = settings.views or bundle.facts["views"]
            views = views if feed.source is not None else 1
            parts = []
            for index in np.array_split(np.arange(len(catalog)), max(1, len(catalog) // 512)):
                parts.append(bundle.probability(predict_logits(model, feed, index, views=views)))
                task.advance(len(index))
            found.append(np.concatenate(parts))
    every = np.concatenate(found, axis=1)
    return every.mean(1), every.std(1)


def target_path(path: Path, overwrite: bool) -> Path:
    """`path` if it may be written."""
    if path.exists() and not overwrite:
        raise SettingsError(f"{path}: exists already", hint="use --overwrite, or another --to")
    return path
