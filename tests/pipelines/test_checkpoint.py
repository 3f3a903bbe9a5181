"""Tensor files keep dtype, shape and header; a write is whole or absent."""

import json
from pathlib import Path

import numpy as np
import pytest

from sciml.pipelines.checkpoint import load_tensors, plain, save_tensors, scalar, write_atomic
from sciml.pipelines.errors import DataError


def test_tensors_of_any_layout_read_back(tmp_path):
    base = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    tensors = {"transposed": base.transpose(2, 0, 1), "strided": base[:, ::2], "scalar": np.float32(1.5)}
    save_tensors(tmp_path / "x.safetensors", tensors, {"epoch": 3})
    read, header = load_tensors(tmp_path / "x.safetensors")
    assert header == {"epoch": 3}
    for name, value in tensors.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].shape == value.shape


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent.safetensors: no such checkpoint"):
        load_tensors(tmp_path / "absent.safetensors")


def test_a_header_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(TypeError, match="cannot write a object as JSON"):
        save_tensors(tmp_path / "x.safetensors", {"w": np.ones(1)}, {"model": object()})
    assert list(tmp_path.iterdir()) == []


def test_write_atomic_replaces_and_leaves_nothing_else(tmp_path):
    write_atomic(tmp_path / "a.json", b"old")
    write_atomic(tmp_path / "a.json", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.json", b"new")]
    with pytest.raises(DataError, match="cannot write"):
        write_atomic(tmp_path / "gone" / "a.json", b"x")


def test_plain_says_only_what_json_can():
    value = {"a": np.float64("nan"), "b": [np.int32(2), float("-inf")], "c": np.array([1.0, np.nan]), 4: Path("p")}
    assert plain(value) == {"a": None, "b": [2, None], "c": [1.0, None], "4": "p"}
    json.dumps(plain(value), allow_nan=False)
    assert scalar(np.float32(2)) == 2.0
