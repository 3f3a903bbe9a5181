"""A table on disk says how it came about, and a place that cannot be written is named."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.measurements import write_csv


def test_csv_says_how_it_came_about(tmp_path):
    write_csv(tmp_path / "rows.csv", [{"case": "T21", "ms": 1.23456}], "sciml bench sphere", {"cores": 2})
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[0] == "# sciml bench sphere" and lines[1] == "# cores: 2" and lines[-2:] == ["case,ms", "T21,1.235"]
    with pytest.raises(DataError, match="cannot be written"):
        write_csv(tmp_path / "rows.csv" / "x.csv", [{"case": "T21"}], "", {})
