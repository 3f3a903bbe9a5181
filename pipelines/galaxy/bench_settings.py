"""Settings of `sciml bench galaxy`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sciml.pipelines.settings import setting

from .settings import positive, require

PARTS = ("throughput", "morphology")


@dataclass(frozen=True)
class BenchGalaxy:
    """`sciml bench galaxy`: our training loop beside a DataLoader loop, our morphology beside statmorph."""

    parts: tuple[str, ...] = setting(PARTS, "any of throughput, morphology")
    backbones: tuple[str, ...] = setting(
        ("resnet18", "efficientnet_b0", "convnext_atto", "mobilenetv3_small_100"), "timm names of the networks to train"
    )
    images: Path | None = setting(None, "folder of pictures to train on; default: synthetic JPEGs")
    picture_size: int = setting(424, "pixels a side of the synthetic JPEGs; 424 is what Galaxy Zoo distributes")
    image_size: int = setting(64, "pixels a side the network sees")
    batch_size: int = setting(32, "images per step")
    steps: int = setting(8, "steps of an epoch; one epoch of each contestant is a round")
    repeats: int = setting(7, "interleaved rounds")
    threads: int = setting(1, "threads of torch")
    workers: int = setting(0, "processes of the DataLoader; with any of them the clock is wall time")
    precision: Literal["float32", "bfloat16"] = setting("float32", "arithmetic of all networks")
    galaxies: int = setting(40, "simulated galaxies whose morphology is measured")
    device: str = setting("cpu", "cpu, cuda or cuda:N")
    csv: Path | None = setting(None, "write the rows of the throughput to this file, too")

    def __post_init__(self):
        positive(self, "picture_size", "image_size", "batch_size", "steps", "repeats", "threads", "galaxies")
        require(self.workers >= 0, f"--workers {self.workers}: must not be negative")
        require(bool(self.parts) and bool(self.backbones), "--parts and --backbones: give at least one of each")
        for part in self.parts:
            require(part in PARTS, f"--parts {part}: expected any of {', '.join(PARTS)}")
