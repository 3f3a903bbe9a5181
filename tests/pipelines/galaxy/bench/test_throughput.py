"""The table of the training throughput: every contestant in every round, on the same pictures and the same network."""

import pytest

from sciml.pipelines.compute.devices import machine
from sciml.pipelines.errors import DataError
from sciml.pipelines.galaxy.bench import contestants, throughput
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.measurements import write_csv
from sciml.pipelines.readers.synthetic_surveys import picture

SMALL = BenchGalaxy(backbones=("test_resnet",), picture_size=48, image_size=32, batch_size=4, steps=2, repeats=2)


@pytest.fixture(scope="module")
def rows():
    return list(throughput.measure(SMALL))


def test_rows(rows):
    assert [r["implementation"] for r in rows] == [contestants.OURS, contestants.PLAIN, contestants.ALONE]
    assert all(r["backbone"] == "test_resnet" and r["clock"] == "cpu" for r in rows)
    assert all(0 < r["p20"] <= r["images_per_second"] <= r["p80"] for r in rows)
    ours = rows[0]["images_per_second"]
    assert rows[0]["ours_to_it"] == 1
    assert all(r["ours_to_it"] == pytest.approx(ours / r["images_per_second"]) for r in rows)


def test_pictures_of_a_folder_are_used_again_where_there_are_too_few(tmp_path):
    for i in range(3):
        picture(tmp_path / f"{i}.png", i, size=40)
    given = BenchGalaxy(images=tmp_path)
    assert [p.stem for p in throughput._pictures(given, 5, tmp_path)] == ["0", "1", "2", "0", "1"]
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no "):
        throughput._pictures(BenchGalaxy(images=tmp_path / "none"), 5, tmp_path)


def test_the_table_on_disk(rows, tmp_path):
    write_csv(tmp_path / "rows.csv", rows, "sciml bench galaxy", machine("cpu"))
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[0] == "# sciml bench galaxy" and any(line.startswith("backbone,implementation,") for line in lines)
    assert sum(line.startswith("test_resnet,") for line in lines) == 3
    with pytest.raises(DataError, match="cannot be written"):
        write_csv(tmp_path / "rows.csv" / "x.csv", rows, "", machine("cpu"))
