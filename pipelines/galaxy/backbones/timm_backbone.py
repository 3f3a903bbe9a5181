"""Any timm model as an image encoder: built for the size and bands of the cutouts, its layout unified.

The network sees the size nearest to the cutouts' that it accepts: itself, the next multiple of its patch or of 32, or
the size it was made for; images are resampled to it. Weights of the first layer are adapted to any number of bands by timm.

Axes: b batch, n image token, d width, y x pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.timm_import import import_timm

from .layout import BandNorm, ImageFeatures, band_statistics, resized, unify
from .small_maps import adopt
from .weights import Weights, hub_folder, offline_wanted, reachable, read_folder

_PATCHES = 4  # most convolutions of a model that only cuts patches with them
_MULTIPLE = 32  # the stride of most hierarchical models
# What a model says in its constructor or first pass about a size it cannot work with.
_REFUSALS = (RuntimeError, AssertionError, ValueError, TypeError, IndexError, ZeroDivisionError, AttributeError)


class TimmBackbone(nn.Module):
    """image [b, band, y, x] -> ImageFeatures.

    size: (height, width) the network itself sees.
    d_image: width of tokens and of the pooled vector.
    memory_format: of the image the network sees; torch.channels_last for networks of convolutions.
    description: {"architecture", "arguments"}, plain values from which `build_timm` makes the same network.
    """

    description: dict[str, Any]

    def __init__(self, network: nn.Module, size: tuple[int, int], norm: BandNorm):
        super().__init__()
        adopt(network)
        self.network, self.size, self.norm = network, size, norm
        layout = getattr(network, "output_fmt", None)
        self.layout = str(getattr(layout, "value", layout)).upper() if layout else None
        self.n_prefix = int(getattr(network, "num_prefix_tokens", 0) or 0)
        convolutions = sum(isinstance(module, nn.Conv2d) for module in network.modules())
        # EfficientNet and MobileNet train 1.25 times as fast on a CPU; transformers have one or two for their patches
        self.memory_format = torch.channels_last if convolutions > _PATCHES else torch.contiguous_format
        network.to(memory_format=self.memory_format)  # else every step orders the weights anew
        self._depths = _depths(network)
        self.own_pooling = True
        features, pooled = self._probe()
        # some heads widen the vector before the classifier; tokens and vector share one width here
        self.own_pooling = not isinstance(features, Tensor) or pooled.shape[1] == network.num_features
        self.d_image = pooled.shape[1] if self.own_pooling else network.num_features
        if not self.own_pooling:
            self._freeze_head()
        # several streams have no common grid to draw on
        self._grid = self.tokens_of(features)[1] if isinstance(features, Tensor) else None

    def forward(self, image: Tensor) -> ImageFeatures:
        return self.read(self.encode(image))

    def encode(self, image: Tensor) -> Tensor:
        """The last feature map in the model's own layout."""
        x = resized(self.norm(image), self.size)
        return self.network.forward_features(x.contiguous(memory_format=self.memory_format))

    def read(self, features: Tensor) -> ImageFeatures:
        """Features of a feature map."""
        if not isinstance(features, Tensor):
            # a model with several streams has no single map; its own head joins them
            pooled = self.network.forward_head(features, pre_logits=True)
            return ImageFeatures(pooled[:, None], pooled, None)
        tokens, grid = self.tokens_of(features)
        pooled = self.network.forward_head(features, pre_logits=True) if self.own_pooling else tokens.mean(1)
        return ImageFeatures(tokens, pooled, grid)

    def tokens_of(self, features: Tensor) -> tuple[Tensor, tuple[int, int] | None]:
        """(tokens [b, n, d_image], grid or None) of a feature map."""
        layout = self.layout if features.ndim == 4 and self.layout in ("NCHW", "NHWC") else None
        return unify(features, self.network.num_features, self.n_prefix, layout)

    def depth_of(self, name: str) -> tuple[int, int]:
        """(layer of the parameter `name`, number of layers), the stem being layer 0: for layer-wise rates."""
        return self._depths.get(name.removeprefix("network."), 0), 1 + max(self._depths.values(), default=0)

    def token_grid(self, image_size: int) -> tuple[int, int] | None:
        """Grid of the image tokens; the network resamples every cutout to its own size."""
        return self._grid

    def _probe(self) -> tuple[Any, Tensor]:
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            features = self.network.forward_features(torch.zeros(1, len(self.norm.mean), *self.size))
            pooled = self.network.forward_head(features, pre_logits=True)
        self.network.train(was_training)
        return features, pooled

    def _freeze_head(self) -> None:
        """Layers that only the unused head reads would never get a gradient, which distributed training refuses."""
        self.network.eval()
        probe = self.network.forward_features(torch.zeros(1, len(self.norm.mean), *self.size))
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(probe.sum(), parameters, allow_unused=True)
        self.network.train()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)


