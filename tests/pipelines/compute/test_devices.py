"""Devices are chosen by name, and a missing one fails with words."""

from pathlib import Path

import pytest
import torch

from sciml.pipelines.compute.devices import choose_device, machine
from sciml.pipelines.errors import DeviceError, SettingsError


def test_devices():
    said = []
    assert choose_device("cpu", said.append) == "cpu" == choose_device("cpu")
    assert said == [f"device cpu, torch {torch.__version__}"]
    with pytest.raises(SettingsError, match="expected auto, cpu"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="sees no CUDA device"):
            choose_device("cuda")


def test_the_machine_is_named(monkeypatch):
    found = machine("cpu")
    assert found["device"] == "cpu" and found["torch"] == torch.__version__ and found["processor"]

    def absent(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", absent)  # as on a system without /proc
    assert isinstance(machine("cpu")["processor"], str)
