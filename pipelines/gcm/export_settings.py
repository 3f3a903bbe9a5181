"""Settings of `sciml gcm export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.settings import setting

MODEL, OUTPUT = "Model", "Output"


@dataclass(frozen=True)
class Export:
    """`sciml gcm export`: a NeuralGCM checkpoint as safetensors, settings and model card."""

    checkpoint: Path | None = setting(None, "NeuralGCM checkpoint: a released .pkl file", panel=MODEL)
    to: Path = setting(Path("neuralgcm-model"), "folder to write", panel=OUTPUT)
    licence: str | None = setting(
        None,
        "licence of the weights for the model card (default: cc-by-sa-4.0, that of the released ones)",
        panel=OUTPUT,
    )

    def __post_init__(self):
        if self.checkpoint is None:
            raise SettingsError("no checkpoint named", hint="sciml gcm export FILE.pkl --to DIR")
