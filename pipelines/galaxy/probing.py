"""The probes of the audit: what each looks at, how its score becomes a verdict, and what to tell the user.

A probe is cross-validated (probes.py) on columns that must not predict the label (nuisance, missing cells, image files,
identifiers, the order of the rows) or that predict it too well (a single column of the table).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from sciml.pipelines.readers.skipped import listed

from . import evidence, roles
from .catalog import Catalog
from .findings import Finding
from .probes import Score, numeric, probe, probe_column, probe_text, shuffles
from .settings import Audit
from .splits import fold_numbers

_OTHER_PROBES = 8  # all nuisances, magnitude, missing cells, three of images, identifier, order of the rows
_STRONG = 0.9  # a column that alone scores more deserves a look even if it is physics


class Judge:
    """Runs probes with the same folds and turns scores into findings."""

    def __init__(self, catalog: Catalog, settings: Audit):
        self.catalog, self.settings = catalog, settings
        self.labels = catalog.labels
        independent = catalog.groups if catalog.groups is not None else catalog.ids
        least = min(len(set(independent[self.labels == k])) for k in np.unique(self.labels))
        self.fold = fold_numbers(catalog, max(2, min(settings.folds, least)), settings.seed) if least >= 2 else None
        # of many probes one is extreme by chance: each must pass its share of the significance (Bonferroni)
        self.level = settings.significance / (len(nuisance_kinds(catalog)) + _OTHER_PROBES)
        n_columns = len(catalog.table.columns) + len(catalog.withheld.columns)
        self.column_level = settings.significance / max(1, n_columns)
        # the same shuffled labels serve every probe
        self.shuffled = (
            None if self.fold is None
            else shuffles(self.labels, self.fold, catalog.groups, settings.permutations, settings.seed)
        )  # fmt: skip

    def score(self, frame: pd.DataFrame, thorough: bool = False) -> Score | None:
        """Several columns together; None if they say nothing or a class has too few objects."""
        if self.fold is None:
            return None
        return probe(numeric(frame), self.labels, self.fold, self.shuffled, thorough=thorough)

    def score_column(self, cells: pd.Series) -> Score | None:
        """One column by itself."""
        return None if self.fold is None else probe_column(cells, self.labels, self.fold, self.shuffled)

    def score_text(self, texts: np.ndarray) -> Score | None:
        """Identifiers and names."""
        return None if self.fold is None else probe_text(texts, self.labels, self.fold, self.shuffled)

    def verdict(self, score: Score, leak: float | None) -> str:
        """ok, suspect or leak by AUC and significance; `leak` None: never worse than suspect."""
        if score.p > self.level or score.auc < self.settings.suspect_auc:
            return "ok"
        return "leak" if leak is not None and score.auc >= leak else "suspect"

    def mild_verdict(self, score: Score) -> str:
        """ok, note or suspect, for what also answers to the galaxy itself."""
        if self.verdict(score, None) == "ok":
            return "ok"
        return "suspect" if score.auc >= self.settings.leak_auc else "note"

    def describe(self, score: Score) -> str:
        """Accuracy, and the best pair of classes where there are more than two."""
        text = f"accuracy {score.accuracy:.2f} (most common class {score.majority:.2f})"
        if len(score.pairs) > 1:
            (a, b), auc = score.best_pair
            text += f"; {self.catalog.classes[a]} against {self.catalog.classes[b]} {auc:.2f}"
        return text


Task = Callable[[Judge], list[Finding]]


def nuisance_kinds(catalog: Catalog) -> dict[str, list[str]]:
    """Nuisance columns by kind."""
    kinds: dict[str, list[str]] = {}
    for name in catalog.nuisance.columns:
        kinds.setdefault(roles.nuisance_kind(name, catalog.nuisance.columns) or "named by you", []).append(name)
    return kinds


def probes_of(catalog: Catalog) -> list[Task]:
    """Everything to run, as functions of the judge."""
    tasks: list[Task] = []
    kinds = nuisance_kinds(catalog)
    for kind, names in kinds.items():
        tasks.append(lambda judge, kind=kind, names=names: _nuisance(judge, f"nuisance {kind}", names))
    if len(kinds) > 1:
        tasks.append(lambda judge: _nuisance(judge, "nuisance all together", list(catalog.nuisance.columns)))
    magnitudes = [name for name in catalog.table.columns if roles.is_magnitude(name)]
    if magnitudes:
        tasks.append(lambda judge: _magnitude(judge, magnitudes))
    tasks += [_missingness, _images, _identifiers, _row_order]
    tasks += [lambda judge, name=name: _column(judge, name, kept_out=False) for name in catalog.table.columns]
    tasks += [lambda judge, name=name: _column(judge, name, kept_out=True) for name in catalog.withheld.columns]
    if len(catalog.table.columns):
        tasks.append(_all_inputs)
    return tasks


def _nuisance(judge: Judge, title: str, names: list[str]) -> list[Finding]:
    score = judge.score(judge.catalog.nuisance[names])
    if score is None:
        return []
    verdict = judge.verdict(score, judge.settings.leak_auc)
    advice = ""
    if verdict != "ok":
        advice = f"match the classes in {listed(names)} (or keep only where all classes occur), and quote this number beside the result"
    detail = f"{listed(names)} alone: {judge.describe(score)}{_telling(judge, names)}"
    return [Finding(title, tuple(names), verdict, detail, advice, score.auc, score.p)]


def _telling(judge: Judge, names: list[str]) -> str:
    """The value of a discrete nuisance that separates most: 'Snapshot = 91 holds 100 % of non, 1 % of the others'."""
    best, text = 0.3, ""
    for name in names:
        cells = judge.catalog.nuisance[name]
        if not 2 <= cells.nunique() <= 50:
            continue
        for value in cells.dropna().unique():
            here = (cells == value).to_numpy()
            for k, label in enumerate(judge.catalog.classes):
                mine, others = here[judge.labels == k], here[judge.labels != k]
                if len(mine) and len(others) and mine.mean() - others.mean() > best:
                    best = mine.mean() - others.mean()
                    text = f"; {name} = {_short(value)} holds {mine.mean():.0%} of {label} and {others.mean():.1%} of the others"
    return text


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | int | np.number) else str(value)


def _magnitude(judge: Judge, names: list[str]) -> list[Finding]:
    score = judge.score(judge.catalog.table[names])
    if score is None:
        return []
    verdict = judge.mild_verdict(score)
    advice = (
        "compare the classes at equal magnitude: brighter galaxies are classified better" if verdict != "ok" else ""
    )
    return [
        Finding(
            "magnitude", tuple(names), verdict, f"{listed(names)}: {judge.describe(score)}", advice, score.auc, score.p
        )
    ]


def _missingness(judge: Judge) -> list[Finding]:
    pattern = evidence.missing_pattern(judge.catalog.table)
    score = judge.score(pattern) if len(pattern.columns) else None
    if score is None:
        return []
    verdict = judge.verdict(score, judge.settings.leak_auc)
    shares = [(abs(np.subtract(*_extremes(judge, pattern[name].to_numpy()))), name) for name in pattern.columns]
    name = max(shares)[1]
    low, high = _extremes(judge, pattern[name].to_numpy())
    detail = f"{len(pattern.columns)} patterns, most of all {name}: {low:.0%} to {high:.0%} by class; {judge.describe(score)}"
    advice = "ask why cells are missing; compare on complete rows too" if verdict != "ok" else ""
    return [Finding("missing cells", tuple(pattern.columns), verdict, detail, advice, score.auc, score.p)]


def _extremes(judge: Judge, flag: np.ndarray) -> tuple[float, float]:
    shares = [flag[judge.labels == k].mean() for k in np.unique(judge.labels)]
    return min(shares), max(shares)


def _images(judge: Judge) -> list[Finding]:
    """File properties and sky: both also answer to the galaxy itself, so they are never worse than suspect."""
    facts, found = judge.catalog.image_facts, []
    if facts is None:
        return []
    present = judge.catalog.images.present if judge.catalog.images is not None else np.ones(len(facts), bool)
    score = judge.score(pd.DataFrame({"has an image": present.astype(float)}))
    if score is not None:
        verdict = judge.verdict(score, judge.settings.leak_auc)
        detail = f"{present.mean():.0%} have one; {judge.describe(score)}"
        advice = "train and score on objects that have both" if verdict != "ok" else ""
        found.append(Finding("image present", (), verdict, detail, advice, score.auc, score.p))
    sky = [name for name in facts.columns if name.startswith("sky")]
    files = [name for name in facts.columns if name not in sky]
    for title, names, advice in (
        (
            "image files",
            files,
            "are the classes from different sources, sizes or encoders? save all images in the same way",
        ),
        ("image sky", sky, "is the sky of one class deeper, or are neighbours on the border? subtract it, match depth"),
    ):
        score = judge.score(facts[names]) if names else None
        if score is not None:
            verdict = judge.mild_verdict(score)
            detail = f"{listed(names)}: {judge.describe(score)}"
            found.append(
                Finding(title, tuple(names), verdict, detail, advice if verdict != "ok" else "", score.auc, score.p)
            )
    return found


def _identifiers(judge: Judge) -> list[Finding]:
    score = judge.score_text(judge.catalog.ids)
    if score is None:
        return []
    verdict = judge.verdict(score, None)
    advice = (
        "never an input; the classes come from different parts of the survey or simulation" if verdict != "ok" else ""
    )
    detail = f"the characters of ids such as {judge.catalog.ids[0]}: {judge.describe(score)}"
    return [Finding("identifier", (), verdict, detail, advice, score.auc, score.p)]


def _row_order(judge: Judge) -> list[Finding]:
    score = judge.score(pd.DataFrame({"row": np.arange(len(judge.labels), dtype=float)}))
    if score is None:
        return []
    verdict = "note" if judge.verdict(score, None) != "ok" else "ok"
    detail = f"position in the file: {judge.describe(score)}"
    advice = (
        "the file is sorted: never split it by position (sciml splits by a hash of the id)" if verdict != "ok" else ""
    )
    return [Finding("row order", (), verdict, detail, advice, score.auc, score.p)]


def _column(judge: Judge, name: str, *, kept_out: bool) -> list[Finding]:
    """One column by itself; only what is worth reading becomes a finding."""
    cells = (judge.catalog.withheld if kept_out else judge.catalog.table)[name]
    score = judge.score_column(cells)
    if score is None or score.p > judge.column_level:
        return []
    named = roles.bears_label(name)
    if score.auc >= judge.settings.column_auc or named and score.auc >= judge.settings.leak_auc:
        verdict = "leak"
    elif score.auc >= _STRONG or named and score.auc >= judge.settings.suspect_auc:
        verdict = "suspect"
    else:
        return []
    detail = f"{name} alone: {judge.describe(score)}"
    if kept_out:
        return [
            Finding(
                f"column {name}",
                (name,),
                verdict,
                detail + "; gives the label away",
                "not an input: nothing to do",
                score.auc,
                score.p,
                kept_out=True,
            )
        ]
    advice = (
        f"take it out: --leave-out {name}"
        if verdict == "leak"
        else "physics, or made from the label? if in doubt, take it out"
    )
    return [Finding(f"column {name}", (name,), verdict, detail, advice, score.auc, score.p)]


def _all_inputs(judge: Judge) -> list[Finding]:
    score = judge.score(judge.catalog.table, thorough=True)
    if score is None:
        return []
    return [
        Finding(
            "all inputs",
            (),
            "note",
            f"for comparison, gradient boosting: {judge.describe(score)}",
            "",
            score.auc,
            score.p,
        )
    ]
