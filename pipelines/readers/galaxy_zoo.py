"""Galaxy Zoo votes: which columns there are, and which galaxies the volunteers called mergers.

Sources: Galaxy Zoo 1 table 2 (Lintott et al. 2011, MNRAS 410, 166), mergers P_MG > 0.4 (Darg et al. 2010, MNRAS 401,
1043); Galaxy Zoo 2 (Willett et al. 2013, MNRAS 435, 2835; debiased votes of Hart et al. 2016, MNRAS 461, 3663), where
"(m)" ends the class of a galaxy whose odd feature is a merger; the file names of its images (Zenodo 3565489).
Column names stay as published; identifiers are text.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.errors import DataError

from .catalogs import column_of, read_catalog

GZ1_COLUMNS = (
    "OBJID", "RA", "DEC", "NVOTE", "P_EL", "P_CW", "P_ACW", "P_EDGE", "P_DK", "P_MG", "P_CS", "P_EL_DEBIASED",
    "P_CS_DEBIASED", "SPIRAL", "ELLIPTICAL", "UNCERTAIN",
)  # fmt: skip
GZ2_ODD = "t06_odd_a14_yes_debiased"
GZ2_MERGER = "t08_odd_feature_a24_merger_debiased"
MERGER_VOTE = 0.4  # Darg et al. 2010, section 2.2

_VOTE = re.compile(
    r"^t\d\d_.*_(count|weight|fraction|weighted_fraction|debiased|flag)$"  # GZ2
    r"|^P_(EL|CW|ACW|EDGE|DK|MG|CS)(_DEBIASED)?$|^(SPIRAL|ELLIPTICAL|UNCERTAIN|NVOTE)$"  # GZ1
    r"|^gz2_?class$|^p_merg|^total_(classifications|votes)$"
    r"|^(merging|smooth-or-featured|has-spiral-arms|bar|bulge-size|disk-edge-on|how-rounded|spiral-.*|edge-on-bulge)"
    r"(-(dr\d+|desi|gz2|dr12))?_.*(fraction|debiased|total-votes)?$",  # GZ DECaLS and DESI
    re.IGNORECASE,
)


def is_vote(name: str) -> bool:
    """True for a column of volunteers' votes or what was made of them: it bears any label that was made of them too."""
    return bool(_VOTE.match(name.strip()))


def read_galaxy_zoo(path: str | Path) -> pd.DataFrame:
    """Galaxy Zoo 1 or 2, told by its columns, indexed by the object id (text).

    Raises:
        DataError: neither, no id column, ids written as rounded floats, or repeated ids.
    """
    frame = read_catalog(path)
    gz1 = sum(name in {c.upper() for c in frame.columns} for name in ("NVOTE", "P_EL", "P_MG", "P_CS")) >= 3
    if not gz1 and not any(_VOTE.match(name) for name in frame.columns):
        raise DataError(f"{path} has no votes", hint="Galaxy Zoo 1 has P_MG, Galaxy Zoo 2 t01_... and gz2_class")
    names = ("OBJID",) if gz1 else ("dr7objid", "objid", "dr8objid")
    name = next((n for n in names if n.casefold() in {c.casefold() for c in frame.columns}), None)
    if name is None:
        raise DataError(f"{path} has no column {' or '.join(names)}")
    column = column_of(frame, name, path)
    ids = frame[column]
    check_ids(ids, column, path)
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise DataError(
            f"{path}: {len(repeated)} ids in {column} occur more than once, the first is {repeated.iloc[0]}"
        )
    return frame.set_index(column)


def check_ids(ids: pd.Series, column: str, where: object) -> None:
    """DataError if identifiers went through a float: 5.87739505552786e+17, or 18 digits that end in many zeros."""
    text = ids.dropna().astype(str)
    floats = text[text.str.fullmatch(r"[+-]?\d(\.\d+)?[eE]\+?\d+").to_numpy(bool)]
    long = text[text.str.fullmatch(r"\d{17,}").to_numpy(bool)]
    # a float64 keeps multiples of 64 at 5e17: a table program that then rounds to 15 digits leaves two or more zeros
    rounded = long[long.str.endswith("00").to_numpy(bool)] if len(long) >= 5 else long[:0]
    if len(floats) or (len(long) and len(rounded) > 0.9 * len(long)):
        example = (floats if len(floats) else rounded).iloc[0]
        raise DataError(
            f'{where}: {len(floats) or len(rounded)} ids in column "{column}" lost digits on the way, such as {example}',
            hint="export the column as text; a spreadsheet or a float64 keeps 15 digits",
        )


def read_filename_mapping(path: str | Path) -> pd.DataFrame:
    """gz2_filename_mapping.csv: object id (index) -> sample and asset_id, the name of its image.

    Raises:
        DataError: columns objid and asset_id are missing.
    """
    frame = read_catalog(path)
    objid, asset = column_of(frame, "objid", path), column_of(frame, "asset_id", path)
    frame = frame.rename(columns={objid: "objid", asset: "asset_id"})
    check_ids(frame["objid"], "objid", path)
    # an object may have two images: the original and the coadded one of Stripe 82
    return frame.drop_duplicates("objid").set_index("objid")


def merger_fraction(frame: pd.DataFrame, where: object = "the table") -> np.ndarray:
    """Share of votes for "merger", float64 [n]: P_MG of Galaxy Zoo 1, odd x merger of Galaxy Zoo 2."""
    folded = {name.casefold(): name for name in frame.columns}
    if "p_mg" in folded:
        return frame[folded["p_mg"]].to_numpy(np.float64)
    if GZ2_ODD in folded and GZ2_MERGER in folded:
        return (frame[folded[GZ2_ODD]] * frame[folded[GZ2_MERGER]]).to_numpy(np.float64)
    raise DataError(f"{where} has neither P_MG nor {GZ2_ODD} and {GZ2_MERGER}")


def merger_labels(frame: pd.DataFrame, *, strict: bool = False, threshold: float = MERGER_VOTE) -> np.ndarray:
    """1 merger, 0 not, -1 unknown, int64 [n]; `strict` takes the consensus class of Galaxy Zoo 2, "(m)"."""
    if strict:
        column = column_of(frame, "gz2_class", "the table")
        text = frame[column].astype(object).where(frame[column].notna(), None)
        return np.array([-1 if value is None else int("(m)" in str(value)) for value in text], np.int64)
    share = merger_fraction(frame)
    return np.where(np.isnan(share), -1, share > threshold).astype(np.int64)
