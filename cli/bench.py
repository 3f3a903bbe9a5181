"""`sciml bench`: measure the parts that must be fast, beside their peers in the same run."""

from typing import Any

from sciml.cli.options import Invocation, add_command, new_group
from sciml.pipelines.kd.settings import Bench

app = new_group("Measure speed beside peers, in one run.")


def _kd(settings: Bench, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.kd.bench import machine, measure

    console = invocation.console
    rows = measure(settings, console)
    where = machine(rows[0]["device"])
    console.emit({"machine": where, "rows": rows})
    columns = ("past -> leads", "implementation", "ms per step", "p20 to p80", "windows/s", "ratio to ours")
    cells = [
        (r["case"], r["implementation"], f"{r['ms_per_step']:.2f}", f"{r['p20']:.2f} to {r['p80']:.2f}",
         f"{r['windows_per_second']:,.0f}", f"{r['ratio_to_ours']:.2f}")
        for r in rows
    ]  # fmt: skip
    clock = "CPU" if rows[0]["device"] == "cpu" else "Wall"
    sizes = f"batch {settings.batch_size}, hidden {settings.hidden}"
    console.table(columns, cells, title=f"{clock} time of one training step, {sizes}")
    load = "unknown" if where["load"] is None else f"{where['load']:.1f}"
    place = f"{where['device']}, {where['processors']} processors"
    console.result(f"torch {where['torch']}, {place}, load {load}, {where['threads']} thread")


add_command(
    app, "kd", Bench, _kd,
    help="One training step of the student: ours, a DataLoader loop, bare nn.LSTM, neuralforecast.",
    examples=["sciml bench kd", "sciml bench kd --history 36 --horizon 24 --batch-size 128 --json"],
)  # fmt: skip
