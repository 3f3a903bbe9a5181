"""Import timm, also where torch is a CPU build and torchvision is the one from PyPI.

That torchvision is linked against CUDA: its C++ extension cannot load beside a CPU-only torch, and the import of timm
then stops at `operator torchvision::nms does not exist` (pytorch/vision issue 9085). Declaring the two missing
operators by their schemas lets the import pass; only the box operators of torchvision.ops stay unusable.
"""

import sys
from types import ModuleType
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# torch forgets the operators when the library object is collected.
_kept_alive: list[Any] = []


def import_timm() -> ModuleType:
    """The timm module; with a working torchvision this is a plain import."""
    try:
        import timm
    except RuntimeError as error:
        if "torchvision::" not in str(error) or "does not exist" not in str(error):
            raise
        _forget_half_imported()
        _declare_operators()
        import timm
    return timm


def repaired() -> bool:
    """Whether the import needed the repair in this process."""
    return bool(_kept_alive)


def _forget_half_imported() -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in ("torchvision", "timm"):
            del sys.modules[name]


def _declare_operators() -> None:
    import torch

    # An unconditional definition would register twice with a torchvision build that works.
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _kept_alive.append(library)
