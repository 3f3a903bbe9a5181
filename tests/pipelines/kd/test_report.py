"""The page of a run: complete, self-contained, honest, and safe to open."""

import json
import re
from html.parser import HTMLParser

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.kd.report import comparison_lines, lead_rows, redraw, score_rows, write_report

VARIANTS = {
    "one lead, one seed": {"seeds": 1},
    "many leads and seeds": {"leads": tuple(range(1, 49)), "seeds": 4},
    "goal not reached": {"meets": None},
    "mixed units": {"targets": (("2m_temperature", "K"), ("10m_wind_speed", "m s-1"))},
    "no observations": {"self_taught": True},
    "residual": {"mode": "residual", "taught": "residual", "own": False, "control": False},
    "nothing taught": {"taught": None, "control": False},
}


class Outline(HTMLParser):
    """Checks that tags close in order; keeps the text."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.text, self.seen = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def text_of(page) -> str:
    outline = Outline(page.read_text(encoding="utf-8"))
    assert not outline.open
    return " ".join("".join(outline.text).split())


PICTURES = ("cost", "example_series", "scores_by_lead", "training_curves")


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch):
    """Most tests read the words; drawing takes a second."""
    monkeypatch.setattr("sciml.pipelines.kd.report._pictures", lambda results: dict.fromkeys(PICTURES, b"PNG"))


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_has_a_page(run_results, tmp_path, options):
    results = run_results(**options)
    page = write_report(tmp_path, json.loads(json.dumps(results)))
    assert page == tmp_path / "report" / "index.html"
    text = text_of(page)
    for row in score_rows(results):
        assert row["label"] in text
    assert "sciml kd fit -c" in text and "Scores on held-out data" in text
    assert not re.search(r"\bNone\b|\bnan\b", text)
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_page_holds_its_pictures_and_asks_for_nothing(run_results, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("sciml.pipelines.kd.report.DPI", 40)
    page = write_report(tmp_path, run_results()).read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 4
    assert all(re.findall(r'<img [^>]*alt="[^"]+"', page))
    pictures = sorted(path.name for path in (tmp_path / "report").glob("*.png"))
    assert pictures == [f"{name}.png" for name in PICTURES]
    assert (tmp_path / "report" / "cost.png").read_bytes().startswith(b"\x89PNG")


def test_the_verdict_comes_first(run_results, tmp_path):
    text = text_of(write_report(tmp_path, run_results()))
    order = ["Distillation of 2m temperature, stations 108 and 159", "Distillation helped", "Scores on held-out data"]
    order += ["What the teacher brought", "Example", "Data", "Repeat this run"]
    places = [text.index(part, text.index("Distillation helped") - 900 if n else 0) for n, part in enumerate(order)]
    assert places == sorted(places)


def test_a_teacher_that_did_not_help_is_said_so(run_results, tmp_path):
    results = run_results()
    results["comparison"]["verdict"] = {"helped": False, "text": "Distillation did not help: 4 K against 3 K"}
    page = write_report(tmp_path, results).read_text(encoding="utf-8")
    assert '<p class="verdict bad">Distillation did not help: 4 K against 3 K.' in page


def test_the_soft_target_stays_out_of_the_scores(run_results, tmp_path):
    page = write_report(tmp_path, run_results()).read_text(encoding="utf-8")
    scores = page[page.index("Scores on held-out data") : page.index("What the teacher brought")]
    assert "soft target" not in scores
    assert "distance from the teacher" in page


def test_pretraining_stands_in_the_caption(run_results, tmp_path):
    assert "4 epochs of pre-training on the teacher's record" in text_of(write_report(tmp_path, run_results()))


def test_scores_agree_with_the_rows(run_results, tmp_path):
    text = text_of(write_report(tmp_path, run_results()))
    assert re.search(r"label of distilled\s*3\.00 ± 0\.04\s*2\.40\s*-0\.10\s*0\.535", text)


def test_tables_of_leads_and_targets(run_results, tmp_path):
    targets = (("2m_temperature", "K"), ("10m_wind_speed", "m s-1"))
    text = text_of(write_report(tmp_path, run_results(leads=(24.0, 48.0), targets=targets)))
    assert "RMSE by lead time [standard deviations]" in text
    assert "10m wind speed, all leads" in text and "bias [m s⁻¹]" in text
    assert "divided by the standard deviation of its target" in text


def test_a_target_without_scores(run_results, tmp_path):
    results = run_results(targets=(("2m_temperature", "K"), ("10m_wind_speed", "m s-1")))
    for row in results["scores"]:
        del row["by_target"]["10m_wind_speed"]
    assert "10m wind speed" in text_of(write_report(tmp_path, results))


def test_crps_has_its_column_where_known(run_results, tmp_path):
    results = run_results()
    assert "CRPS" not in text_of(write_report(tmp_path / "point", results))
    results["scores"][-1]["crps"] = 1.71
    assert re.search(r"CRPS \[K\].*1\.71", text_of(write_report(tmp_path / "quantiles", results)))


def test_names_cannot_inject_markup(run_results, tmp_path):
    evil = "<script>alert(1)</script>\"'&"
    results = run_results(targets=((evil, "K"),)) | {"stations": [evil]}
    results["data"] |= {"teacher": evil, "observations": evil}
    results["example"]["station"] = evil
    (tmp_path / "settings.toml").write_text(f'# "{evil}"\n')
    (tmp_path / "environment.json").write_text(json.dumps({"versions": {evil: evil}, "commit": evil}))
    page = write_report(tmp_path, results).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_settings_and_fingerprints_are_shown(run_results, tmp_path):
    (tmp_path / "settings.toml").write_text("epochs = 8\n")
    inputs = {"teacher": {"path": "nwp.nc", "bytes": 12345, "sha256": "ab" * 32}}
    facts = {"versions": {"torch": "2.13.0"}, "inputs": inputs}
    (tmp_path / "environment.json").write_text(json.dumps(facts))
    text = text_of(write_report(tmp_path, run_results()))
    assert "epochs = 8" in text and "12,345" in text and "abab" in text and "2.13.0" in text


def test_redraw_takes_the_newest_finished_run(run_results, tmp_path):
    for name, finished in (("01T000000Z-aaaa", True), ("02T000000Z-bbbb", True), ("03T000000Z-cccc", False)):
        run = tmp_path / "kd-fit" / f"202601{name}"
        run.mkdir(parents=True)
        (run / "settings.toml").write_text("")
        for file in ("environment.json", "status.json"):
            (run / file).write_text("{}")
        if finished:
            (run / "results.json").write_text(json.dumps(run_results()))
    assert redraw(tmp_path / "kd-fit").parts[-3] == "20260102T000000Z-bbbb"
    assert redraw(run.with_name("20260101T000000Z-aaaa")).parts[-3] == "20260101T000000Z-aaaa"
    with pytest.raises(DataError, match="needs a finished run") as caught:
        redraw(run)
    assert f"--resume {run}" in caught.value.hint


def test_redraw_names_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match="no such run"):
        redraw(tmp_path / "nowhere")
    with pytest.raises(DataError, match="not an exported model"):
        redraw(tmp_path)
    (tmp_path / "results.json").write_text('{"other": 1}')
    with pytest.raises(DataError, match="not the results of a `kd fit` run"):
        redraw(tmp_path)


def test_the_terminal_takes_its_rows_from_here(run_results):
    results = run_results(leads=(24.0, 48.0))
    assert len(score_rows(results)) == len(lead_rows(results)) == 10
    assert all(isinstance(line, str) for line in comparison_lines(results))
