"""The audit: what could let a model score without looking at the galaxy, found before anything is trained.

Each finding is a probe with its score, its significance, a verdict and what to do. Verdicts: ok; note (worth knowing);
suspect (could be chance or physics: look); leak (a model that sees it, or a sample chosen by it, is not evidence). A
merger classifier on SDSS reached 92.6 % from the error of the sky background alone (Suelves et al. 2023, A&A 669, A141).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.skipped import listed

from . import evidence, roles
from .catalog import Catalog
from .duplicates import find_duplicates
from .probes import MOST_OBJECTS, Score, numeric, probe, probe_column, probe_text
from .settings import Audit
from .splits import Split, fold_numbers, ranked

VERDICTS = ("ok", "note", "suspect", "leak")
_STRONG = 0.9  # a column that alone scores more deserves a look even if it is physics


@dataclass(frozen=True)
class Finding:
    """One probe: what was looked at, how well it predicts (AUC) or how often it occurs, and what follows."""

    probe: str
    columns: tuple[str, ...]
    verdict: str
    detail: str
    advice: str = ""
    auc: float | None = None
    p: float | None = None
    count: int | None = None
    kept_out: bool = False  # the model does not see it

    @property
    def row(self) -> tuple[str, str, str, str, str, str]:
        """Cells of the printed table."""
        score = f"{self.auc:.3f}" if self.auc is not None else "-" if self.count is None else str(self.count)
        chance = "-" if self.p is None else f"{self.p:.3f}" if self.p >= 0.001 else "<0.001"
        verdict = f"{self.verdict}, kept out" if self.kept_out and self.verdict == "leak" else self.verdict
        return self.probe, score, chance, verdict, self.detail, self.advice


@dataclass(frozen=True, eq=False)
class AuditResult:
    """All findings, worst first within their kind."""

    findings: tuple[Finding, ...]
    counts: dict[str, int]
    seconds: float
    pairs: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))

    header = ("probe", "AUC or count", "p", "verdict", "finding", "what to do")

    def rows(self) -> list[tuple[str, ...]]:
        """The printed table."""
        return [finding.row for finding in self.findings]

    def find(self, probe: str) -> Finding | None:
        """The finding of this name."""
        return next((finding for finding in self.findings if finding.probe == probe), None)

    @property
    def leaking_columns(self) -> tuple[str, ...]:
        """Columns of the table that give the label away: take them out before training."""
        return tuple(name for f in self.findings if f.probe.startswith("column ") and f.verdict == "leak" and not f.kept_out for name in f.columns)

    @property
    def worst(self) -> str:
        """The gravest verdict among what the model sees or the sample was chosen by."""
        return max((f.verdict for f in self.findings if not f.kept_out), key=VERDICTS.index, default="ok")

    def summary(self) -> list[str]:
        """The findings that matter, one sentence each."""
        grave = [f for f in self.findings if f.verdict in ("leak", "suspect") and not f.kept_out]
        lines = [f"{f.verdict}: {f.probe}: {f.detail}" + (f" -> {f.advice}" if f.advice else "") for f in grave]
        return lines or ["nothing found that would let a model cheat"]

    def to_dict(self) -> dict:
        """For JSON."""
        return {"worst": self.worst, "classes": self.counts, "seconds": round(self.seconds, 2), "findings": [asdict(f) for f in self.findings]}


def audit(
    catalog: Catalog,
    settings: Audit | None = None,
    *,
    split: Split | None = None,
    fitted: dict[str, float] | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Probe a catalog.

    Args:
        split: the split that will be trained on; default: the folds of the audit.
        fitted: mean of each column as the preprocessing was fitted, checked against the training rows of `split`.

    Raises:
        DataError: no labels, or one class.
    """
    settings, progress, start = settings or Audit(), progress or Progress(), time.perf_counter()
    catalog.require_labels()
    looked = evidence.with_image_facts(catalog, progress)
    findings: list[Finding] = [_classes(catalog)]
    # duplicates and groups are counted over all objects, the probes on a part of a large catalog
    duplicates = find_duplicates(looked, settings.duplicate_distance)
    findings += _duplicate_findings(looked, duplicates, split)
    findings += _group_findings(catalog, split)
    findings += _preprocessing(catalog, split, fitted)
    part = looked if len(looked) <= MOST_OBJECTS else looked.take(np.sort(ranked(looked, settings.seed)[:MOST_OBJECTS]))
    tasks = _probes(part)
    judge = _Judge(part, settings)
    with progress.task("audit", len(tasks), "probes") as task:
        for run in tasks:
            findings += run(judge)
            task.advance()
    order = {name: i for i, name in enumerate(("classes", "nuisance", "magnitude", "missing", "image", "identifier", "row", "column"))}
    findings.sort(key=lambda f: (order.get(f.probe.split()[0], len(order)), -(f.auc or 0)))
    return AuditResult(tuple(findings), catalog.counts(), time.perf_counter() - start, duplicates.pairs())


