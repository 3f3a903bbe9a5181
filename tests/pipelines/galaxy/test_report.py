"""The page of a training run: complete, self-contained, honest, and safe to open."""

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.report import read_predictions, read_sample, redraw, write

PICTURES = {
    "audit", "by_bin", "calibration", "confusion", "fraction", "heat", "importance", "mistakes", "ranking", "sample",
    "training_curves", "uncertain",
}  # fmt: skip
VARIANTS = {
    "two classes": {},
    "three stages": {"classes": ("non", "pre", "post"), "share": 0.6},
    "image only, one band": {"arms": ("image",), "band": 1, "audited": False},
    "table only, folds": {"arms": ("table",), "images": False, "extras": False, "folds": 5, "simulated": False},
    "odd names": {"classes": ("<b>no</b>", "$m_1$ & co"), "arms": ("fusion",), "images": False, "extras": False},
}


class Outline(HTMLParser):
    """Checks that tags close in order; keeps the text."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def text_of(page) -> str:
    outline = Outline(page.read_text(encoding="utf-8"))
    assert not outline.open
    return " ".join(" ".join(outline.text[1:]).split())


def written(folder, results, tmp_path):
    """The page of a copy of the run, so that no test sees what another has drawn."""
    for name in ("predictions.csv", "sample.npz"):
        if (folder / name).exists():
            shutil.copy(folder / name, tmp_path)
    return write(tmp_path, results)


@pytest.fixture
def _no_drawing(monkeypatch):
    """Most tests read the words; drawing takes seconds."""
    monkeypatch.setattr("sciml.pipelines.galaxy.report._pictures", lambda *known: dict.fromkeys(PICTURES, b"PNG"))


@pytest.mark.usefixtures("_no_drawing")
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_has_a_page(made_up_run, tmp_path, options):
    run = made_up_run(**options)
    page = written(run.folder, run.results, tmp_path)
    assert page == tmp_path / "report" / "index.html"
    text = text_of(page)
    for part in ("Scores on held-out galaxies", "Calibration", "Training", "sciml galaxy train --seed 0", "AUC"):
        assert part in text
    for name in run.results["classes"]:
        assert name in text
    assert not re.search(r"\bNone\b|\bnan\b|\+-", text.replace("None of", ""))
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_page_holds_its_pictures_and_asks_for_nothing(made_up_run, tmp_path, monkeypatch):
    monkeypatch.setattr("sciml.pipelines.galaxy.report.DPI", 30)
    run = made_up_run()
    page = written(run.folder, run.results, tmp_path).read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert {path.stem for path in (tmp_path / "report").glob("*.png")} == PICTURES
    assert page.count('src="data:image/png;base64,') == page.count("<img") == len(PICTURES)
    assert len(re.findall(r'<img [^>]*alt="[^"]{10,}"', page)) == page.count("<img")
    assert (tmp_path / "report" / "ranking.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("_no_drawing")
def test_simulated_data_are_called_simulated(made_up_run, tmp_path):
    run = made_up_run()
    assert "not evidence of how well it does on a survey" in text_of(written(run.folder, run.results, tmp_path))
    real = text_of(written(run.folder, run.results | {"simulated": False}, tmp_path))
    assert "simulated" not in real


@pytest.mark.usefixtures("_no_drawing")
def test_the_audit_stands_beside_the_numbers(made_up_run, tmp_path):
    run = made_up_run()
    text = text_of(written(run.folder, run.results, tmp_path))
    assert text.index("See the audit below before quoting a number") < text.index("Scores on held-out galaxies")
    assert "nuisance snapshot leak 0.894" in text and "What to do: match the classes in Snapshot" in text
    assert "leak, kept out" in text
    without = text_of(written(run.folder, run.results | {"audit": None}, tmp_path))
    assert "This run was not audited" in without


@pytest.mark.usefixtures("_no_drawing")
def test_numbers_carry_their_intervals(made_up_run, tmp_path):
    run = made_up_run()
    text = text_of(written(run.folder, run.results, tmp_path))
    auc = run.results["arms"]["image"]["metrics"]["test"]["auc"]
    assert f"{auc['value']:.3f} {auc['low']:.3f} to {auc['high']:.3f}" in text
    assert "image + table minus image only" in text


@pytest.mark.usefixtures("_no_drawing")
def test_the_verdict_is_coloured_by_the_interval(made_up_run, tmp_path):
    run = made_up_run()
    for gain, kind in (((0.01, 0.09), "verdict good"), ((-0.02, 0.05), "verdict"), ((-0.05, -0.01), "verdict bad")):
        results = json.loads(json.dumps(run.results)) | {"audit": None}
        for row in results["comparison"]:
            row["metrics"]["auc"] |= dict(zip(("low", "high"), gain, strict=True))
        page = written(run.folder, results, tmp_path).read_text()
        assert re.search(f'<p class="{kind}">Fusion beats', page)


def test_files_that_do_not_fit_are_named(made_up_run, tmp_path):
    run = made_up_run()
    assert read_predictions(tmp_path, run.results) is None and read_sample(tmp_path, run.results) is None
    (tmp_path / "predictions.csv").write_text("id,part,label\n1,test,merger\n")
    with pytest.raises(DataError, match="no column p_fusion_non"):
        read_predictions(tmp_path, run.results)
    text = (run.folder / "predictions.csv").read_text().replace(",merger,", ",Merger,")
    (tmp_path / "predictions.csv").write_text(text)
    with pytest.raises(DataError, match='"Merger" is none of the classes'):
        read_predictions(tmp_path, run.results)
    (tmp_path / "sample.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(DataError, match="cannot be read"):
        read_sample(tmp_path, run.results)
    np.savez(tmp_path / "sample.npz", ids=["a"], images=np.zeros((2, 3, 4, 4)))
    with pytest.raises(DataError, match="1 ids and images of shape"):
        read_sample(tmp_path, run.results)


def test_ids_of_19_digits_and_class_names_that_are_numbers_survive(made_up_run):
    run = made_up_run(classes=("0", "1"), arms=("table",), images=False, extras=False)
    found = read_predictions(run.folder, run.results)
    assert len(found.ids[0]) == 19 and found.ids.dtype.kind == "U"
    assert set(found.labels) == {0, 1} and np.allclose(found.probability["table"].sum(1), 1, atol=1e-5)


@pytest.mark.usefixtures("_no_drawing")
def test_redraw_takes_a_run_or_the_newest_of_a_folder(made_up_run, tmp_path):
    run = made_up_run()
    with pytest.raises(DataError, match="no such run"):
        redraw(tmp_path / "absent")
    with pytest.raises(DataError, match="no results.json here"):
        redraw(tmp_path)
    here = tmp_path / "one"
    here.mkdir()
    for name in ("results.json", "predictions.csv", "sample.npz"):
        shutil.copy(run.folder / name, here)
    assert redraw(here) == here / "report" / "index.html"
    (here / "results.json").write_text(json.dumps({"scores": []}))
    with pytest.raises(DataError, match="not the results of a `galaxy train` run"):
        redraw(here)
