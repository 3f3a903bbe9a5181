"""Parameters in groups for an optimizer: what decays, and how fast each layer learns.

Weight decay is left out for tokenisers, class and missing tokens, positions, gates, norms and biases (Gorishniy et al.
2021, arXiv:2106.11959, section 4.3; Touvron et al. 2021, arXiv:2012.12877). With a layer decay r the layer l of L of the
backbone learns at rate lr r^(L - 1 - l) (Bao et al. 2022, arXiv:2106.08254).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from .model import GalaxyModel


def undecayed(model: nn.Module) -> set[str]:
    """Names of the parameters weight decay would harm.

    Vectors and numbers are always left out. A module names others: `no_decay = True` means all of its parameters,
    `no_decay_names` some of them, `no_weight_decay()` is timm's way to say it.
    """
    names = {name for name, parameter in model.named_parameters() if parameter.ndim <= 1}
    for path, module in model.named_modules():
        start = f"{path}." if path else ""
        if getattr(module, "no_decay", False) is True:
            names |= {start + name for name, _ in module.named_parameters()}
        chosen = set(getattr(module, "no_decay_names", ()))
        declared = getattr(module, "no_weight_decay", None)
        chosen |= set(declared()) if callable(declared) else set()
        names |= {start + name for name, _ in module.named_parameters() if name in chosen}
    return names


def parameter_groups(
    model: GalaxyModel,
    lr: float,
    weight_decay: float,
    *,
    backbone_lr: float | None = None,
    layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer: params, lr, weight_decay and a name; frozen parameters are left out.

    Args:
        lr: rate of everything but the backbone.
        backbone_lr: rate of the backbone's last layer; lr where it is None.
        layer_decay: factor from one layer of the backbone to the one below.
    """
    spared = undecayed(model)
    groups: dict[tuple, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate, part = lr, "model"
        if name.startswith("backbone."):
            layer, n_layers = model.backbone.depth_of(name.removeprefix("backbone."))
            rate = (lr if backbone_lr is None else backbone_lr) * layer_decay ** (n_layers - 1 - layer)
            part = "backbone" if layer_decay == 1.0 else f"backbone.{layer}"
        decay = 0.0 if name in spared else weight_decay
        group = groups.setdefault(
            (part, decay == 0.0),
            {"params": [], "lr": rate, "weight_decay": decay, "name": part + (".plain" if decay == 0.0 else "")},
        )
        group["params"].append(parameter)
    return list(groups.values())