def _classes(catalog: Catalog) -> Finding:
    counts = {name: count for name, count in catalog.counts().items() if count}
    rare = min(counts, key=counts.get)
    text = ", ".join(f"{name} {count:,}" for name, count in catalog.counts().items())
    if counts[rare] < 50:
        return Finding("classes", (), "note", text, f'"{rare}" is rare: every number on it is uncertain')
    return Finding("classes", (), "ok", text)


# --- probes


class _Judge:
    """Runs probes with the same folds and turns scores into findings."""

    def __init__(self, catalog: Catalog, settings: Audit):
        self.catalog, self.settings = catalog, settings
        self.labels = catalog.labels
        independent = catalog.groups if catalog.groups is not None else catalog.ids
        least = min(len(set(independent[self.labels == k])) for k in np.unique(self.labels))
        self.fold = fold_numbers(catalog, max(2, min(settings.folds, least)), settings.seed) if least >= 2 else None
        self.options = {"groups": catalog.groups, "permutations": settings.permutations, "seed": settings.seed}

    def score(self, frame: pd.DataFrame) -> Score | None:
        """Several columns together."""
        return None if self.fold is None else probe(numeric(frame), self.labels, self.fold, **self.options)

    def score_column(self, cells: pd.Series) -> Score | None:
        """One column by itself."""
        return None if self.fold is None else probe_column(cells, self.labels, self.fold, **self.options)

    def score_text(self, texts: np.ndarray) -> Score | None:
        """Identifiers and names."""
        return None if self.fold is None else probe_text(texts, self.labels, self.fold, **self.options)

    def verdict(self, score: Score, leak: float | None, suspect: float | None = None) -> str:
        """ok, suspect or leak by AUC and significance; `leak` None: never worse than suspect."""
        if score.p > self.settings.significance or score.auc < (suspect or self.settings.suspect_auc):
            return "ok"
        return "leak" if leak is not None and score.auc >= leak else "suspect"

    def describe(self, score: Score) -> str:
        """Accuracy, and the best pair of classes where there are more than two."""
        text = f"accuracy {score.accuracy:.2f} (most common class {score.majority:.2f})"
        if len(score.pairs) > 1:
            (a, b), auc = score.best_pair
            text += f"; {self.catalog.classes[a]} against {self.catalog.classes[b]} {auc:.2f}"
        return text


_Task = Callable[[_Judge], list[Finding]]


def _probes(catalog: Catalog) -> list[_Task]:
    """Everything to run, as functions of the judge."""
    tasks: list[_Task] = []
    kinds: dict[str, list[str]] = {}
    for name in catalog.nuisance.columns:
        kinds.setdefault(roles.nuisance_kind(name, catalog.nuisance.columns) or "named by you", []).append(name)
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