def build_timm(
    name: str,
    n_bands: int,
    image_size: int,
    *,
    pretrained: bool = False,
    weights: Weights | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    arguments: dict[str, Any] | None = None,
) -> TimmBackbone:
    """The timm model `name` for square cutouts of `image_size` pixels.

    Args:
        name: a timm name, with or without the tag of its weights; ignored where `weights` are given.
        pretrained: load timm's weights; `weights` implies it.
        mean, std: band statistics. Default: the weights' own, or 0 and 1 from scratch.
        arguments: further arguments of the timm model, such as drop_path_rate or patch_size.

    Raises:
        SettingsError: unknown name or argument, or no size the model accepts.
        DataError: weights are asked for and not to be had, or do not fit.
    """
    arguments = dict(arguments or {})
    if weights is None and pretrained:
        weights = _cached_weights(name)
    if weights is not None:
        name, arguments = weights.architecture, weights.arguments | arguments
        if not import_timm().is_model(name.partition(".")[0]):
            raise DataError(f'{weights.file.parent}: timm has no architecture "{name}"', hint="install a newer timm")
        for fixed in ("in_chans", "num_classes", "img_size"):
            arguments.pop(fixed, None)
    network, size, accepted = _fitted(name, n_bands, image_size, arguments)
    if weights is not None or pretrained:
        network = _with_weights(name, n_bands, accepted, weights)
        own = network.pretrained_cfg
        mean, std = mean or own.get("mean"), std or own.get("std")
    backbone = TimmBackbone(network, (size, size), BandNorm(*band_statistics(n_bands, mean, std)))
    backbone.description = {"architecture": name, "arguments": arguments}
    return backbone


def _sizes(image_size: int, native: int) -> list[int]:
    multiples = [-(-image_size // step) * step for step in (4, 8, 14, 16, _MULTIPLE)]
    return list(dict.fromkeys([image_size, *sorted(multiples), multiples[-1] + _MULTIPLE, native]))


def _fitted(name: str, n_bands: int, image_size: int, arguments: dict[str, Any]) -> tuple[nn.Module, int, dict]:
    """(network from scratch, size it sees, the arguments that built it)."""
    timm = import_timm()
    cfg = timm.models.get_pretrained_cfg(name)
    native = cfg.input_size[-1] if cfg is not None else 224
    trouble = "no size tried"
    for size in _sizes(image_size, native):
        # fixed-size models want to be told; the others do not know the word
        for told in ({"img_size": size}, {}):
            options = arguments | told
            try:
                network = timm.create_model(name, pretrained=False, in_chans=n_bands, num_classes=0, **options).eval()
                with torch.no_grad():
                    network.forward_features(torch.zeros(1, n_bands, size, size))
            except _REFUSALS as error:
                if isinstance(error, TypeError) and (unknown := _unknown_argument(error, arguments)):
                    raise SettingsError(f'the timm model "{name}" has no argument "{unknown}"') from None
                if told and isinstance(error, TypeError) and "img_size" in str(error):
                    continue
                trouble = str(error)
                continue
            if not _cropped(network, size):
                return network.train(), size, options
    raise SettingsError(f'the timm model "{name}" accepts no size near {image_size} px: {trouble}')


def _unknown_argument(error: TypeError, arguments: dict[str, Any]) -> str | None:
    return next((key for key in arguments if f"'{key}'" in str(error)), None)


def _cropped(network: nn.Module, size: int) -> bool:
    """Whether the network cuts off a margin that fills no patch, which would move the galaxy off its centre."""
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    if patch is None:
        return False
    return size % (patch[0] if isinstance(patch, tuple | list) else int(patch)) != 0


def _cached_weights(name: str) -> Weights | None:
    """Weights of a timm name as a folder in the cache; None where timm itself has to fetch them."""
    timm = import_timm()
    cfg = timm.models.get_pretrained_cfg(name)
    if cfg is None or not (cfg.hf_hub_id or cfg.url):
        raise SettingsError(f'timm has no pretrained weights for "{name}"', hint="train it from scratch")
    if not cfg.hf_hub_id:
        if offline_wanted() or not reachable():
            raise DataError(f'the weights of "{name}" cannot be downloaded: no network', hint="train it from scratch")
        return None
    folder = hub_folder(cfg.hf_hub_id, name)
    weights = read_folder(folder)
    return Weights(name, {}, cfg.to_dict() | {"num_classes": weights.pretrained_cfg.get("num_classes")}, weights.file)


def _with_weights(name: str, n_bands: int, options: dict[str, Any], weights: Weights | None) -> nn.Module:
    from safetensors import SafetensorError

    timm = import_timm()
    cfg = None
    if weights is not None:
        cfg = weights.pretrained_cfg | {"file": str(weights.file), "hf_hub_id": None, "url": "", "source": None}
        # the loader for the files of the first authors; the hub has all weights as safetensors
        cfg["custom_load"] = False
    try:
        return timm.create_model(name, pretrained=True, pretrained_cfg=cfg, in_chans=n_bands, num_classes=0, **options)
    except (SafetensorError, *_REFUSALS, OSError, KeyError) as error:
        where = weights.file if weights is not None else "the download"
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise DataError(f'the weights in {where} do not load into "{name}": {reason}') from None


def _depths(network: nn.Module) -> dict[str, int]:
    timm = import_timm()
    if not hasattr(network, "group_matcher"):
        return {}
    return dict(timm.models.group_parameters(network, network.group_matcher(coarse=False), reverse=True))
