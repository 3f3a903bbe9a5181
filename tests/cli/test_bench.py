"""`sciml bench kd` prints a table and, asked for, JSON."""

import json


def test_bench_kd(sciml):
    done = sciml(
        "bench",
        "kd",
        "--history",
        "5",
        "--horizon",
        "2",
        "--hidden",
        "4",
        "--windows",
        "128",
        "--repeats",
        "1",
        "--no-peers",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [r["implementation"] for r in found["rows"]] == ["ours", "loader", "bare"]


def test_half_a_case_is_refused(sciml):
    done = sciml("bench", "kd", "--history", "5")
    assert done.returncode == 2 and "--horizon" in done.stderr
