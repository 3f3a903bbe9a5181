"""`sciml bench kd`: one training epoch of ours beside the same network elsewhere, interleaved in one run.

    ours          Windows.batches + Student + Trainer's own step
    loader        torch DataLoader over a Dataset of windows, nn.LSTM encoder and decoder, Adam: what people write first
    bare          nn.LSTM (oneDNN on a CPU, cuDNN on a GPU) over tensors that are already cut and shuffled: the floor without data handling
    neuralforecast  its LSTM with the same sizes, by the difference of two step counts; only where it is installed, on a CPU.
                    Its decoder is a dense network: it runs `history` LSTM steps, the others `history` + `horizon`

Figures are medians and 20/80 percentiles of CPU time on one thread (wall time on a GPU) per training step, and ratios to ours.
"""

from __future__ import annotations

import importlib.util
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sciml.pipelines.compute import devices
from sciml.pipelines.compute.devices import choose_device
from sciml.pipelines.progress import Progress

from .settings import Bench, Fit
from .student import Shape
from .train import Hooks, Job, Stage, Trainer
from .windows import Windows

CASES = ((14, 1), (36, 24))


class _Plain(nn.Module):
    """The same network as `lstm_ae`, as one would write it: batch first, nn.LSTM twice, a linear head."""

    def __init__(self, channels: int, hidden: int, horizon: int):
        super().__init__()
        self.horizon = horizon
        self.encoder = nn.LSTM(channels, hidden, 2, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, 2, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, (h, _) = self.encoder(x)
        states, _ = self.decoder(h[-1].unsqueeze(1).expand(-1, self.horizon, -1))
        return self.head(states)


class _Rows(torch.utils.data.Dataset):
    """Windows cut one by one in Python."""

    def __init__(self, series: np.ndarray, history: int, horizon: int, count: int):
        self.series, self.history, self.horizon, self.count = series, history, horizon, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int):
        past = self.series[i : i + self.history]
        future = self.series[i + self.history : i + self.history + self.horizon, :1]
        return torch.from_numpy(past), torch.from_numpy(future)


def _series(length: int, channels: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(length, channels)).astype(np.float32)


def _ours(bench: Bench, history: int, horizon: int) -> Callable[[], None]:
    series = torch.from_numpy(_series(bench.windows + history + horizon))
    row = torch.arange(bench.windows)
    target = series[:, 0].unfold(0, horizon, 1)[history : history + bench.windows].unsqueeze(2).contiguous()
    windows = Windows(
        series[:, :2].contiguous(), series[:, 2:].contiguous(), torch.zeros(1, 0), history, row, row, torch.zeros_like(row),
        target, torch.ones_like(target), target, torch.ones_like(target),
    ).to(bench.device)  # fmt: skip
    settings = Fit(teacher=Path("-"), batch_size=bench.batch_size)
    shape = Shape("lstm_ae", windows.channels, history, horizon, 1, bench.hidden)
    stage = Stage("fit", "none", windows, 10**9)
    trainer = Trainer(Job("alone", 0, shape, (stage,), windows, windows, (1.0,)), settings, Hooks(), bench.device)

    def epoch() -> None:
        trainer._one_epoch(stage)
        trainer.state.epoch, trainer.state.step = trainer.state.epoch + 1, 0

    return epoch


def _loader(bench: Bench, history: int, horizon: int) -> Callable[[], None]:
    data = _Rows(_series(bench.windows + history + horizon), history, horizon, bench.windows)
    loader = torch.utils.data.DataLoader(data, batch_size=bench.batch_size, shuffle=True)
    model = _Plain(6, bench.hidden, horizon).to(bench.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> None:
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x.to(bench.device)) - y.to(bench.device)) ** 2).mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return epoch


