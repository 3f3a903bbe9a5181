"""Image encoders by name: `cnn`, `statmorph`, families (`resnet`, `vit`, ...), timm names, `zoobot:`, `hf-hub:`, `local-dir:`.

A backbone is a module image [b, band, y, x] -> ImageFeatures with d_image, the width of tokens and pooled vector, and
depth_of(name), the layer of a parameter.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from sciml.pipelines.errors import SettingsError, nearest, suggest
from sciml.pipelines.timm_import import import_timm

from .weights import ZOOBOT, hub_folder, read_folder, zoobot_folder

# A family name stands for its member that trains on a CPU.
FAMILIES = {
    "resnet": "resnet18",
    "efficientnet": "efficientnet_b0",
    "vit": "vit_tiny_patch16_224",
    "swin": "swin_tiny_patch4_window7_224",
    "convnext": "convnext_atto",
    "clip": "vit_base_patch32_clip_224.openai",
}
OWN = {
    "cnn": "small network for cutouts of 48 to 128 px from scratch, sees the asymmetry of the galaxy as well",
    "cnn_fine": "the same for cutouts of 80 to 160 px: a coarser first layer, half the time of cnn at 64 px",
    "statmorph": "morphology measurements as the vector (CAS, Gini-M20, MID, shape asymmetry, Sersic)",
}
_PREFIXES = {
    "zoobot:": "galaxy encoders of Zoobot on Hugging Face, or a folder of one: zoobot:convnext_nano, zoobot:DIR",
    "hf-hub:": "an encoder in the layout of timm on Hugging Face: hf-hub:OWNER/NAME",
    "local-dir:": "a folder with config.json and model.safetensors: local-dir:DIR",
}


@dataclass(frozen=True)
class ModelEntry:
    """One line of the list of models: name as typed, kind, description or the timm model it stands for."""

    name: str
    kind: str
    text: str


def build_backbone(
    name: str,
    n_bands: int,
    image_size: int,
    *,
    pretrained: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    arguments: dict[str, Any] | None = None,
) -> nn.Module:
    """The image encoder `name` for square cutouts.

    Args:
        n_bands, image_size: of the cutouts [px].
        pretrained: load the weights of a timm name; zoobot:, hf-hub: and local-dir: always do.
        mean, std: band statistics of the training split. Default: those the weights were made with, else 0 and 1.
        arguments: further arguments of the model.

    Raises:
        SettingsError: unknown name or argument. DataError: weights are not to be had; the hint says what to do.
    """
    check_name(name)
    arguments = dict(arguments or {})
    if name in OWN:
        if pretrained:
            raise SettingsError(f'the backbone "{name}" has no pretrained weights', hint="set pretrained to false")
        return _own(name, n_bands, mean, std, arguments)
    from .timm_backbone import build_timm

    weights = None
    if name.startswith("zoobot:"):
        weights = read_folder(zoobot_folder(name.removeprefix("zoobot:")))
        # Zoobot was trained on images between 0 and 1, without normalization
        mean, std = mean or (0.0,), std or (1.0,)
    elif name.startswith("hf-hub:"):
        weights = read_folder(hub_folder(name.removeprefix("hf-hub:"), name))
    elif name.startswith("local-dir:"):
        weights = read_folder(name.removeprefix("local-dir:"))
    return build_timm(
        FAMILIES.get(name, name), n_bands, image_size,
        pretrained=pretrained, weights=weights, mean=mean, std=std, arguments=arguments,
    )  # fmt: skip


def rebuild_backbone(
    name: str,
    n_bands: int,
    image_size: int,
    network: dict[str, Any] | None,
    arguments: dict[str, Any] | None = None,
) -> nn.Module:
    """The module of a trained model, without its weights: nothing is looked up or downloaded.

    `network` is the `description` of the backbone that was trained; None for the package's own encoders.
    """
    if network is None:
        return build_backbone(name, n_bands, image_size, arguments=arguments)
    from .timm_backbone import build_timm

    return build_timm(network["architecture"], n_bands, image_size, arguments=network["arguments"])


def check_name(name: str) -> str:
    """`name` itself if there is such an encoder; SettingsError with the nearest names otherwise."""
    if name in OWN or name in FAMILIES:
        return name
    prefix = next((p for p in _PREFIXES if name.startswith(p)), None)
    if prefix == "zoobot:":
        rest = name.removeprefix(prefix)
        if rest not in ZOOBOT and not Path(rest).expanduser().is_dir() and nearest(rest, ZOOBOT) not in (None, rest):
            raise SettingsError(f'unknown Zoobot encoder "{rest}"; {suggest(rest, ZOOBOT)}')
        return name
    if prefix is not None:
        return name
    if ":" in name or "/" in name:
        raise SettingsError(f'unknown backbone "{name}"; accepted with a colon: {", ".join(_PREFIXES)}')
    timm = import_timm()
    if "." not in name and timm.is_model(name):
        return name
    known = [*OWN, *FAMILIES, *timm.list_models()]
    architecture, _, tag = name.partition(".")
    if tag and timm.is_model(architecture):
        tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
        if tag in tags:
            return name
        raise SettingsError(f'"{architecture}" has no weights "{tag}"; {suggest(tag, tags)}')
    raise SettingsError(f'unknown backbone "{name}"; {suggest(name, known)}', hint="sciml galaxy models lists them all")


def list_models(pattern: str = "", pretrained: bool = False) -> list[ModelEntry]:
    """Every encoder whose name fits `pattern` (with * and ?, else a part of the name).

    pretrained: of the timm models only those with weights, one entry per set of weights.
    """
    timm = import_timm()
    entries = [ModelEntry(name, "own", text) for name, text in OWN.items()]
    entries += [ModelEntry(name, "family", model) for name, model in FAMILIES.items()]
    entries += [ModelEntry(f"zoobot:{name}", "zoobot", "pretrained on Galaxy Zoo") for name in ZOOBOT]
    entries += [ModelEntry(text.rpartition(" ")[2], "prefix", text) for text in _PREFIXES.values()]
    names = timm.list_pretrained() if pretrained else timm.list_models()
    entries += [ModelEntry(name, "timm", "") for name in names]
    if not pattern:
        return entries
    glob = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return [entry for entry in entries if fnmatch.fnmatch(entry.name.lower(), glob.lower())]


def _own(name: str, n_bands: int, mean: Any, std: Any, arguments: dict[str, Any]) -> nn.Module:
    try:
        if name in ("cnn", "cnn_fine"):
            from .cnn import FINE, CutoutNet

            return CutoutNet(n_bands, mean=mean, std=std, **((FINE if name == "cnn_fine" else {}) | arguments))
        from .measurements import COLUMNS, measure_band
        from .statmorph_vector import StatmorphVector

        return StatmorphVector(measure_band, COLUMNS, n_bands, **arguments)
    except TypeError as error:
        raise SettingsError(f'the backbone "{name}" does not take these arguments: {error}') from None