def _nuisance(judge: _Judge, title: str, names: list[str]) -> list[Finding]:
    score = judge.score(judge.catalog.nuisance[names])
    if score is None:
        return []
    verdict = judge.verdict(score, judge.settings.leak_auc)
    advice = ""
    if verdict != "ok":
        advice = f"match the classes in {listed(names)} (or keep only where all classes occur), and quote this number beside the result"
    detail = f"{listed(names)} alone: {judge.describe(score)}{_telling(judge, names)}"
    return [Finding(title, tuple(names), verdict, detail, advice, score.auc, score.p)]


def _telling(judge: _Judge, names: list[str]) -> str:
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


def _magnitude(judge: _Judge, names: list[str]) -> list[Finding]:
    score = judge.score(judge.catalog.table[names])
    if score is None:
        return []
    verdict = judge.verdict(score, None, judge.settings.leak_auc)
    advice = "compare the classes at equal magnitude: brighter galaxies are classified better" if verdict != "ok" else ""
    return [Finding("magnitude", tuple(names), verdict, f"{listed(names)}: {judge.describe(score)}", advice, score.auc, score.p)]


def _missingness(judge: _Judge) -> list[Finding]:
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


def _extremes(judge: _Judge, flag: np.ndarray) -> tuple[float, float]:
    shares = [flag[judge.labels == k].mean() for k in np.unique(judge.labels)]
    return min(shares), max(shares)


def _images(judge: _Judge) -> list[Finding]:
    """File properties and sky: both also answer to the galaxy itself, so they are never worse than suspect."""
    facts, found = judge.catalog.image_facts, []
    if facts is None:
        return []
    present = judge.catalog.images.present if judge.catalog.images is not None else np.ones(len(facts), bool)
    if 0 < present.sum() < len(present):
        score = judge.score(pd.DataFrame({"has an image": present.astype(float)}))
        verdict = judge.verdict(score, judge.settings.leak_auc)
        advice = "train and score on objects that have both" if verdict != "ok" else ""
        found.append(Finding("image present", (), verdict, f"{present.mean():.0%} have one; {judge.describe(score)}", advice, score.auc, score.p))
    sky = [name for name in facts.columns if name.startswith("sky")]
    files = [name for name in facts.columns if name not in sky]
    for title, names, advice in (
        ("image files", files, "are the classes from different sources, sizes or encoders? save all images in the same way"),
        ("image sky", sky, "is the sky of one class deeper, or are neighbours on the border? subtract it, match depth"),
    ):
        score = judge.score(facts[names]) if names else None
        if score is not None:
            verdict = judge.verdict(score, None, judge.settings.leak_auc)
            detail = f"{listed(names)}: {judge.describe(score)}"
            found.append(Finding(title, tuple(names), verdict, detail, advice if verdict != "ok" else "", score.auc, score.p))
    return found


def _identifiers(judge: _Judge) -> list[Finding]:
    score = judge.score_text(judge.catalog.ids)
    if score is None:
        return []
    verdict = judge.verdict(score, None)
    advice = "never an input; the classes come from different parts of the survey or simulation" if verdict != "ok" else ""
    detail = f"the characters of ids such as {judge.catalog.ids[0]}: {judge.describe(score)}"
    return [Finding("identifier", (), verdict, detail, advice, score.auc, score.p)]


def _row_order(judge: _Judge) -> list[Finding]:
    score = judge.score(pd.DataFrame({"row": np.arange(len(judge.labels), dtype=float)}))
    if score is None:
        return []
    verdict = "note" if judge.verdict(score, None) != "ok" else "ok"
    detail = f"position in the file: {judge.describe(score)}"
    advice = "the file is sorted: never split it by position (sciml splits by a hash of the id)" if verdict != "ok" else ""
    return [Finding("row order", (), verdict, detail, advice, score.auc, score.p)]