def _bare(bench: Bench, history: int, horizon: int) -> Callable[[], None]:
    model = _Plain(6, bench.hidden, horizon).to(bench.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    count = bench.windows // bench.batch_size
    x = torch.randn(count, bench.batch_size, history, 6, device=bench.device)
    y = torch.randn(count, bench.batch_size, horizon, 1, device=bench.device)

    def epoch() -> None:
        for past, future in zip(x, y, strict=True):
            optimizer.zero_grad()
            ((model(past) - future) ** 2).mean().backward()
            optimizer.step()

    return epoch


def _clock(device: str) -> Callable[[], float]:
    if device == "cpu":
        return time.process_time

    def wall() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return wall


def _neuralforecast(bench: Bench, history: int, horizon: int) -> Callable[[], float]:
    """Measures CPU seconds per step of neuralforecast's LSTM, from two runs of different length: set-up cancels."""
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.models import LSTM

    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    length = bench.windows + history + horizon
    columns = {
        "unique_id": "a",
        "ds": pd.date_range("2000-01-01", periods=length, freq="D"),
        "y": _series(length)[:, 0],
    }
    frame = pd.DataFrame(columns | {f"x{n}": _series(length)[:, n] for n in range(1, 6)})

    def run(steps: int) -> float:
        model = LSTM(
            h=horizon, input_size=history, encoder_n_layers=2, encoder_hidden_size=bench.hidden, decoder_hidden_size=bench.hidden,
            decoder_layers=2, hist_exog_list=[f"x{n}" for n in range(1, 6)], max_steps=steps, windows_batch_size=bench.batch_size,
            batch_size=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, recurrent=False, val_check_steps=10**6, random_seed=1,
        )  # fmt: skip
        begin = time.process_time()
        NeuralForecast([model], freq="D").fit(frame)
        return time.process_time() - begin

    def seconds(short: int = 10, long: int = 70) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            few = run(short)
            return (run(long) - few) / (long - short)

    return seconds


def measure(bench: Bench, progress: Progress | None = None) -> list[dict]:
    """One row per case and implementation: milliseconds per step (median, p20, p80), windows/s, ratio to ours.

    Raises:
        SettingsError, DeviceError: the device is unknown or not there.
    """
    progress = progress or Progress()
    windows = max(bench.windows // bench.batch_size, 1) * bench.batch_size
    bench = replace(bench, windows=windows, device=choose_device(bench.device, progress.note))
    if bench.peers and bench.device == "cpu" and not _has_peer():
        progress.note("neuralforecast is not installed here: pip install 'sciml[oracles]' adds it to the table")
    cases = CASES if bench.history is None else ((bench.history, bench.horizon),)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        return [row for case in cases for row in _rows(_times(bench, *case, progress), bench, *case)]
    finally:  # the caller's process is not ours
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)


def _has_peer() -> bool:
    return importlib.util.find_spec("neuralforecast") is not None


def _times(bench: Bench, history: int, horizon: int, progress: Progress) -> dict[str, list[float]]:
    """Milliseconds per step of every implementation, once per round, all of them in turn."""
    steps, clock = bench.windows // bench.batch_size, _clock(bench.device)

    def timed(epoch: Callable[[], None]) -> Callable[[], float]:
        def seconds() -> float:
            begin = clock()
            epoch()
            return (clock() - begin) / steps

        return seconds

    makers = {"ours": _ours, "loader": _loader, "bare": _bare}
    seconds = {name: timed(make(bench, history, horizon)) for name, make in makers.items()}
    if bench.peers and bench.device == "cpu" and _has_peer():
        seconds["neuralforecast"] = _neuralforecast(bench, history, horizon)
    times: dict[str, list[float]] = {name: [] for name in seconds}
    with progress.task(f"{history} -> {horizon}", (bench.repeats + 1) * len(seconds), "runs") as task:
        for repeat in range(bench.repeats + 1):
            for name, once in seconds.items():
                value = once()
                if repeat:  # the first round warms caches
                    times[name].append(value * 1e3)
                task.advance()
    return times


def _rows(times: dict[str, list[float]], bench: Bench, history: int, horizon: int) -> list[dict]:
    own = float(np.median(times["ours"]))
    return [
        {
            "case": f"{history} -> {horizon}", "device": bench.device, "implementation": name, "ms_per_step": float(np.median(values)),
            "p20": float(np.percentile(values, 20)), "p80": float(np.percentile(values, 80)),
            "windows_per_second": bench.batch_size / float(np.median(values)) * 1e3, "ratio_to_ours": float(np.median(values)) / own,
        }
        for name, values in times.items()
    ]  # fmt: skip


def machine(device: str = "cpu") -> dict:
    """What the figures were measured on."""
    return devices.machine(device) | {"threads": 1}
