"""`sciml bench kd` prints a table and, asked for, JSON."""

import json


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
