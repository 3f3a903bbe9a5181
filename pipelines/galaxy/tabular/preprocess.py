"""Table columns to network inputs: missing values flagged and imputed, columns scaled, weak columns left out.

Convention: everything is fitted on the rows given to `fit`, which must be the training split; `transform` only applies
it. A value is missing where it is NaN, infinite or one of the `missing_codes`. Categories get the codes 1, 2, ...; 0 is
missing or never seen. A fitted preprocessor is JSON plus arrays, never a pickle.

Quantile scaling maps a value to its rank in the training column and the rank to a normal distribution,
z = inverse_normal_cdf(rank), ties to the middle of their ranks, cut at the ranks 1e-7 and 1 - 1e-7.

Axes: n object, c continuous column, k categorical column, q quantile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sciml.pipelines.checkpoint import load_tensors, save_tensors
from sciml.pipelines.errors import DataError, SettingsError, suggest

from . import imputation, scaling, selection
from .batch import TableBatch
from .columns import continuous_values, split_columns

# Beyond it lie no measurements but overflow in float32.
_FARTHEST = 1e6


@dataclass(frozen=True)
class Recipe:
    """What to fit; see galaxy settings for the options of the command line.

    impute: median, mean or neighbours (mean of the nearest training rows over the columns both have).
    scale: quantile, standard, robust (median and interquartile range) or none.
    select: number of columns to keep, those with the largest mutual information with the label; 0 keeps all.
    max_correlation: of two columns with a larger rank correlation the later one is left out.
    missing_codes: numbers that stand for a missing value, such as -9999.
    """

    impute: str = "median"
    scale: str = "quantile"
    select: int = 0
    max_correlation: float = 1.0
    n_neighbours: int = 5
    missing_codes: tuple[float, ...] = ()

    def __post_init__(self):
        for name, value, accepted in (
            ("impute", self.impute, imputation.METHODS),
            ("scale", self.scale, scaling.METHODS),
        ):
            if value not in accepted:
                raise SettingsError(f'{name}: unknown method "{value}"; {suggest(value, accepted)}')
        if self.select < 0 or not 0.0 < self.max_correlation <= 1.0 or self.n_neighbours < 1:
            raise SettingsError(
                "a recipe needs select >= 0, 0 < max_correlation <= 1 and n_neighbours >= 1, got "
                f"{self.select}, {self.max_correlation}, {self.n_neighbours}"
            )


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """A fitted recipe.

    continuous, categorical: names of the columns that are used, in order.
    levels: categories of each categorical column, as text; code 1 is the first.
    dropped: reason by name, for columns that are not used.
    arrays: fitted numbers (see `imputation.fit` and `scaling.fit`).
    n_rows, fingerprint: how many rows were fitted and a hash of their ids, so that a leak can be found later.
    """

    recipe: Recipe
    continuous: tuple[str, ...]
    categorical: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, str]
    n_rows: int
    fingerprint: str
    arrays: Mapping[str, np.ndarray] = field(repr=False)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of codes of each categorical column, 0 included."""
        return tuple(len(self.levels[name]) + 1 for name in self.categorical)

    @property
    def columns(self) -> tuple[str, ...]:
        """All used columns in the order of the tokens."""
        return self.continuous + self.categorical

    def transform(self, table: pd.DataFrame) -> TableBatch:
        """Network inputs of any table that has the fitted columns; DataError names a column that is absent."""
        absent = [name for name in self.columns if name not in table]
        if absent:
            raise DataError(
                f'the table has no column "{absent[0]}" ({len(absent)} of {len(self.columns)} are absent); '
                f"{suggest(absent[0], map(str, table.columns))}",
                hint="the model was trained with these columns: add them, empty where unknown",
            )
        values = continuous_values(table, self.continuous, self.recipe.missing_codes)
        missing = np.isnan(values)
        filled = imputation.apply(self.recipe.impute, values, self.arrays, self.recipe.n_neighbours)
        scaled = scaling.apply(self.recipe.scale, filled, self.arrays)
        codes = [_codes(table[name], self.levels[name]) for name in self.categorical]
        stacked = np.stack(codes, axis=1) if codes else np.zeros((len(table), 0), np.int64)
        return TableBatch(
            torch.from_numpy(np.clip(scaled, -_FARTHEST, _FARTHEST).astype(np.float32)),
            torch.from_numpy(missing),
            torch.from_numpy(stacked),
        )

    def fitted_on(self, ids: Sequence[str]) -> bool:
        """Whether exactly these objects were fitted."""
        return fingerprint(ids) == self.fingerprint

    def to_json(self) -> dict:
        """Everything but the arrays, as plain values."""
        plain = {name: getattr(self, name) for name in ("continuous", "categorical", "n_rows", "fingerprint")}
        levels = {name: list(values) for name, values in self.levels.items()}
        return plain | {"recipe": asdict(self.recipe), "levels": levels, "dropped": dict(self.dropped)}

    @classmethod
    def from_json(cls, plain: Mapping, arrays: Mapping[str, np.ndarray]) -> Preprocessor:
        """The inverse of `to_json`; DataError if something is absent or unknown."""
        try:
            recipe = dict(plain["recipe"])
            recipe["missing_codes"] = tuple(recipe["missing_codes"])
            return cls(
                recipe=Recipe(**recipe),
                continuous=tuple(plain["continuous"]),
                categorical=tuple(plain["categorical"]),
                levels={name: tuple(values) for name, values in plain["levels"].items()},
                dropped=dict(plain["dropped"]),
                n_rows=plain["n_rows"],
                fingerprint=plain["fingerprint"],
                arrays=dict(arrays),
            )
        except (KeyError, TypeError) as error:
            raise DataError(f"this does not describe a table preprocessor: {error}") from None

    def save(self, path: Path) -> None:
        """One safetensors file with a JSON header."""
        save_tensors(path, self.arrays, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Preprocessor:
        """What `save` wrote; DataError if the file is missing or damaged."""
        arrays, header = load_tensors(path)
        return cls.from_json(header, arrays)


def fit(table: pd.DataFrame, recipe: Recipe | None = None, labels: np.ndarray | None = None) -> Preprocessor:
    """Fit to a table whose rows are the training split and whose index holds the ids.

    Args:
        table: columns of numbers are continuous, of categories, booleans or a few distinct words categorical.
        recipe: the defaults where it is None.
        labels: [n] classes; needed to select columns.

    Raises:
        DataError: no row, no usable column, or a column that is neither numbers nor categories.
        SettingsError: columns are to be selected and there are no labels.
    """
    recipe = recipe or Recipe()
    if not len(table):
        raise DataError("the training split of the table has no rows")
    if recipe.select and labels is None:
        raise SettingsError("columns can only be selected where there are labels", hint="set select to 0")
    continuous, categorical, dropped = split_columns(table, recipe.missing_codes)
    values = continuous_values(table, continuous, recipe.missing_codes)
    levels = {name: _levels(table[name]) for name in categorical}
    # columns are judged with their gaps at the median: neighbours would depend on the columns in question
    plain = np.where(np.isnan(values), np.nanmedian(values, axis=0), values) if continuous else values
    codes = np.stack([_codes(table[name], levels[name]) for name in categorical], 1) if categorical else None
    kept, reasons = selection.choose(
        plain, codes, tuple(continuous) + tuple(categorical), labels, recipe.select, recipe.max_correlation
    )
    dropped |= reasons
    continuous = tuple(name for name in continuous if name in kept)
    categorical = tuple(name for name in categorical if name in kept)
    if not continuous + categorical:
        reason = "; ".join(f"{name}: {why}" for name, why in list(dropped.items())[:5])
        raise DataError(f"no column of the table can be used ({reason})")
    values = continuous_values(table, continuous, recipe.missing_codes)
    arrays = imputation.fit(recipe.impute, values)
    arrays |= scaling.fit(recipe.scale, values)
    return Preprocessor(
        recipe=recipe,
        continuous=continuous,
        categorical=categorical,
        levels={name: levels[name] for name in categorical},
        dropped=dropped,
        n_rows=len(table),
        fingerprint=fingerprint(table.index),
        arrays=arrays,
    )


def fingerprint(ids: Sequence[str]) -> str:
    """Hash of a set of ids, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(str, ids))).encode()).hexdigest()


def _levels(column: pd.Series) -> tuple[str, ...]:
    return tuple(sorted({str(value) for value in column.dropna().unique()}))


def _codes(column: pd.Series, levels: tuple[str, ...]) -> np.ndarray:
    place = {name: code for code, name in enumerate(levels, start=1)}
    # NaN is a float: as text it is no level, unless a level is spelled so
    known = column.notna().to_numpy()
    return np.array([place.get(str(v), 0) if k else 0 for v, k in zip(column, known, strict=True)], np.int64)
