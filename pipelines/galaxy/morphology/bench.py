"""`sciml bench morphology`: our measurements beside statmorph's on the same stamps, in one run.

One row per case: CPU time per galaxy on one thread (wall time on a GPU), medians over rounds in which the two take turns, and
the share of objects on which Gini, M20, C and A agree within the accepted differences.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.compute.threads import using
from sciml.pipelines.progress import Progress

from .cases import Case, mergers, real, simulated
from .definitions import flag_of
from .measure import measure
from .peer import Source, measure_source

ACCEPTED = {"gini": 0.01, "m20": 0.05, "concentration": 0.05, "asymmetry": 0.02}
WORST_FLAG = 1  # objects that either engine flags higher are counted apart


def _sources(case: Case) -> list[Source]:
    def one(name: str, index: int):
        given = case.known.get(name)
        return given[index] if isinstance(given, list) else given

    return [
        Source(image, segmap, label, gain=one("gain", i), weightmap=one("weightmaps", i), psf=one("psf", i))
        for i, (image, segmap, label) in enumerate(zip(case.images, case.segmaps, case.labels, strict=True))
    ]


def agreement(ours: pd.DataFrame, peer: pd.DataFrame) -> dict[str, float]:
    """Shares within ACCEPTED, the largest of their 95th percentiles of |difference| / accepted, and how many were compared.

    Objects flagged above WORST_FLAG by either engine are left out, but counted in `{name}_all`; a value that only one of them has
    is a disagreement.
    """
    good = ((ours["flag"] <= WORST_FLAG) & (peer["flag"] <= WORST_FLAG)).to_numpy()
    row: dict[str, float] = {"compared": int(good.sum())}
    for name, accepted in ACCEPTED.items():
        difference = (ours[name] - peer[name]).abs().to_numpy()
        difference = np.where(ours[name].isna().to_numpy() != peer[name].isna().to_numpy(), np.inf, difference)
        both = ~np.isnan(difference)
        row[f"{name}_all"] = float(np.mean(difference[both] < accepted)) if both.any() else np.nan
        difference = difference[both & good]
        row[name] = float(np.mean(difference < accepted)) if len(difference) else np.nan
        row[f"{name}_p95"] = float(np.quantile(difference, 0.95, method="higher")) if len(difference) else np.nan
    row["same_flag"] = float(np.mean(ours["flag"].to_numpy() == peer["flag"].to_numpy()))
    return row


def _ours(case: Case, device: str) -> tuple[pd.DataFrame, float]:
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    table = measure(case.images, case.segmaps, labels=case.labels, device=device, **case.known)
    return table, (clock() - start) / len(case.images)


def run_case(case: Case, *, device: str = "cpu", rounds: int = 5, progress: Progress = Progress()) -> dict:  # noqa: B008
    """Measure a case with both engines in turns: each round takes all galaxies with ours, a share of them with statmorph."""
    sources = _sources(case)
    _ours(case, device)  # the first call loads and compiles
    rows, theirs, ours = [], [], []
    with progress.task(case.name, len(sources), "galaxies") as task:
        for share in np.array_split(np.arange(len(sources)), rounds):
            table, seconds = _ours(case, device)
            ours.append(seconds)
            for index in share:
                start = time.process_time()
                rows.append(measure_source(sources[index]))
                theirs.append(time.process_time() - start)
                task.advance(1)
    peer = pd.DataFrame(rows)
    peer["flag"] = [flag_of(int(reasons)) for reasons in peer["reasons"]]
    row = {"case": case.name, "galaxies": len(sources), "pixels": float(np.median([i.size for i in case.images]))}
    row |= {"statmorph_ms": 1e3 * float(np.median(theirs)), "ours_ms": 1e3 * float(np.median(ours))}
    return row | {"ratio": row["statmorph_ms"] / row["ours_ms"]} | agreement(table, peer)


def bench(
    *,
    n: int = 64,
    device: str = "cpu",
    rounds: int = 5,
    data: str | Path | None = None,
    progress: Progress = Progress(),  # noqa: B008
) -> list[dict]:
    """Rows for simulated galaxies of one size and of mixed sizes, simulated mergers, and the real ones in `data`, n each.

    torch uses one thread meanwhile.
    """
    with using(1):
        cases = [simulated(n, seed=1), simulated(n, seed=2, sizes=(64, 96, 128, 192)), mergers(n, seed=101)]
        cases += real(Path(data), n) if data is not None else []
        return [run_case(case, device=device, rounds=rounds, progress=progress) for case in cases]
