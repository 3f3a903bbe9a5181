"""The sections of the page: what is in the results is told, what is not is left out."""

import json

import pytest

from sciml.pipelines.galaxy import sections


@pytest.fixture
def results(made_up_run):
    """Results to change."""
    return json.loads(json.dumps(made_up_run().results))


def test_sections_stand_in_order(results, tmp_path):
    text = sections.page(tmp_path, results, {})
    titles = ["Scores on held-out galaxies", "Calibration", "What the model relies on", "Scores by redshift", "Share of each class",
              "Audit: could a model", "Training", "Repeat this run"]  # fmt: skip
    places = [text.index(title) for title in titles]
    assert places == sorted(places) and "<img" not in text and ">Galaxies</h2>" not in text


def test_what_was_not_computed_is_left_out(results, tmp_path):
    results |= {
        "importance": None,
        "ablation": None,
        "bins": {},
        "fraction": None,
        "comparison": [],
        "verdict": "",
        "majority": None,
    }
    text = sections.page(tmp_path, results, {})
    for title in ("relies on", "Share of each class", "Differences", 'class="verdict"', "Calling every object"):
        assert title not in text


def test_ablation_rows_of_either_form(results, tmp_path):
    scores = results["arms"]["image"]["metrics"]["test"]
    results["ablation"] = [
        {"name": "without the image", "metrics": scores},
        {"name": "table", "drop": 0.1, "low": 0.05, "high": 0.2},
    ]
    text = sections.page(tmp_path, results, {})
    assert "without the image" in text and "+0.100<small>+0.050 to +0.200</small>" in text


def test_notes_of_bins_and_fractions_are_told(results, tmp_path):
    results["bins"]["redshift"][0] |= {"metrics": None, "note": "one object: not scored"}
    results["fraction"]["notes"] = ["mostly noise"]
    text = sections.page(tmp_path, results, {})
    assert "one object: not scored" in text and "mostly noise" in text


def test_settings_and_versions_stand_at_the_end(results, tmp_path):
    (tmp_path / "settings.toml").write_text('seed = 0\nname = "<x>"\n')
    (tmp_path / "environment.json").write_text(json.dumps({"versions": {"torch": "2.13"}, "commit": "abc"}))
    text = sections.page(tmp_path, results, {})
    assert "&lt;x&gt;" in text and "2.13" in text and "abc" in text
    assert "<pre>sciml galaxy train --seed 0</pre>" in text
    again = sections.page(tmp_path, results | {"command": ""}, {})
    assert f"<pre>sciml galaxy train -c {tmp_path / 'settings.toml'}</pre>" in again


def test_simulated_is_said_once(results, tmp_path):
    results["verdict"] = "Fusion works. These galaxies are simulated."
    assert sections.page(tmp_path, results, {}).count("are simulated") == 1
    results["verdict"] = "Fusion works."
    assert sections.page(tmp_path, results, {}).count("are simulated") == 1


def test_unknown_values_are_dashes(results, tmp_path):
    for facts in results["arms"].values():
        facts["metrics"]["test"]["auc"] = {"value": None, "low": None, "high": None}
        facts |= {"parameters": None, "threshold": None, "seconds": None}
    text = sections.page(tmp_path, results, {})
    assert "<td>-</td>" in text and "None" not in text
