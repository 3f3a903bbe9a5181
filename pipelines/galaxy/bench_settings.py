"""Settings of `sciml bench galaxy`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sciml.pipelines.option_checks import positive, require
from sciml.pipelines.settings import setting

PARTS = ("throughput", "morphology", "parity", "spectra", "simulator", "forest")


@dataclass(frozen=True)
class BenchGalaxy:
    """`sciml bench galaxy`: our training loop beside a DataLoader loop, our morphology beside statmorph, and what must hold.

    throughput  images per second while training
    morphology  time and agreement with statmorph on simulated galaxies; parity: on the real ones in `data`
    spectra     lines, indices and colours of the SDSS spectra in `data` beside the survey's catalogue
    simulator   what nuisance columns of simulated galaxies know about the label
    forest      forests of trees on the folds that `sciml galaxy train --table` trains on
    """

    parts: tuple[str, ...] = setting(PARTS[:2], "any of throughput, morphology, parity, spectra, simulator, forest")
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
    galaxies: int = setting(40, "galaxies of each case whose morphology is measured")
    data: Path | None = setting(None, "folder of real galaxies and spectra, for parity and spectra")
    simulate: int = setting(2000, "galaxies that simulator draws for each of its seeds")
    seeds: tuple[int, ...] = setting((1, 2, 3), "seeds of simulator")
    table: Path | None = setting(None, "table of forest")
    label: str | None = setting(None, "column of it that is the class")
    group: str | None = setting(None, "as in `sciml galaxy train`: what stays together in a fold")
    folds: int = setting(5, "folds of forest")
    seed: int = setting(0, "seed of its folds")
    trees: int = setting(300, "trees of a forest")
    device: str = setting("cpu", "cpu, cuda or cuda:N")
    csv: Path | None = setting(None, "write the rows to this file, too; of several parts to NAME-PART.csv beside it")

    def __post_init__(self):
        positive(self, "picture_size", "image_size", "batch_size", "steps", "repeats", "threads", "galaxies")
        positive(self, "simulate", "trees")
        require(self.workers >= 0, f"--workers {self.workers}: must not be negative")
        require(bool(self.parts) and bool(self.backbones), "--parts and --backbones: give at least one of each")
        for part in self.parts:
            require(part in PARTS, f"--parts {part}: expected any of {', '.join(PARTS)}")
        for part in ("parity", "spectra"):
            known = part not in self.parts or self.data is not None
            require(known, f"--parts {part}: name the folder of real galaxies with --data")
        known = "forest" not in self.parts or (self.table is not None and self.label is not None)
        require(known, "--parts forest: name the table with --table and its class with --label")
        require(self.folds > 1, f"--folds {self.folds}: at least 2")
        require(len(self.seeds) > 0, "--seeds: give at least one")

    def file_of(self, part: str) -> Path | None:
        """Where the rows of a part are written; None without `csv`."""
        if self.csv is None or len(self.parts) == 1:
            return self.csv
        return self.csv.with_stem(f"{self.csv.stem}-{part}")
