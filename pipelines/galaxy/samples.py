"""Tiny samples of galaxies, in memory and in files, for tests, examples and smoke runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.readers.synthetic_surveys import picture

from .catalog import ArrayImages, Catalog


def tiny_catalog(n: int = 120, seed: int = 0, n_class: int = 2, size: int = 0, **parts) -> Catalog:
    """n objects whose column x0 knows the class a little; `size`: side of two-band images; `parts` replaces parts of it."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % n_class
    table = pd.DataFrame({f"x{k}": random.normal(size=n) + (0.7 * labels if k == 0 else 0) for k in range(3)})
    if size:
        parts.setdefault("images", ArrayImages(random.normal(size=(n, 2, size, size)).astype(np.float32)))
    defaults = {"ids": np.array([f"{10**17 + i}" for i in range(n)]), "table": table, "labels": labels}
    return Catalog(**{**defaults, "classes": tuple("abcdefgh"[:n_class]), **parts})


def tiny_folder(place: Path, n: int = 12, size: int = 32, **columns) -> tuple[Path, Path]:
    """A folder of n pictures and a table beside it with the columns objid (18 digits), mass, merger and `columns`."""
    names = [f"5877395055527{i:05d}" for i in range(n)]
    for i, name in enumerate(names):
        picture(place / "cutouts" / f"{name}.png", seed=i, size=size)
    frame = pd.DataFrame({"objid": names, "mass": np.linspace(9, 11, n), "merger": np.arange(n) % 2})
    frame.assign(**columns).to_csv(place / "table.csv", index=False)
    return place / "cutouts", place / "table.csv"
