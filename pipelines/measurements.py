"""Tables of measurements on disk: CSV under comment lines that say by which command and on what they were measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .checkpoint import write_atomic
from .errors import DataError


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]], command: str, machine: Mapping[str, Any]) -> None:
    """Rows of the same columns, numbers to four digits; DataError if the file cannot be written."""
    text = io.StringIO(newline="")
    text.write(f"# {command}\n" + "".join(f"# {name}: {value}\n" for name, value in machine.items()))
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    try:
        write_atomic(Path(path), text.getvalue().encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}", hint="give another --csv") from None
