"""Devices by name, and 64-bit arithmetic only while it is wanted."""

import jax
import jax.numpy as jnp
import pytest

from sciml.pipelines.errors import DeviceError, SettingsError
from sciml.pipelines.gcm.devices import arithmetic, choose_devices
from sciml.pipelines.progress import Progress


class Said(Progress):
    def __init__(self):
        self.notes, self.warnings = [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)


def test_the_choice_is_said():
    said = Said()
    assert choose_devices("cpu", 1, said)[0].platform == "cpu"
    assert said.notes == [f"device cpu:0, jax {jax.__version__}"]
    assert choose_devices("auto", 1, said) == jax.local_devices()[:1]


@pytest.mark.parametrize("name", ["gpu0", "cuda:x", "cpu:", "", "cuda:-1"])
def test_words_that_are_no_device(name):
    with pytest.raises(SettingsError, match="expected auto, cpu"):
        choose_devices(name, 1, Progress())


@pytest.mark.parametrize("name", ["tpu", "cpu:99"])
def test_devices_that_are_missing(name):
    if name == "tpu" and jax.default_backend() == "tpu":
        pytest.skip("there is one here")
    with pytest.raises(DeviceError, match=name):
        choose_devices(name, 1, Progress())


def test_more_devices_than_there_are():
    with pytest.raises(DeviceError, match="--devices 99: there are"):
        choose_devices("cpu", 99, Progress())


def test_double_precision_ends_with_the_block():
    said, cpu = Said(), jax.local_devices(backend="cpu")[0]
    before = jax.config.jax_enable_x64
    with arithmetic("float64", cpu, said):
        assert jnp.ones(2, "float64").dtype == "float64"
    assert jax.config.jax_enable_x64 == before and said.warnings == []
    with arithmetic("TF32", cpu, said):
        pass
    assert "TF32" in said.warnings[0]
