"""The device a torch pipeline runs on, chosen by name."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sciml.pipelines.errors import DeviceError, SettingsError


def choose_device(name: str, say: Callable[[str], object] = lambda text: None) -> str:
    """The device in torch's words; an explicit one that is missing fails here, before any data is read.

    Args:
        name: auto, cpu, cuda or cuda:N; under torchrun cuda is the process's own.
        say: told what was chosen.

    Raises:
        SettingsError: another name. DeviceError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not (number.isdigit() and kind == "cuda")):
        raise SettingsError(f'--device "{name}": expected auto, cpu, cuda or cuda:N')
    if kind == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"--device {name}: torch {torch.__version__} sees no CUDA device",
            hint="use --device cpu; `sciml doctor` says what is there",
        )
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, numbered from 0")
    if kind == "cuda" and "LOCAL_RANK" in os.environ and not number:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    say(f"device {name}, torch {torch.__version__}")
    return name


def machine(device: str = "cpu") -> dict[str, Any]:
    """What figures are measured on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"
    return {
        "torch": torch.__version__,
        "device": name,
        "processor": _processor(),
        "processors": os.cpu_count(),
        "load": load,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
