"""The audit: what could let a model score without looking at the galaxy, found before anything is trained.

It probes what must not predict the label (probing.py), and counts duplicates, near copies of rows, torn groups and
preprocessing that saw the test rows. A merger classifier on SDSS reached 92.6 % from the error of the sky background alone (Suelves et al.
2023, A&A 669, A141).
"""

from __future__ import annotations

import time

import numpy as np

from sciml.pipelines.progress import Progress
from sciml.pipelines.readers.skipped import listed

from . import evidence
from .catalog import Catalog
from .duplicates import Duplicates, find_duplicates
from .findings import AuditResult, Finding
from .near_copies import find_near_copies, near_copy_findings
from .probes import MOST_OBJECTS
from .probing import Judge, probes_of
from .settings import Audit
from .splits import Split, fold_numbers, ranked

_KINDS = ("classes", "nuisance", "magnitude", "missing", "image", "identifier", "row", "column")
_ORDER = {kind: place for place, kind in enumerate(_KINDS)}  # of the printed table


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
    # duplicates and groups are counted over all objects, the probes run on a part of a large catalog
    part = looked if len(looked) <= MOST_OBJECTS else looked.take(np.sort(ranked(looked, settings.seed)[:MOST_OBJECTS]))
    judge, tasks = Judge(part, settings), probes_of(part)
    duplicates = find_duplicates(looked, settings.duplicate_distance)
    copies = find_near_copies(looked.table, settings.seed)
    findings = [
        _classes(catalog, judge), *_duplicate_findings(looked, duplicates, split),
        *near_copy_findings(looked, copies, _parts(looked, settings, split)), *_group_findings(catalog, split),
        *_preprocessing(catalog, split, fitted),
    ]  # fmt: skip
    with progress.task("audit", len(tasks), "probes") as task:
        for run in tasks:
            findings += run(judge)
            task.advance()
    findings.sort(key=lambda f: (_ORDER.get(f.probe.split()[0], len(_ORDER)), -(f.auc or 0)))
    return AuditResult(tuple(findings), catalog.counts(), time.perf_counter() - start, duplicates.pairs())


def _parts(catalog: Catalog, settings: Audit, split: Split | None) -> np.ndarray | None:
    """Part of the split, or fold, of each object; None where there are too few for folds."""
    if split is not None:
        return split.part_of(len(catalog))
    independent = catalog.ids if catalog.groups is None else catalog.groups
    least = min(len(set(independent[catalog.labels == k])) for k in np.unique(catalog.labels))
    return fold_numbers(catalog, min(settings.folds, least), settings.seed) if least >= 2 else None


def _classes(catalog: Catalog, judge: Judge) -> Finding:
    """Objects per class, and whether they are enough for the probes."""
    counts = {name: count for name, count in catalog.counts().items() if count}
    rare = min(counts, key=counts.get)
    text = ", ".join(f"{name} {count:,}" for name, count in catalog.counts().items())
    if judge.fold is None:
        advice = "no probe can be cross-validated: give more objects (of different groups) of that class"
        return Finding("classes", (), "suspect", text, f'"{rare}": {advice}')
    if counts[rare] < 50:
        return Finding("classes", (), "note", text, f'"{rare}" is rare: every number on it is uncertain')
    return Finding("classes", (), "ok", text)


def _duplicate_findings(catalog: Catalog, found: Duplicates, split: Split | None) -> list[Finding]:
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
        return [
            Finding(
                "groups", (), "ok", f"{len(names):,} groups, {several:,} of several objects, kept together", count=0
            )
        ]
    part = split.part_of(len(catalog))
    torn = sum(len(set(part[inverse == g]) - {-1}) > 1 for g in np.flatnonzero(sizes > 1))
    if torn:
        advice = "split by group: --group"
        return [
            Finding(
                "groups", (), "leak", f"{torn} of {several} groups lie on both sides of the split", advice, count=torn
            )
        ]
    return [Finding("groups", (), "ok", f"no group of {several:,} is torn by the split", count=0)]


def _preprocessing(catalog: Catalog, split: Split | None, fitted: dict[str, float] | None) -> list[Finding]:
    findings = []
    for how, names in evidence.worked_on(catalog.table).items():
        detail = f"{len(names)} columns are {how} over the whole file ({listed(names)})"
        advice = "give the raw columns: scaling and imputing belong after the split"
        findings.append(Finding(f"preprocessing: {how}", tuple(names), "suspect", detail, advice, count=len(names)))
    if fitted is not None and split is not None:
        wrong = evidence.fitted_on(fitted, catalog.table, split.train)
        text = (
            f"{len(wrong)} columns were fitted on all rows ({listed(wrong)})"
            if wrong
            else "fitted on the training rows alone"
        )
        advice = "fit scaling and imputation on the training rows" if wrong else ""
        findings.append(
            Finding("preprocessing: fit", tuple(wrong), "leak" if wrong else "ok", text, advice, count=len(wrong))
        )
    return findings
