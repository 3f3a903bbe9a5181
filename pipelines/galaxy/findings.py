"""What an audit found: one finding per probe, with its score, its significance, a verdict and what to do.

Verdicts: ok; note (worth knowing); suspect (could be chance or physics: look); leak (a model that sees it, or a sample
chosen by it, is not evidence).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

VERDICTS = ("ok", "note", "suspect", "leak")


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
        return tuple(
            name
            for f in self.findings
            if f.probe.startswith("column ") and f.verdict == "leak" and not f.kept_out
            for name in f.columns
        )

    @property
    def worst(self) -> str:
        """The gravest verdict among what the model sees or the sample was chosen by."""
        return max((f.verdict for f in self.findings if not f.kept_out), key=VERDICTS.index, default="ok")

    def summary(self) -> list[str]:
        """The findings that matter, one sentence each; columns that were kept out in time come last."""
        grave = [f for f in self.findings if f.verdict in ("leak", "suspect") and not f.kept_out]
        lines = [f"{f.verdict}: {f.probe}: {f.detail}" + (f" -> {f.advice}" if f.advice else "") for f in grave]
        kept = [
            f"{name} (AUC {f.auc:.2f})"
            for f in self.findings
            if f.kept_out and f.verdict == "leak"
            for name in f.columns
        ]
        lines += [f"kept out of the inputs, for it gives the label away: {', '.join(kept)}"] if kept else []
        return lines or ["nothing found that would let a model cheat"]

    def to_dict(self) -> dict:
        """For JSON."""
        return {
            "worst": self.worst,
            "classes": self.counts,
            "seconds": round(self.seconds, 2),
            "findings": [asdict(f) for f in self.findings],
        }
