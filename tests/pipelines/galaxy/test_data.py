"""`sciml galaxy data` and `audit`: described, packed, simulated, labelled."""

import json

import pandas as pd
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.data import prepare, run_audit
from sciml.pipelines.galaxy.packed import open_packed
from sciml.pipelines.galaxy.samples import tiny_folder
from sciml.pipelines.galaxy.settings import Audit, Data
from sciml.pipelines.progress import Progress


def test_a_folder_is_described_and_packed(tmp_path):
    images, table = tiny_folder(tmp_path)
    settings = Data(images=images, table=(table,), id="objid", label="merger", pack=tmp_path / "g.h5")
    found = prepare(settings, Progress())
    assert found["objects"] == 12 and found["classes"] == {"0": 6, "1": 6} and found["inputs"] == 1
    assert dict((row[0], row[1]) for row in found["columns"])["mass"] == "input"
    assert list(open_packed(tmp_path / "g.h5").table.columns) == ["mass"]
    with pytest.raises(DataError, match="exists already"):
        prepare(settings, Progress())


def test_simulated_galaxies_need_a_file(tmp_path):
    with pytest.raises(SettingsError, match="--simulate needs a file"):
        prepare(Data(simulate=4), Progress())
    found = prepare(Data(simulate=4, image_size=16, pack=tmp_path / "s.h5"), Progress())
    assert found["objects"] == 4 and open_packed(tmp_path / "s.h5").images.shape == (3, 16, 16)


def test_histories_become_labels(tmp_path):
    from sciml.pipelines.readers.synthetic_surveys import merger_history

    nothing = [-1] * 6
    fields = {"SnapNumLastMajorMerger": [90, -1, -1, 90, -1, -1], "SnapNumNextMajorMerger": [-1, 92, -1, -1, 92, -1]}
    fields |= {"SnapNumLastMinorMerger": nothing, "SnapNumNextMinorMerger": nothing}
    file = merger_history(tmp_path / "MergerHistory_091.hdf5", fields)
    found = prepare(Data(merger_history=(file,), to=tmp_path / "labels.csv"), Progress())
    frame = pd.read_csv(tmp_path / "labels.csv")
    assert len(frame) == found["galaxies"] > 0 and set(frame["label"]) <= {"non", "pre", "post"}


def test_an_audit_is_written(tmp_path):
    images, table = tiny_folder(tmp_path, 40, sky_level=[0.0, 1.0] * 20)
    result = run_audit(
        Audit(images=images, table=(table,), id="objid", label="merger", folds=2, permutations=20, out=tmp_path / "a"), Progress()
    )
    stored = json.loads((tmp_path / "a" / "audit.json").read_text())
    assert stored["worst"] == result.worst == "leak"
