"""Fusions by name, each built from the widths of its two modalities."""

from __future__ import annotations

from typing import Any

from sciml.pipelines.errors import SettingsError, suggest

from .cross_attention import CrossAttentionFusion
from .early import EarlyFusion
from .film import FilmFusion
from .gated import GatedFusion
from .late import LateFusion
from .modality import Fusion
from .verdicts import VerdictFusion

# name: (class, fixed arguments)
_FUSIONS: dict[str, tuple[type[Fusion | VerdictFusion], dict[str, Any]]] = {
    "cross": (CrossAttentionFusion, {"direction": "table_to_image"}),
    "cross_bidirectional": (CrossAttentionFusion, {"direction": "bidirectional"}),
    "cross_shared": (CrossAttentionFusion, {"direction": "shared"}),
    "early": (EarlyFusion, {}),
    "late": (LateFusion, {}),
    "late_average": (LateFusion, {"mode": "average"}),
    "gated": (GatedFusion, {}),
    "film": (FilmFusion, {}),
    "verdicts": (VerdictFusion, {}),
}
FUSIONS = tuple(_FUSIONS)


def build_fusion(
    name: str,
    d_image: int,
    d_table: int,
    d_fusion: int,
    *,
    positions: tuple[int, int] | None = None,
    arguments: dict[str, Any] | None = None,
) -> Fusion | VerdictFusion:
    """The fusion `name`.

    Args:
        d_image, d_table, d_fusion: widths of the modalities and of the embedding.
        positions: grid of the image tokens, for learned 2-D positions.
        arguments: further arguments of the fusion, such as n_blocks or dropout.

    Raises:
        SettingsError: unknown name or argument.
    """
    cls, (_, fixed) = fusion_class(name), _FUSIONS[name]
    options = fixed | ({"positions": positions} if cls.sees_image_tokens else {}) | (arguments or {})
    try:
        return cls(d_image, d_table, d_fusion, **options)
    except TypeError as error:
        raise SettingsError(f'the fusion "{name}" does not take these arguments: {error}') from None


def check_fusion(name: str) -> str:
    """`name` itself if there is such a fusion; SettingsError otherwise."""
    if name not in _FUSIONS:
        raise SettingsError(f'unknown fusion "{name}"; {suggest(name, FUSIONS)}')
    return name


def fusion_class(name: str) -> type[Fusion | VerdictFusion]:
    """The class behind `name`; its sees_image_tokens and sees_table_tokens say what it looks at."""
    return _FUSIONS[check_fusion(name)][0]
