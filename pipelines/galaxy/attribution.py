"""Where a model looked: attention of the table on the image, attention among columns, Grad-CAM.

Grad-CAM on tokens (Selvaraju et al. 2017, arXiv:1610.02391): map_n = relu(sum_d g_d x_nd), g the mean over tokens n of the
gradient of a logit with respect to the image tokens x.

Axes: b batch, n image token, c table token, d width; maps are [b, height, width] of the token grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sciml.pipelines.errors import SettingsError

from .model import GalaxyModel
from .tabular.batch import TableBatch
from .transformer import recorded_attention


@torch.no_grad()
def attention_on_image(model: GalaxyModel, image: Tensor, table: TableBatch | None = None) -> Tensor | None:
    """What the pooled token attends to in the image, [b, height, width], summing to 1; None if the fusion has no attention.

    The mean over heads and blocks, without the share of the image's own pooled token.
    """
    model.eval()
    features, tokens = model.encode_image(image), model.encode_table(table)
    with recorded_attention(model.fusion) as maps:
        model.fuse(features, tokens)
    look = getattr(model.fusion, "look_at_image", None)
    if features is None or features.grid is None or look is None or not maps:
        return None
    share = look(maps, features.tokens.shape[1])
    return (share / share.sum(1, keepdim=True)).unflatten(1, features.grid)


@torch.no_grad()
def attention_on_columns(model: GalaxyModel, table: TableBatch) -> Tensor | None:
    """What the class token attends to among the columns, [b, c], mean over heads and blocks; None without a class token.

    Order of the columns: continuous, then categorical.
    """
    model.eval()
    if not hasattr(model.table, "cls"):
        return None
    with recorded_attention(model.table) as maps:
        model.encode_table(table)
    return torch.stack([weights[:, :, 0, 1:].mean(1) for weights in maps.values()]).mean(0)


def grad_cam(
    model: GalaxyModel, image: Tensor, table: TableBatch | None = None, of_class: int | Tensor | None = None
) -> Tensor:
    """[b, height, width] in [0, 1]; of the predicted class where `of_class` is None.

    Zero everywhere for a ViT whose fusion sees the class token alone: no gradient then reaches its last image tokens.

    Raises:
        SettingsError: the model has no image, or its image tokens lie on no grid.
    """
    model.eval()
    if model.backbone is None or model.backbone.token_grid(model.shape.image_size) is None:
        raise SettingsError("Grad-CAM needs a backbone whose tokens lie on a grid", hint="explain the columns instead")
    with torch.no_grad():
        tokens = model.encode_table(table)
        raw = model.backbone.encode(image)
    raw = raw.requires_grad_()
    with torch.enable_grad():
        logits = model.head(model.fuse(model.backbone.read(raw), tokens))
        chosen = (
            logits.argmax(1) if of_class is None else torch.as_tensor(of_class).to(logits.device).expand(len(logits))
        )
        (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), raw)
    x, grid = model.backbone.tokens_of(raw.detach())
    gradient, _ = model.backbone.tokens_of(gradient)
    heat = torch.relu((gradient.mean(1, keepdim=True) * x).sum(-1))
    return (heat / heat.amax(1, keepdim=True).clamp(min=1e-30)).unflatten(1, grid)
