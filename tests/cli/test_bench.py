"""`sciml bench` prints tables and, asked for, JSON and CSV."""

import json

import pytest


@pytest.fixture
def sciml(command, tmp_path):
    """Runs a command in the test's own folder."""
    return lambda *arguments: command(*arguments, folder=tmp_path)


def test_bench_kd(sciml):
    sizes = "--history 5 --horizon 2 --hidden 4 --windows 128 --repeats 1 --no-peers"
    done = sciml("bench", "kd", *sizes.split(), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [r["implementation"] for r in found["rows"]] == ["ours", "loader", "bare"]
    assert found["machine"]["device"] == "cpu" and found["machine"]["threads"] == 1


def test_half_a_case_is_refused(sciml):
    done = sciml("bench", "kd", "--history", "5")
    assert done.returncode == 2 and "--horizon" in done.stderr


def test_bad_options_are_no_bug(sciml):
    for options, code, word in (
        (("--device", "gpu"), 2, "cuda:N"),
        (("--history", "0", "--horizon", "1"), 2, "--history 0"),
    ):
        done = sciml("bench", "kd", *options)
        assert done.returncode == code and word in done.stderr and "bug" not in done.stderr


def test_bench_sphere(sciml, tmp_path):
    options = "--cases T21 --columns 2 --repeats 1 --no-peers --no-laws --csv rows.csv --json"
    done = sciml("bench", "sphere", *options.split())
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {(r["implementation"], r["clock"]) for r in rows} >= {("ours", "cpu"), ("ours", "wall")}
    assert all(r["error"] < 5e-7 and r["ms"] > 0 for r in rows)
    text = (tmp_path / "rows.csv").read_text()
    assert text.startswith("# sciml bench sphere --cases T21") and "# jax: " in text and "case,columns" in text


@pytest.mark.slow
def test_bench_dycore(sciml):
    options = "--cases dry --repeats 1 --no-peers --laws pressure"
    done = sciml("bench", "dycore", *options.split())
    assert done.returncode == 0, done.stderr
    assert "dry T42L24" in done.stdout and "gradient" in done.stdout
    assert "initial surface pressure" in done.stdout and "BROKEN" not in done.stdout


def test_bench_neural_parity(monkeypatch, tmp_path, capsys):
    """One table of several models; every row says the command that measured it, and what is too far is named."""
    from sciml.cli.main import main
    from sciml.pipelines.gcm.bench import neural_parity

    def measure(checkpoint, hours, seed, command, progress):
        values = (checkpoint.stem, checkpoint.name, seed, hours[0], "temperature", 2e-5 / (1 + seed), 1e-5, command)
        yield dict(zip(neural_parity.COLUMNS, values, strict=True))

    monkeypatch.setattr(neural_parity, "measure", measure)
    table = tmp_path / "parity.csv"
    for name, seed in (("a", 0), ("b", 3)):
        options = ("--parity", "1,24", "--checkpoint", f"there/{name}.pkl", "--seed", str(seed), "--csv", str(table))
        assert main(["bench", "neural", *options]) == 0
        said = capsys.readouterr().out
        assert ("beyond the tolerance: temperature at 1 h" in said) == (name == "a"), said
    rows = [line for line in table.read_text().splitlines() if not line.startswith("#")]
    assert rows[0] == ",".join(neural_parity.COLUMNS) and len(rows) == 3
    assert (
        rows[2] == 'b,b.pkl,3,1,temperature,5e-06,1e-05,"sciml bench neural --checkpoint b.pkl --parity 1,24 --seed 3"'
    )
    table.write_text("a,b\n1,2\n")
    assert main(["bench", "neural", *options]) == 3 and "not a table of model" in capsys.readouterr().err


def test_bench_galaxy(sciml, tmp_path):
    sizes = "--backbones test_resnet --picture-size 40 --image-size 32 --batch-size 4 --steps 1 --repeats 1"
    done = sciml("bench", "galaxy", "--parts", "throughput", *sizes.split(), "--csv", "rows.csv", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [r["implementation"] for r in found["throughput"]] == ["ours", "plain loop", "network alone"]
    assert found["machine"]["device"] == "cpu" and "morphology" not in found
    assert (tmp_path / "rows.csv").read_text().startswith("# sciml bench galaxy --parts throughput")


def test_bench_galaxy_of_what_must_hold(sciml, tmp_path):
    lines = [f"s{i},{i % 7},{i * i % 11},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "table.csv").write_text("\n".join(["id,x,y,kind", *lines]) + "\n")
    options = "--table table.csv --label kind --folds 2 --trees 5 --simulate 80 --seeds 4 --csv found.csv"
    done = sciml("bench", "galaxy", "--parts", "forest,simulator", *options.split())
    assert done.returncode == 0, done.stderr
    assert "random forest" in done.stdout and "nuisance auc" in done.stdout
    assert "model,accuracy" in (tmp_path / "found-forest.csv").read_text()
    assert (tmp_path / "found-simulator.csv").read_text().startswith("# sciml bench galaxy --parts forest,simulator")


def test_bench_names_what_is_accepted(sciml):
    for command, options, word in (
        ("sphere", ("--cases", "T43"), "did you mean T4"),
        ("sphere", ("--columns", "0"), "greater than 0"),
        ("dycore", ("--cases", "wet"), "accepted: dry, moist"),
        ("neural", ("--hours", "0"), "--hours 0"),
        ("neural", ("--parity=1,-1",), "--parity 1,-1"),
        ("galaxy", ("--parts", "speed"), "throughput, morphology"),
        ("galaxy", ("--parts", "parity"), "with --data"),
    ):
        done = sciml("bench", command, *options)
        assert done.returncode == 2 and word in done.stderr, done.stderr
