"""The silent progress can stand in for any other."""

from sciml.pipelines.progress import Progress


def test_silent_progress_prints_nothing(capfd):
    progress = Progress()
    progress.note("note")
    progress.warn("warning")
    with progress.task("fit", 3, "windows") as task, progress.task("read", 1, "files"):
        task.advance(2, rmse=1.5)
        task.update(total=4, rmse=1.4)
    assert capfd.readouterr() == ("", "")