def _column(judge: _Judge, name: str, *, kept_out: bool) -> list[Finding]:
    """One column by itself; only what is worth reading becomes a finding."""
    cells = (judge.catalog.withheld if kept_out else judge.catalog.table)[name]
    score = judge.score_column(cells)
    if score is None or score.p > judge.settings.significance:
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
        return [Finding(f"column {name}", (name,), verdict, detail + "; gives the label away", "not an input: nothing to do", score.auc, score.p, kept_out=True)]
    advice = f"take it out: --leave-out {name}" if verdict == "leak" else "physics, or made from the label? if in doubt, take it out"
    return [Finding(f"column {name}", (name,), verdict, detail, advice, score.auc, score.p)]


def _all_inputs(judge: _Judge) -> list[Finding]:
    score = judge.score(judge.catalog.table)
    if score is None:
        return []
    return [Finding("all inputs", (), "note", f"for comparison, gradient boosting: {judge.describe(score)}", "", score.auc, score.p)]


# --- counts


def _duplicate_findings(catalog: Catalog, found, split: Split | None) -> list[Finding]:
    part = None if split is None else split.part_of(len(catalog))
    findings = []
    for title, pairs, what in (
        ("duplicate images", found.exact, "equal pixels"),
        ("near-duplicate images", found.near, "nearly equal, perhaps turned or saved again"),
        ("duplicate rows", found.rows, "equal in every numeric column"),
    ):
        if not len(pairs):
            continue
        apart = int((catalog.labels[pairs[:, 0]] != catalog.labels[pairs[:, 1]]).sum())
        torn = 0 if part is None else int((part[pairs[:, 0]] != part[pairs[:, 1]]).sum())
        example = " = ".join(catalog.ids[pairs[0]])
        detail = f"{len(pairs)} pairs {what} ({example})"
        detail += f"; {apart} with different labels" if apart else ""
        detail += f"; {torn} on both sides of the split" if torn else ""
        verdict = "leak" if torn else "suspect"
        advice = "put duplicates into one group, or drop them" + ("; look at the labels" if apart else "")
        findings.append(Finding(title, (), verdict, detail, advice, count=len(pairs)))
    if not findings and (catalog.digests is not None or len(catalog.table.columns)):
        findings.append(Finding("duplicates", (), "ok", "no object occurs twice", count=0))
    return findings


def _group_findings(catalog: Catalog, split: Split | None) -> list[Finding]:
    if catalog.groups is None:
        return []
    names, inverse, sizes = np.unique(catalog.groups, return_inverse=True, return_counts=True)
    several = int((sizes > 1).sum())
    if split is None:
        return [Finding("groups", (), "ok", f"{len(names):,} groups, {several:,} of several objects, kept together", count=0)]
    part = split.part_of(len(catalog))
    torn = sum(len(set(part[inverse == g]) - {-1}) > 1 for g in np.flatnonzero(sizes > 1))
    if torn:
        advice = "split by group: --group"
        return [Finding("groups", (), "leak", f"{torn} of {several} groups lie on both sides of the split", advice, count=torn)]
    return [Finding("groups", (), "ok", f"no group of {several:,} is torn by the split", count=0)]


def _preprocessing(catalog: Catalog, split: Split | None, fitted: dict[str, float] | None) -> list[Finding]:
    findings = []
    for how, names in evidence.worked_on(catalog.table).items():
        detail = f"{len(names)} columns are {how} over the whole file ({listed(names)})"
        advice = "give the raw columns: scaling and imputing belong after the split"
        findings.append(Finding(f"preprocessing: {how}", tuple(names), "suspect", detail, advice, count=len(names)))
    if fitted is not None and split is not None:
        wrong = evidence.fitted_on(fitted, catalog.table, split.train)
        text = f"{len(wrong)} columns were fitted on all rows ({listed(wrong)})" if wrong else "fitted on the training rows alone"
        advice = "fit scaling and imputation on the training rows" if wrong else ""
        findings.append(Finding("preprocessing: fit", tuple(wrong), "leak" if wrong else "ok", text, advice, count=len(wrong)))
    return findings
