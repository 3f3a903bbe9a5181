"""Console: results on stdout, progress on stderr, bars on a terminal, one line per 30 s in a log."""

import io
import json
import threading

import pytest

from sciml.cli.console import Console, is_terminal, printable


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def _terminal_kind(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")


def console(terminal=False, **options):
    kind = Terminal if terminal else io.StringIO
    return Console(out=kind(), err=kind(), **options)


def test_a_log_gets_one_line_per_30_seconds_and_one_at_the_end():
    clock = Clock()
    log = console(clock=clock)
    with log.task("fit ssrd", 100, "windows") as task:
        for _ in range(100):
            clock.now += 1
            task.advance(rmse=1.23456)
    lines = log.err.getvalue().splitlines()
    assert lines[0] == "fit ssrd  30%  30/100 windows  1 windows/s, eta 0:01:10  rmse 1.235"
    assert lines[-1] == "fit ssrd  done  100/100 windows in 0:01:40  1 windows/s  rmse 1.235"
    assert len(lines) == 4
    assert log.out.getvalue() == ""


def test_the_rate_follows_a_change_of_speed():
    clock = Clock()
    log = console(clock=clock)
    task = log.task("read", 1e6, "files")
    for _ in range(100):
        clock.now += 1
        task.advance(1000)
    for _ in range(40):
        clock.now += 1
        task.advance(10)
    assert task.rate == pytest.approx(10)


def test_a_task_left_by_an_error_says_stopped():
    log = console()
    with pytest.raises(KeyError), log.task("fit", 10, "windows") as task:
        task.advance(3)
        raise KeyError
    assert log.err.getvalue().startswith("fit  stopped  3/10 windows")


def test_a_task_without_a_known_total_still_reports():
    clock = Clock()
    log = console(clock=clock)
    with log.task("read", 0, "files") as task:
        clock.now = 31
        task.advance(5)
        task.update(total=10)
    assert "read  5/0 files" in log.err.getvalue()
    assert "5/10 files" in log.err.getvalue()


def test_quiet_leaves_warnings_only():
    log = console(quiet=True)
    log.note("note")
    with log.task("fit", 1, "windows") as task:
        task.advance()
    log.warn("doubtful")
    assert log.err.getvalue() == "warning: doubtful\n"


def test_detail_is_for_verbose():
    for verbose, text in ((False, ""), (True, "fine print\n")):
        log = console(verbose=verbose)
        log.detail("fine print")
        assert log.err.getvalue() == text


def test_a_terminal_gets_a_bar_with_rate_and_fields():
    screen = console(terminal=True)
    with screen.task("fit", 4, "windows") as first, screen.task("read", 2, "files") as second:
        screen.note("a note with [brackets] between the bars")
        for _ in range(4):
            first.advance(rmse=0.5)
        second.advance(2)
    text = screen.err.getvalue()
    assert "fit" in text and "read" in text and "100%" in text and "windows/s" in text and "rmse 0.5" in text
    assert "a note with [brackets] between the bars" in text
    assert screen._bars is None


def test_bars_may_advance_from_threads():
    screen = console(terminal=True)

    def work(name):
        with screen.task(name, 50, "windows") as task:
            for _ in range(50):
                task.advance()
            assert task.done == 50

    threads = [threading.Thread(target=work, args=(f"fit {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert screen._bars is None


@pytest.mark.parametrize("value", [None, "1"])
def test_no_color_is_honoured(monkeypatch, value):
    if value:
        monkeypatch.setenv("NO_COLOR", value)
    screen = console(terminal=True)
    screen.warn("doubtful")
    assert ("\x1b[33m" in screen.err.getvalue()) == (value is None)


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal(Terminal())


def test_a_piped_table_is_aligned_and_never_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    log = console()
    long = "x" * 300
    log.table(("station", "rmse", "note"), [("a", 1.0, long), ("bb", 12.34567, None)], title="scores")
    assert log.out.getvalue().splitlines() == [
        "scores",
        "station   rmse  note",
        f"a            1  {long}",
        "bb       12.35  -",
    ]


def test_a_terminal_table_folds_instead_of_dropping(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    screen = console(terminal=True)
    screen.table(("station", "note"), [("[a]", "y" * 100)])
    text = screen.out.getvalue()
    assert text.count("y") == 100 and "[a]" in text and "…" not in text


def test_an_empty_table_shows_its_columns():
    log = console()
    log.table(("station", "rmse"), [])
    assert log.out.getvalue() == "station  rmse\n"


def test_json_is_the_only_thing_on_stdout():
    log = console(json=True)
    log.result("a line")
    log.table(("a",), [("b",)])
    log.emit({"rmse": float("nan"), "name": "é"})
    assert json.loads(log.out.getvalue()) == {"rmse": None, "name": "é"}
    people = console()
    people.emit({"rmse": 1})
    assert people.out.getvalue() == ""


def test_control_characters_from_files_do_not_reach_the_terminal():
    assert printable("a\x1b[31mb\nc\td") == "a�[31mb�c d"
    assert printable("a\nb\xa0c", newlines=True) == "a\nb\xa0c"
