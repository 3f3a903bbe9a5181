"""Start the image encoder of a run from one that was trained before: on simulated galaxies, another survey, other labels.

Weights and running statistics are taken over; the band statistics stay those of the new training objects, since counts of
another survey have another scale. Fusion and head begin anew.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from sciml.pipelines.errors import DataError, SettingsError

from .backbones.layout import BandNorm
from .bundle import Bundle, find_bundles
from .model import GalaxyModel


def find_start(path: Path, backbone: str) -> Bundle:
    """The model at `path` (run folder, exported model, folder of runs) whose image encoder is taken: the first fold's.

    Raises:
        DataError: nothing trained there, or nothing that sees images. SettingsError: its encoder is no `backbone`.
    """
    bundle = find_bundles(path, table=False)[0]
    theirs = bundle.model.shape.backbone
    if not theirs:
        raise DataError(
            f"--start {path}: that model sees the table only", hint="name a run that was trained with images"
        )
    if theirs == "statmorph":
        raise SettingsError(f"--start {path}: statmorph measures, it has no weights to start from")
    if theirs != backbone:
        raise SettingsError(
            f"--start {path}: its image encoder is {theirs}, not {backbone}", hint=f"add --backbone {theirs}"
        )
    return bundle


def start_from(model: GalaxyModel, bundle: Bundle, path: Path) -> int:
    """Copy the bundle's image encoder into `model`; returns the number of tensors taken. A table-only model is left as it is.

    Raises:
        DataError: the two encoders differ in bands or size; names the first tensor that does not fit.
    """
    if model.backbone is None:
        return 0
    own = model.backbone.state_dict()
    left = _statistics(model)
    theirs = {name: value for name, value in bundle.model.backbone.state_dict().items() if name not in left}
    for name, value in theirs.items():
        if name not in own or own[name].shape != value.shape:
            raise DataError(_why_not(name, own.get(name), value, model, bundle, path), hint=_advice(model, bundle))
    model.backbone.load_state_dict(own | theirs)
    return len(theirs)


def _statistics(model: GalaxyModel) -> set[str]:
    """Names of the band statistics in the backbone."""
    norms = [name for name, module in model.backbone.named_modules() if isinstance(module, BandNorm)]
    return {f"{name}.{buffer}".lstrip(".") for name in norms for buffer in ("mean", "std")}


def _why_not(name: str, own: Tensor | None, value: Tensor, model: GalaxyModel, bundle: Bundle, path: Path) -> str:
    mine = "absent" if own is None else list(own.shape)
    sizes = [f"{s.n_bands} bands of {s.image_size} px" for s in (bundle.model.shape, model.shape)]
    return f"--start {path}: {name} is {list(value.shape)} there and {mine} here; it was trained on {sizes[0]}, here are {sizes[1]}"


def _advice(model: GalaxyModel, bundle: Bundle) -> str:
    theirs = bundle.model.shape
    if theirs.n_bands != model.shape.n_bands:
        return f"choose {theirs.n_bands} bands with --bands ({', '.join(bundle.facts.get('bands', []))} there)"
    return f"try --image-size {theirs.image_size}"
