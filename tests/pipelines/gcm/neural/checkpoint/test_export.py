"""`sciml gcm export` as a function and as a command."""

import json
import os
import pickle

import pytest

from sciml.cli.main import main
from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.export_settings import Export
from sciml.pipelines.gcm.neural.checkpoint import original, store
from sciml.pipelines.gcm.neural.checkpoint.export import export


@pytest.fixture
def pickled(make, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(original.to_checkpoint(make.checkpoint("neuralgcm-2.8"))))
    return path


def test_the_folder_is_loaded_again(pickled, tmp_path):
    folder, checkpoint = export(Export(checkpoint=pickled, to=tmp_path / "out"))
    again = store.load(folder)
    assert again.config == checkpoint.config and again.provenance["licence"] == "cc-by-sa-4.0"
    export(Export(checkpoint=folder, to=tmp_path / "more", licence="mit"))
    third = store.load(tmp_path / "more")
    assert third.config == again.config and third.provenance == {**again.provenance, "licence": "mit"}
    export(Export(checkpoint=tmp_path / "more", to=tmp_path / "last"))
    assert store.load(tmp_path / "last").provenance["licence"] == "mit"


def test_the_command(pickled, tmp_path, capsys):
    assert main(["gcm", "export", str(pickled), "--to", "out", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["folder"] == "out" and said["parameters"] == store.count(store.load("out").params)
    assert (
        said["files"] == ["README.md", "config.gin", "config.json", "model.safetensors"] and len(said["sha256"]) == 64
    )
    assert main(["gcm", "export", str(pickled), "--to", "out"]) == 2
    assert "exists and is not an empty folder" in capsys.readouterr().err


class Hostile:
    def __reduce__(self):
        return os.system, ("touch hit",)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (pickle.dumps({"params": Hostile()}), "posix.system"),
        (pickle.dumps({"params": {}}), "lacks model_config_str, aux_ds_dict"),
        (b"\x80\x04no", "no whole pickle"),
        (b"", "no whole pickle"),
    ],
)
def test_bad_files_end_with_3_and_leave_nothing(data, named, tmp_path, capsys):
    (tmp_path / "bad.pkl").write_bytes(data)
    assert main(["gcm", "export", "bad.pkl", "--to", "out"]) == 3
    error = capsys.readouterr().err
    assert "bad.pkl" in error and named in error and "Traceback" not in error
    assert os.listdir(tmp_path) == ["bad.pkl"]


def test_a_missing_file_ends_with_3(capsys):
    assert main(["gcm", "export", "gone.pkl", "--to", "out"]) == 3
    assert "cannot read gone.pkl" in capsys.readouterr().err


def test_no_file_ends_with_2(capsys):
    assert main(["gcm", "export"]) == 2
    assert "sciml gcm export FILE.pkl" in capsys.readouterr().err


def test_the_target_is_checked_before_the_file_is_read(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/file").touch()
    with pytest.raises(SettingsError):
        export(Export(checkpoint=tmp_path / "gone.pkl", to=tmp_path / "out"))
