"""Bars: every row that is given has its bar, in order, with its interval."""

import io

import numpy as np
import pytest
from matplotlib.text import Text

from sciml.pipelines.galaxy import bars


def words(figure):
    figure.savefig(io.BytesIO(), format="png", dpi=30)
    return [text.get_text() for text in figure.findobj(Text)]


def row(kind, name, drop, low=None, high=None):
    return {"kind": kind, "name": name, "drop": drop, "low": low, "high": high}


def test_importance_has_modalities_first_and_the_largest_on_top():
    rows = [
        row("column", "a", 0.1, 0.05, 0.2),
        row("column", "b", 0.3),
        row("modality", "image", 0.05),
        row("column", "c", None),
    ]
    figure = bars.importance(rows)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["image", "b", "a"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.05, 0.3, 0.1]
    whiskers = [list(line.get_xdata()) for line in figure.axes[0].lines]
    assert [0.05, 0.2] in whiskers and {"whole modality", "one column"} <= set(words(figure))
    assert bars.importance([]) is None and bars.importance([row("column", "c", None)]) is None


def test_only_the_first_of_many_columns_are_drawn():
    figure = bars.importance([row("column", f"column {n}", 1 / (n + 1)) for n in range(100)])
    assert len(figure.axes[0].patches) == bars.MOST_BARS and figure.get_figheight() < 9


def test_the_audit_has_the_gravest_on_top_and_what_was_kept_out_at_the_end():
    finding = lambda probe, verdict, auc, **more: {"probe": probe, "verdict": verdict, "auc": auc, **more}  # noqa: E731
    found = [finding("redshift", "ok", 0.48), finding("snapshot", "leak", 0.89), finding("votes", "leak", 0.99, kept_out=True),
             finding("classes", "ok", None), finding("missing", "suspect", 0.66)]  # fmt: skip
    figure = bars.audit_bars(found)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "snapshot",
        "missing",
        "redshift",
        "votes",
    ]
    assert {"0.89", "not given to the model", "suspect"} <= set(words(figure))
    assert bars.audit_bars([found[3]]) is None


def test_bins_have_a_panel_each():
    value = {"value": 0.8, "low": 0.7, "high": 0.9}
    metrics = {"auc": value, "f1": {"value": None, "low": None, "high": None}}
    rows = [{"bin": "0.01 to 0.1", "n": 30, "metrics": metrics}, {"bin": "missing", "n": 1, "metrics": None}]
    figure = bars.by_bin({"redshift": rows, "log_mass": rows, "m_r": rows, "empty": rows[1:], "z": rows})
    panels = [axis for axis in figure.axes if axis.get_xlabel()]
    assert [axis.get_xlabel() for axis in panels] == ["redshift", "log mass", "m r", "z"]
    assert "0.01\nto 0.1\n(n = 30)" in words(figure)
    assert bars.by_bin({}) is None and bars.by_bin({"empty": rows[1:]}) is None


@pytest.mark.parametrize("truth", [0.1, None])
def test_shares_are_drawn_where_they_are(truth):
    way = lambda value: {"value": value, "low": value - 0.05, "high": value + 0.05}  # noqa: E731
    share = {"counted": way(0.3), "confusion": way(0.12), "em": way(0.11), "truth": truth, "labelled": 0.4}
    figure = bars.shares({"classes": ["non", "merger"], "shares": {"non": share, "merger": share}}, ["merger"])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["merger"]
    drawn = np.concatenate([line.get_xdata() for line in figure.axes[0].lines])
    assert {0.3, 0.12, 0.11, 0.4} <= set(drawn.tolist())
    assert ("true" in words(figure)) == (truth is not None)
