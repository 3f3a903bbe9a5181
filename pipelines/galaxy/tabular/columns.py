"""Which columns of a table are numbers and which are categories, and the numbers as one array.

Convention: NaN, infinities and the codes the user names are missing. A column of words is a category if it has at most
64 distinct ones; more would be names or ids, from which nothing can be learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError

MOST_LEVELS = 64


def split_columns(
    table: pd.DataFrame, missing_codes: Sequence[float] = ()
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """(continuous, categorical, reason by name of columns that hold nothing to learn from).

    Raises:
        DataError: a name occurs twice, or a column is text with more than MOST_LEVELS distinct values.
    """
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise DataError(f'the table has two columns "{twice[0]}"', hint="rename one of them")
    continuous, categorical, dropped = [], [], {}
    for name in map(str, table.columns):
        column = table[name]
        if _is_number(column):
            values = continuous_values(table, (name,), missing_codes)[:, 0]
            known, place = values[~np.isnan(values)], continuous
        else:
            known, place = column.dropna().astype(str).to_numpy(), categorical
        distinct = len(np.unique(known))
        if not len(known):
            dropped[name] = "every value is missing"
        elif distinct == 1 and len(known) == len(column):
            dropped[name] = f"always {known[0]}"
        elif place is categorical and distinct > MOST_LEVELS:
            raise DataError(
                f'column "{name}" is text with {distinct} distinct values, such as "{known[0]}": neither numbers nor '
                f"categories (at most {MOST_LEVELS})",
                hint="leave the column out, or correct the entries that are no numbers",
            )
        else:
            place.append(name)
    return tuple(continuous), tuple(categorical), dropped


def continuous_values(table: pd.DataFrame, names: Sequence[str], missing_codes: Sequence[float] = ()) -> np.ndarray:
    """float64 [n, c], NaN where a value is missing; DataError names a column and an entry that is no number."""
    values = np.empty((len(table), len(names)))
    for index, name in enumerate(names):
        try:
            values[:, index] = pd.to_numeric(table[name]).to_numpy(np.float64, na_value=np.nan)
        except (ValueError, TypeError):
            wrong = table[name][
                pd.to_numeric(table[name].astype("object"), errors="coerce").isna() & table[name].notna()
            ]
            row, value = (wrong.index[0], wrong.iloc[0]) if len(wrong) else (table.index[0], table[name].iloc[0])
            raise DataError(
                f'column "{name}" holds {value!r} in row {row}, where a number belongs ({len(wrong)} such entries)'
            ) from None
    values[~np.isfinite(values)] = np.nan
    for code in missing_codes:
        values[values == code] = np.nan
    return values


def _is_number(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
