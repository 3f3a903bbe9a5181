"""Whether a residual student may leave its base: the same student trained on parts of the training block, tried on the rest.

A validation block is one stretch of one season, and a student with every predictor of the forecast fits what is peculiar to it: three
summers at Seoul gained 6 % in the next one and lost 6 % in the one after.  So the training block is cut into three parts;
each is forecast by a student trained on the other two (cross-validation, Stone 1974), and the student leaves its base only where
their mean squared error falls, at some common epoch, by more than half its sampling error.  It leaves it then at the epoch that
the validation block likes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

TRIALS = 3
LEAST = 10  # issue times of the smaller part


def parts(issue: np.ndarray, train: np.ndarray, count: int, gap: np.timedelta64) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rest, part) for each of `count` pieces of `train` (positions in `issue` [i]); no target of the rest is in the part.

    Issues of the rest within `gap` of the part are left out: their targets would be those of the part.
    """
    pieces = []
    for part in np.array_split(train, count):
        if not len(part):
            continue
        first, last = issue[part[0]] - gap, issue[part[-1]] + gap
        pieces.append((train[(issue[train] <= first) | (issue[train] >= last)], part))
    return pieces


def trial_parts(design) -> list[tuple[np.ndarray, np.ndarray]]:
    """Parts of the training block for trials; none where they would be too small."""
    teacher = design.pairs.teacher
    found = parts(teacher.issue, design.train, TRIALS, teacher.lead.max())
    return found if all(min(len(rest), len(part)) >= LEAST for rest, part in found) else []


def half_error(issues: int) -> float:
    """Half the relative sampling error of a root mean square over `issues` independent errors, 1 / sqrt(2 n)."""
    return 0.5 / np.sqrt(2.0 * max(issues, 1))


def cross_validated(rows: Mapping[str, list[dict]], issues: int) -> dict | None:
    """What the trials among `rows` (by job) say, or None without any: RMSE of the base, least RMSE, its epoch, whether to leave."""
    curves = [[r["validation_rmse"] for r in found] for name, found in rows.items() if name.startswith("trial")]
    if not curves:
        return None
    common = min(map(len, curves))
    curve = np.sqrt(np.mean(np.square([curve[:common] for curve in curves]), axis=0))
    epoch = int(curve.argmin())
    leave = curve[epoch] < curve[0] * (1.0 - half_error(issues))
    return {"base_rmse": float(curve[0]), "rmse": float(curve[epoch]), "epoch": epoch, "leave": bool(leave)}
