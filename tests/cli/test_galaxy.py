"""`sciml galaxy` as it is typed: every command on tiny files, in the order a user would go."""

import json

import numpy as np
import pandas as pd
import pytest

QUICK = ("--epochs", "1", "--width", "8", "--blocks", "1", "--bootstrap", "20", "--threads", "1", "--views", "1")


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A folder with cutouts and a table of 60 galaxies; mergers have two nuclei and are bluer."""
    folder, random = tmp_path_factory.mktemp("survey"), np.random.default_rng(0)
    (folder / "cutouts").mkdir()
    y, x = np.mgrid[:32, :32] - 15.5
    names, labels = [f"58773950555278{i:04d}" for i in range(60)], np.arange(60) % 2
    for name, label in zip(names, labels, strict=True):
        light = np.exp(-np.hypot(x, y) / 3) + label * np.exp(-np.hypot(x - 6, y - 4) / 3)
        np.save(folder / "cutouts" / f"{name}.npy", (100 * light + random.normal(size=(32, 32))).astype(np.float32))
    colour = random.normal(0.8, 0.1, 60) - 0.1 * labels
    frame = pd.DataFrame({"objid": names, "g_r": colour, "log_mass": random.normal(10, 0.5, 60), "merger": labels})
    frame.to_csv(folder / "galaxies.csv", index=False)
    return folder


@pytest.fixture
def sciml(command, tmp_path):
    """Runs a command in the test's own folder."""
    return lambda *arguments: command(*arguments, folder=tmp_path)


@pytest.fixture(scope="module")
def trained(survey, command, tmp_path_factory):
    """(run folder, what the command printed as JSON)."""
    out = tmp_path_factory.mktemp("trained") / "run"
    data = ("--images", str(survey / "cutouts"), "--table", str(survey / "galaxies.csv"), "--id", "objid", "--label", "merger")
    done = command("galaxy", "train", *data, *QUICK, "--out", str(out), "--json", folder=out.parent)
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_train_ends_with_a_table_and_a_page(trained):
    out, printed = trained
    assert set(printed["arms"]) == {"fusion", "image", "table"} and printed["n"]["test"] == 12
    page = (out / "report" / "index.html").read_text()
    assert "image + table" in page and "<img" in page


def test_images_alone_are_predicted_without_the_options_of_the_table(trained, survey, sciml, tmp_path):
    done = sciml("galaxy", "predict", "--model", str(trained[0]), "--images", str(survey / "cutouts"), "--to", "i.csv", "--threads", "1")
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "i.csv", dtype={"id": str})
    assert sorted(frame["id"]) == sorted(path.stem for path in (survey / "cutouts").iterdir())
    assert set(frame["modality"]) == {"image"}


def test_predict_evaluate_explain_export_report(trained, survey, sciml, tmp_path):
    out, _ = trained
    data = ("--images", str(survey / "cutouts"), "--table", str(survey / "galaxies.csv"), "--id", "objid")
    done = sciml("galaxy", "predict", "--model", str(out), *data, "--to", "p.csv", "--threads", "1")
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "p.csv", dtype={"id": str})
    assert len(frame) == 60 and frame["id"].str.len().eq(18).all()
    done = sciml("galaxy", "evaluate", "--model", str(out), *data, "--label", "merger", "--bootstrap", "20", "--threads", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads(done.stdout)["scores"]["auc"]["value"] <= 1
    done = sciml("galaxy", "explain", "--model", str(out), "--repeats", "2", "--objects", "4", "--to", "why", "--threads", "1")
    assert done.returncode == 0 and (tmp_path / "why" / "explain.json").is_file(), done.stderr
    done = sciml("galaxy", "export", "--model", str(out), "--to", "model")
    assert done.returncode == 0, done.stderr
    done = sciml("galaxy", "predict", "--model", "model", "--table", str(survey / "galaxies.csv"), "--id", "objid", "--to", "t.csv", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(tmp_path / "t.csv")["modality"]) == {"table"}
    assert sciml("galaxy", "report", "--model", str(out)).returncode == 0


def test_data_audit_and_morphology(survey, sciml, tmp_path):
    data = ("--images", str(survey / "cutouts"), "--table", str(survey / "galaxies.csv"), "--id", "objid", "--label", "merger")
    done = sciml("galaxy", "data", *data, "--pack", "g.h5", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["objects"] == 60, done.stderr
    done = sciml("galaxy", "audit", "--images", "g.h5", "--permutations", "20", "--folds", "2", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["findings"], done.stderr
    done = sciml("galaxy", "morphology", "--images", str(survey / "cutouts"), "--limit", "3", "--no-sersic", "--threads", "1", "--to", "m.csv")
    assert done.returncode == 0 and len(pd.read_csv(tmp_path / "m.csv")) == 3, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("train", "--images", "nowhere", "--label", "merger"), 3, "there is no such file or folder"),
        (("train", "--backbone", "resnet19"), 2, 'unknown backbone "resnet19"'),
        (("train", "--fusion", "crss"), 2, "cross"),
        (("predict", "--model", "nowhere"), 3, "no such run or model"),
        (("audit",), 3, "neither images nor a table"),
        (("morphology", "--images", "nowhere"), 3, "nowhere"),
    ],
)
def test_errors_say_what_to_do(sciml, arguments, code, words):
    done = sciml("galaxy", *arguments)
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_models_are_listed(sciml):
    done = sciml("galaxy", "models", "convnext_atto", "--json")
    assert done.returncode == 0 and any(entry["name"] == "convnext_atto" for entry in json.loads(done.stdout))


def test_a_dry_run(sciml, tmp_path):
    done = sciml("galaxy", "train", "--simulate", "40", "--image-size", "16", "--dry-run", "--json", "--threads", "1")
    assert done.returncode == 0 and set(json.loads(done.stdout)["parameters"]) == {"fusion", "image", "table"}, done.stderr
    assert not (tmp_path / "runs").exists()
