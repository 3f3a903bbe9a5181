"""Checkpoints on disk: a folder holds what the pickle held, bit for bit; damaged ones are named."""

import dataclasses
import json
import os
import pickle

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural.checkpoint import original, store
from sciml.pipelines.gcm.neural.checkpoint.store import count, leaves, load, save


def same(one, other):
    ours, theirs = dict(leaves(one.params)), dict(leaves(other.params))
    assert ours.keys() == theirs.keys()
    assert all(ours[path].tobytes() == theirs[path].tobytes() for path in ours)
    assert all(ours[path].dtype == theirs[path].dtype for path in ours)
    for name in ("longitude", "latitude", "level"):
        assert getattr(one.aux, name).tobytes() == getattr(other.aux, name).tobytes()
    for name, field in one.aux.fields.items():
        assert field.dtype == other.aux.fields[name].dtype and np.array_equal(field, other.aux.fields[name])
    return one.config == other.config


def test_the_mini_checkpoint_is_converted_bit_for_bit(mini_path, tmp_path):
    given = load(mini_path)
    save(given, tmp_path / "mini")
    again = load(tmp_path / "mini")
    assert same(given, again) and count(again.params) == 191_174
    assert again.text == given.text and again.provenance == given.provenance
    assert sorted(os.listdir(tmp_path)) == ["mini"]
    assert sorted(os.listdir(tmp_path / "mini")) == ["README.md", "config.gin", "config.json", "model.safetensors"]
    header = json.loads((tmp_path / "mini/config.json").read_text())
    assert header["provenance"]["source"] == "tl63_stochastic_mini.pkl" and len(header["provenance"]["sha256"]) == 64
    assert "CC BY-SA 4.0" in (tmp_path / "mini/README.md").read_text()


@pytest.fixture
def made(make, tmp_path):
    """A small model as pickle, folder and object."""
    checkpoint = make.checkpoint("neuralgcm-1.4")
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(original.to_checkpoint(checkpoint)))
    save(checkpoint, tmp_path / "model")
    return checkpoint, path, tmp_path / "model"


def test_pickle_and_folder_hold_the_same(made):
    checkpoint, path, folder = made
    of_pickle, of_folder = load(path), load(folder)
    assert same(of_pickle, checkpoint) and same(of_folder, checkpoint)
    assert of_pickle.provenance["source"] == "model.pkl" and of_folder.provenance == checkpoint.provenance
    assert all(value.dtype == np.float32 for _, value in leaves(of_folder.params))


def rewritten(path, change):
    given = pickle.loads(path.read_bytes())
    change(given)
    path.write_bytes(pickle.dumps(given))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda given: given.pop("params"), "lacks params; it holds model_config_str, aux_ds_dict"),
        (lambda given: given.update(model_config_str=3), "model_config_str is int, wanted text"),
        (lambda given: given.update(model_config_str=given["model_config_str"] + "Newer.thing = 3\n"), 'unknown "Newer.thing"'),
        (lambda given: given.update(aux_ds_dict=None), "aux_ds_dict is not the dict form"),
        (lambda given: given["aux_ds_dict"]["data_vars"].pop("land_sea_mask"), "lack land_sea_mask"),
        (lambda given: given["params"].popitem(), "lacks the weight"),
        (lambda given: given["params"].update({"more": {"w": np.zeros(1, "f4")}}), 'holds the weight "w" of more'),
        (lambda given: given["aux_ds_dict"]["coords"]["longitude"].update(data=np.arange(64.0)), "longitude of the fixed"),
    ],
)  # fmt: skip
def test_a_wrong_pickle_is_named(change, message, made):
    path = rewritten(made[1], change)
    with pytest.raises(DataError) as error:
        load(path)
    assert str(path) in str(error.value) and message in str(error.value), error.value


def test_a_pickle_of_something_else_is_named(tmp_path):
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(
        DataError, match="holds a list; a checkpoint is a dict of model_config_str, aux_ds_dict, params"
    ):
        load(tmp_path / "list.pkl")


def change_json(folder, change):
    path = folder / "config.json"
    header = json.loads(path.read_text())
    change(header)
    path.write_text(json.dumps(header))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "cannot read .*config.json"),
        (lambda f: (f / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "holds no object"),
        (lambda f: change_json(f, lambda h: h.update(format="neuralgcm-2")), "format 'neuralgcm-2'; accepted: neuralgcm-1"),
        (lambda f: change_json(f, lambda h: h.pop("provenance")), "lacks its provenance"),
        (lambda f: change_json(f, lambda h: h["model"].pop("scale")), "ModelConfig lacks scale"),
        (lambda f: change_json(f, lambda h: h["model"]["step"].update(substeps="2")), "Step.substeps is '2'"),
        (lambda f: change_json(f, lambda h: h["model"]["step"]["physics"]["mapping"]["tower"].update(process_blocks=2)),
         'lacks the weight "physics/tower/process_1'),
        (lambda f: change_json(f, lambda h: h["model"]["step"]["physics"]["mapping"]["tower"].update(latent_size=6)),
         "has shape .* the settings want"),
        (lambda f: (f / "model.safetensors").unlink(), "no such checkpoint"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-9]), "not a whole"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "not a whole"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_named(damage, message, made):
    damage(made[2])
    with pytest.raises(DataError, match=message):
        load(made[2])


def test_idle_weights_are_named(made, monkeypatch):
    checkpoint, _, folder = made
    more = {**checkpoint.params, "more": {"kernel": np.zeros(1, np.float32)}}
    save(dataclasses.replace(checkpoint, params=more), folder.with_name("more"))
    with pytest.raises(DataError, match="no use for: more/kernel"):
        load(folder.with_name("more"))


def test_nothing_is_overwritten_or_half_written(made, tmp_path, monkeypatch):
    checkpoint, path, folder = made
    with pytest.raises(SettingsError, match="exists and is not an empty folder"):
        save(checkpoint, folder)
    with pytest.raises(SettingsError, match="exists"):
        save(checkpoint, path)
    (tmp_path / "empty").mkdir()
    save(checkpoint, tmp_path / "empty")
    assert same(load(tmp_path / "empty"), checkpoint)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "replace", fail)
    with pytest.raises(DataError, match="No space left"):
        save(checkpoint, tmp_path / "full")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "model", "model.pkl"]
