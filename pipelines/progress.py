"""What a pipeline says while it works: notes, warnings, and tasks that advance towards a total.

This base class is silent, so that a pipeline called from Python prints nothing; the command line passes a class that
draws bars, or writes plain lines into a log. Every method may be called from any thread, and several tasks may be open.
"""


class Task:
    """One bar: `advance` it by amounts of its unit; fields such as rmse=1.23 are shown beside it."""

    def advance(self, amount: float = 1, **fields: object) -> None:
        """Count `amount` more units as done."""

    def update(self, *, total: float | None = None, **fields: object) -> None:
        """Change the total, or the fields shown, without advancing."""

    def __enter__(self) -> "Task":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        return None


class Progress:
    """Silent progress: the default of every pipeline function that takes a `progress`."""

    def note(self, text: str) -> None:
        """Say something worth knowing once, such as the device or the number of windows."""

    def warn(self, text: str) -> None:
        """Say that something is doubtful although the work goes on."""

    def task(self, name: str, total: float, unit: str) -> Task:
        """Open a bar of `total` units, e.g. task("fit ssrd", 4096, "windows"); use it in a `with` statement."""
        return Task()
