"""The device a run computes on, and the arithmetic JAX uses while it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from sciml.pipelines.errors import DeviceError, SettingsError
from sciml.pipelines.progress import Progress

_KINDS = ("cpu", "cuda", "gpu", "rocm", "tpu")


def choose_devices(name: str, count: int, progress: Progress) -> list[Any]:
    """`count` JAX devices from the one named auto, cpu, cuda, cuda:N, gpu, rocm or tpu on.

    Raises SettingsError for another word and DeviceError for a device that is missing, before any data is read.
    """
    kind, _, number = name.partition(":")
    if name != "auto" and (kind not in _KINDS or (number and not number.isdigit()) or name.endswith(":")):
        raise SettingsError(f'--device "{name}": expected auto, cpu, cuda, cuda:N or tpu')
    try:
        found = jax.local_devices() if name == "auto" else jax.local_devices(backend=kind)
    except RuntimeError:
        there = ", ".join(sorted({device.platform for device in jax.local_devices()}))
        raise DeviceError(
            f"--device {name}: jax {jax.__version__} sees no such device, but {there}",
            hint="use --device auto; `sciml doctor` says what is there. For CUDA: pip install 'sciml[cuda]'",
        ) from None
    if int(number or 0) >= len(found):
        raise DeviceError(f"--device {name}: there are {len(found)} {kind} devices, numbered from 0")
    first = int(number or 0)
    chosen = found[first : first + count]
    if len(chosen) < count:
        raise DeviceError(
            f"--devices {count}: there are {len(found) - first} from {kind}:{first} on",
            hint="CPU cores count as one device; XLA_FLAGS=--xla_force_host_platform_device_count=8 makes eight of them",
        )
    device = chosen[0]
    kind = getattr(device, "device_kind", "")
    about = f" ({kind})" if kind and kind.lower() != device.platform.lower() else ""
    several = f" and {count - 1} more" if count > 1 else ""
    progress.note(f"device {device.platform}:{device.id}{several}{about}, jax {jax.__version__}")
    return chosen


@contextmanager
def arithmetic(precision: str, device: Any, progress: Progress) -> Iterator[None]:
    """Compute on `device`, with 64-bit types where the precision asks for them; the caller's settings come back after."""
    if precision == "TF32":
        progress.warn(
            "--precision TF32 keeps 10 bits of each factor: errors near 1e-3 in every transform; for speed tests only"
        )
    # set for all threads, as a `with jax.default_device` would not
    wanted = {"jax_enable_x64": precision == "float64", "jax_default_device": device}
    before = {name: getattr(jax.config, name) for name in wanted}
    try:
        for name, value in wanted.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
