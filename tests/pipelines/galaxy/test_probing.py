"""From a score to a verdict: thresholds, significance, and what is never worse than suspect."""

import numpy as np
import pandas as pd
import pytest

from sciml.pipelines.galaxy.probes import Score
from sciml.pipelines.galaxy.probing import Judge, probes_of
from sciml.pipelines.galaxy.samples import tiny_catalog
from sciml.pipelines.galaxy.settings import Audit

QUICK = Audit(permutations=60, folds=2)


def score(auc, p=0.001):
    return Score(auc, p, 0.5, 0.5, {(0, 1): auc}, np.empty((0, 2)))


@pytest.mark.parametrize(
    ("auc", "p", "strict", "never_leak", "mild"),
    [(0.9, 0.001, "leak", "suspect", "suspect"), (0.7, 0.001, "suspect", "suspect", "note"), (0.55, 0.001, "ok", "ok", "ok"),
     (0.9, 0.2, "ok", "ok", "ok")],
)  # fmt: skip
def test_verdicts(auc, p, strict, never_leak, mild):
    judge = Judge(tiny_catalog(40), QUICK)
    assert judge.verdict(score(auc, p), QUICK.leak_auc) == strict
    assert judge.verdict(score(auc, p), None) == never_leak and judge.mild_verdict(score(auc, p)) == mild


def findings_of(catalog):
    judge = Judge(catalog, QUICK)
    return {finding.probe: finding for task in probes_of(catalog) for finding in task(judge)}


def test_each_probe_catches_its_plant():
    """One defect each: a snapshot, a gap, a magnitude, a file size, ids, the order of the rows, a column made of the label."""
    n = 160
    random = np.random.default_rng(1)
    labels = (np.arange(n) >= n // 2).astype(int)
    noise = random.normal(size=n)
    catalog = tiny_catalog(
        n, labels=labels, ids=np.array([f"{'pair' if y else 'field'}{i}" for i, y in enumerate(labels)]),
        table=pd.DataFrame({"mag": noise + 3 * labels, "gap": np.where(labels * random.uniform(size=n) > 0.3, np.nan, noise), "made": labels + 0.01 * noise,
                            "good": noise[::-1]}),
        nuisance=pd.DataFrame({"snapshot": 91 + labels, "ra": noise}), withheld=pd.DataFrame({"p_merger": labels * 0.9}),
        image_facts=pd.DataFrame({"file bytes": 1000 + 500 * labels + 10 * noise, "sky red": noise}),
    )  # fmt: skip
    found = findings_of(catalog)
    verdicts = {name: finding.verdict for name, finding in found.items()}
    assert verdicts == {
        "nuisance snapshot": "leak", "nuisance position": "ok", "nuisance all together": "leak", "magnitude": "suspect", "missing cells": "leak",
        "image files": "suspect", "image sky": "ok", "identifier": "suspect", "row order": "note", "column made": "leak",
        "column p_merger": "leak", "column mag": "suspect", "all inputs": "note",
    }  # fmt: skip
    assert (
        found["column p_merger"].kept_out
        and not found["column made"].kept_out
        and "--leave-out made" in found["column made"].advice
    )
    assert "snapshot = 91 holds 100% of a and 0.0% of the others" in found["nuisance snapshot"].detail
    assert all(
        finding.advice for finding in found.values() if finding.verdict not in ("ok",) and finding.probe != "all inputs"
    )


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_clean_catalog_is_not_accused(seed):
    """Noise everywhere: of all probes none is suspect, whatever the seed."""
    random = np.random.default_rng(seed)
    n = 120
    labels = random.permutation(np.arange(n) % 2)
    frame = pd.DataFrame(random.normal(size=(n, 3)), columns=["a", "b", "mag"])
    frame.loc[random.uniform(size=n) < 0.2, "a"] = np.nan
    catalog = tiny_catalog(
        n, labels=labels, table=frame, nuisance=pd.DataFrame({"snapshot": random.integers(90, 93, n), "ra": random.uniform(size=n)}),
        withheld=pd.DataFrame({"p_merger": random.uniform(size=n)}),
        image_facts=pd.DataFrame({"file bytes": random.normal(size=n), "sky": random.normal(size=n)}),
    )  # fmt: skip
    assert {f.verdict for f in findings_of(catalog).values()} <= {"ok", "note"}


def test_an_image_that_one_class_lacks():
    labels = np.arange(80) % 2
    catalog = tiny_catalog(80, size=4, labels=labels, image_facts=pd.DataFrame({"file bytes": np.ones(80)}))
    catalog.images.present = ~((labels == 1) & (np.arange(80) % 3 > 0))
    assert findings_of(catalog)["image present"].verdict == "leak"


def test_a_class_of_one_object_cannot_be_probed():
    catalog = tiny_catalog(30, labels=np.array([1] + [0] * 29))
    assert Judge(catalog, QUICK).fold is None and findings_of(catalog) == {}
