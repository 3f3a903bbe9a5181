"""Settings of the commands that train and use a model: train, evaluate, predict, explain, export, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sciml.pipelines.option_checks import positive, require
from sciml.pipelines.settings import setting

from .settings import Choice

MODEL, TRAINING, AUGMENTATION, PREPARATION, SPLIT, RUN = (
    "Model", "Training", "Augmentation", "Preparation", "Split", "Run",
)  # fmt: skip
ARMS = ("fusion", "image", "table")
AUGMENTATIONS = ("flip", "rotate", "shift", "zoom", "psf", "noise", "redshift")


@dataclass(frozen=True)
class Train(Choice):
    """`sciml galaxy train`: image, table and both together, trained and compared on held-out galaxies."""

    simulate: int = setting(480, "without --images and --table: simulate this many galaxies", panel=RUN)
    positive: str | None = setting(
        None, "class that counts as a find, e.g. merger; default: the second of two classes", panel="Label"
    )

    backbone: str = setting("cnn", "image encoder; `sciml galaxy models` lists them", panel=MODEL)
    table_encoder: Literal["ft_transformer", "tab_transformer", "mlp"] = setting(
        "ft_transformer", "table encoder", panel=MODEL
    )
    embedding: Literal["linear", "periodic", "piecewise"] = setting(
        "linear", "how a number becomes a token of the FT-Transformer", panel=MODEL
    )
    fusion: Literal[
        "cross", "cross_bidirectional", "cross_shared", "early", "late", "late_average", "gated", "film",
        "verdicts",
    ] = setting("cross", "how image and table are combined; verdicts: each learns by itself, their log-odds are added", panel=MODEL)
    arms: tuple[str, ...] = setting((), "which of fusion, image, table to train; default: all there is", panel=MODEL)
    width: int = setting(64, "width of the embedding and of table tokens", panel=MODEL)
    blocks: int = setting(2, "transformer blocks of the table encoder", panel=MODEL)
    dropout: float = setting(0.1, "dropout rate before the last layer and in the table encoder", panel=MODEL)
    table_dropout: float | None = setting(None, "dropout rate of what sees the table alone; default: --dropout", panel=MODEL)
    modality_dropout: float = setting(
        0.15, "rate at which training hides image or table of an object that has both", panel=MODEL
    )
    retrieval: bool = setting(
        False, "the table model also asks the training rows that look alike; take a large --batch-size", panel=MODEL
    )
    pretrained: bool = setting(False, "start a timm backbone from its pretrained weights", panel=MODEL)
    start: Path | None = setting(
        None, "begin with the image encoder of this run or exported model, e.g. one trained on simulated galaxies", panel=MODEL
    )

    epochs: int = setting(20, "passes over the training objects", panel=TRAINING)
    batch_size: int = setting(32, "objects per step", panel=TRAINING)
    learning_rate: float = setting(1e-3, "largest learning rate (AdamW, warm-up, cosine decay)", panel=TRAINING)
    backbone_rate: float | None = setting(
        None, "learning rate of the backbone's last layer; default: the same", panel=TRAINING
    )
    layer_decay: float = setting(1.0, "factor of the rate from a backbone layer to the one below", panel=TRAINING)
    weight_decay: float = setting(0.02, "weight decay (not on biases, norms, tokens)", panel=TRAINING)
    warmup: float = setting(0.1, "share of the steps in which the rate rises", panel=TRAINING)
    clip: float = setting(1.0, "largest norm of a gradient", panel=TRAINING)
    freeze: bool = setting(False, "keep the backbone as it is; its features are computed once", panel=TRAINING)
    loss: Literal["cross_entropy", "focal"] = setting("cross_entropy", "loss", panel=TRAINING)
    focal_gamma: float = setting(2.0, "how much the focal loss spares what is already right", panel=TRAINING)
    label_smoothing: float = setting(0.05, "share of the label spread over all classes", panel=TRAINING)
    auxiliary: tuple[str, ...] = setting(
        (), "columns that are learned beside the label, e.g. vote fractions; no inputs, and not needed to predict", panel=TRAINING
    )
    balance: Literal["none", "weights", "sampling"] = setting(
        "none",
        "rare classes weigh more in the loss, or are drawn more often; probabilities stay those of the objects as they are",
        panel=TRAINING,
    )
    ema: float = setting(0.98, "decay per step of the averaged weights that are used in the end; 0: none", panel=TRAINING)
    keep: Literal["best", "last"] = setting(
        "best", "which weights are kept: of the epoch with the least validation loss, or of the last", panel=TRAINING
    )
    patience: int | None = setting(None, "stop after this many epochs without better validation", panel=TRAINING)
    precision: Literal["float32", "bfloat16"] = setting("float32", "arithmetic of the forward pass", panel=TRAINING)

    augment: tuple[str, ...] = setting(
        ("flip", "rotate", "shift", "zoom", "noise"),
        "any of flip, rotate, shift, zoom, psf, noise, redshift, or none", panel=AUGMENTATION,
    )  # fmt: skip
    zoom: float = setting(1.12, "largest factor by which zoom makes galaxies larger or smaller", panel=AUGMENTATION)
    views: int = setting(8, "flips and quarter turns averaged in a prediction: 1, 2, 4 or 8", panel=AUGMENTATION)

    stretch: Literal["auto", "asinh", "none"] = setting(
        "auto", "how pixels are compressed; auto: asinh for fluxes, nothing for pictures", panel=PREPARATION
    )
    impute: Literal["median", "mean", "neighbours"] = setting("median", "what fills a missing cell", panel=PREPARATION)
    scale: Literal["quantile", "standard", "robust", "none"] = setting(
        "quantile", "how columns are scaled, fitted to the training objects", panel=PREPARATION
    )
    select: int = setting(0, "keep only the N columns that tell most about the label; 0: all", panel=PREPARATION)
    max_correlation: float = setting(1.0, "of two columns with a larger rank correlation one is left out", panel=PREPARATION)
    missing_codes: tuple[float, ...] = setting((), "numbers that mean missing, e.g. -9999", panel=PREPARATION)

    folds: int = setting(1, "cross-validation with this many folds; 1: one hold-out test set", panel=SPLIT)
    members: int = setting(1, "train each model this many times from other random numbers, and average their probabilities", panel=TRAINING)
    validation: float = setting(0.15, "share of the objects that choose epoch, temperature, threshold", panel=SPLIT)
    test: float = setting(0.2, "share of the objects held out for the scores (without --folds)", panel=SPLIT)

    audit: bool = setting(True, "look for leaks and confounders before training", panel=RUN)
    bootstrap: int = setting(1000, "resamples behind each interval", panel=RUN)
    device: str = setting("auto", "auto, cpu, cuda or cuda:N", panel=RUN)
    threads: int | None = setting(None, "threads of torch; default: one per core", panel=RUN)
    out: Path | None = setting(None, "run folder; default: runs/galaxy-train/<time>", panel=RUN)
    resume: Path | None = setting(None, "continue this run folder exactly", panel=RUN)
    max_minutes: float | None = setting(None, "stop after this long and keep a checkpoint [min]", panel=RUN)

    def __post_init__(self):
        super().__post_init__()
        positive(
            self, "simulate", "width", "blocks", "epochs", "batch_size", "learning_rate", "backbone_rate", "clip",
            "patience", "bootstrap", "threads", "max_minutes", "members",
        )  # fmt: skip
        for name, accepted in (("arms", ARMS), ("augment", (*AUGMENTATIONS, "none"))):
            wrong = [value for value in getattr(self, name) if value not in accepted]
            require(not wrong, f'--{name} {wrong[0] if wrong else ""}: expected any of {", ".join(accepted)}')
        for name in ("dropout", "table_dropout", "modality_dropout", "warmup", "label_smoothing", "ema", "weight_decay"):
            value = getattr(self, name)
            require(value is None or 0 <= value < 1, f"--{name.replace('_', '-')} {value}: must lie in 0..1, below 1")
        require(0 < self.layer_decay <= 1, f"--layer-decay {self.layer_decay}: must lie in 0..1, above 0")
        require(not (self.start and self.pretrained), "--start and --pretrained both give the first weights: leave one out")
        require(self.keep == "best" or self.patience is None, "--patience waits for the best epoch: leave --keep last out")
        require(self.focal_gamma >= 0, f"--focal-gamma {self.focal_gamma}: must not be negative")
        require(1 <= self.zoom <= 4, f"--zoom {self.zoom}: must lie in 1..4")
        require(self.views in (1, 2, 4, 8), f"--views {self.views}: expected 1, 2, 4 or 8")
        require(self.folds >= 1, f"--folds {self.folds}: must be at least 1")
        require(0 < self.validation < 0.5, f"--validation {self.validation}: must lie between 0 and 0.5")
        require(0 < self.test < 0.6, f"--test {self.test}: must lie between 0 and 0.6")
        require(0 < self.max_correlation <= 1, f"--max-correlation {self.max_correlation}: must lie in 0..1, above 0")
        require(self.select >= 0, f"--select {self.select}: must not be negative")


@dataclass(frozen=True)
class Use(Choice):
    """A trained model and the objects it is used on; columns, bands and sizes are those of training."""

    model: Path = setting(
        Path("runs"), "run folder, exported model, or folder of runs (the newest is taken)", panel=MODEL
    )
    arm: Literal["auto", "fusion", "image", "table"] = setting(
        "auto", "which of the run's models; auto: fusion where image and table are given", panel=MODEL
    )
    views: int | None = setting(None, "flips and quarter turns averaged: 1, 2, 4 or 8; default: as trained", panel=MODEL)
    device: str = setting("auto", "auto, cpu, cuda or cuda:N", panel=RUN)
    threads: int | None = setting(None, "threads of torch; default: one per core", panel=RUN)

    def __post_init__(self):
        super().__post_init__()
        positive(self, "threads")
        require(self.views in (None, 1, 2, 4, 8), f"--views {self.views}: expected 1, 2, 4 or 8")


@dataclass(frozen=True)
class Evaluate(Use):
    """`sciml galaxy evaluate`: score a trained model on labelled objects; without data, on its own test objects."""

    bins: tuple[str, ...] = setting(
        (), "columns to score in bins; default: redshift, mass and magnitude where there are any", panel="Label"
    )
    bootstrap: int = setting(1000, "resamples behind each interval", panel=RUN)


@dataclass(frozen=True)
class Predict(Use):
    """`sciml galaxy predict`: classes, probabilities and their spread for new objects."""

    to: Path = setting(Path("predictions.csv"), "CSV or FITS file to write", panel=RUN)
    overwrite: bool = setting(False, "replace an existing file", panel=RUN)
    prevalence: float | None = setting(
        None, "share of the positive class to correct the probabilities for; default: as trained", panel=MODEL
    )
    zero_shot: tuple[str, ...] = setting(
        (), 'sentences to compare images with by CLIP towers in --model DIR, e.g. "a photo of two merging galaxies"',
        panel=MODEL,
    )  # fmt: skip


@dataclass(frozen=True)
class Explain(Use):
    """`sciml galaxy explain`: what a model looks at: columns, image regions, modalities."""

    objects: int = setting(12, "galaxies to draw", panel=RUN)
    repeats: int = setting(10, "permutations of each column", panel=RUN)
    to: Path = setting(Path("explain"), "folder to write", panel=RUN)
    overwrite: bool = setting(False, "replace what is there", panel=RUN)


@dataclass(frozen=True)
class Export:
    """`sciml galaxy export`: safetensors, configuration, model card, ONNX."""

    model: Path = setting(Path("runs"), "run folder, or folder of runs (the newest is taken)", panel=MODEL)
    arm: Literal["auto", "fusion", "image", "table"] = setting("auto", "which of the run's models", panel=MODEL)
    to: Path = setting(Path("galaxy-model"), "folder to write", panel=RUN)
    onnx: bool = setting(False, "write model.onnx too (needs onnx)", panel=RUN)
    overwrite: bool = setting(False, "replace what is there", panel=RUN)


@dataclass(frozen=True)
class Report:
    """`sciml galaxy report`: draw the figures and the page of a run again."""

    model: Path = setting(Path("runs"), "run folder, or folder of runs (the newest is taken)", panel=RUN)


@dataclass(frozen=True)
class Models:
    """`sciml galaxy models`: every image encoder there is."""

    pattern: str = setting("", "part of a name, or a pattern with * and ?", panel=MODEL)
    pretrained: bool = setting(False, "only those with weights", panel=MODEL)
