"""`sciml bench`: measure the parts that must be fast, beside their peers in the same run."""

from typing import Any

from sciml.cli.options import Invocation, add_command, new_group
from sciml.pipelines.galaxy.bench_settings import BenchGalaxy
from sciml.pipelines.gcm.bench_settings import BenchDycore, BenchNeural, BenchSphere
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
    place = f"{where['device']}, {where['processors']} processors"
    console.result(f"torch {where['torch']}, {place}, load {_load(where)}, {where['threads']} thread")


add_command(
    app, "kd", Bench, _kd,
    help="One training step of the student: ours, a DataLoader loop, bare nn.LSTM, neuralforecast.",
    examples=["sciml bench kd", "sciml bench kd --history 36 --horizon 24 --batch-size 128 --json"],
)  # fmt: skip


def _emit(
    invocation: Invocation, rows: list[dict[str, Any]], laws: list[dict[str, Any]], where: dict[str, Any],
    title: str, names: tuple[str, ...],
) -> None:  # fmt: skip
    """JSON, or a table of the columns `names`, a table of the laws, and a line about the machine."""
    console = invocation.console
    console.emit({"machine": where, "rows": rows, "laws": laws})
    _table(console, rows, names, title)
    if laws:
        cells = [(r["law"], r["case"], r["what"], _cell(r["value"]), r["unit"], _range(r), _kept(r)) for r in laws]
        console.table(("law", "case", "what", "measured", "unit", "limits", ""), cells, title="What must hold")
    words = "; ratio above 1: ours is faster" if rows else ""
    console.result(f"jax {where['jax']}, {where['device']}, {where['cores']} cores, load {_load(where)}{words}")


def _table(console: Any, rows: list[dict[str, Any]], names: tuple[str, ...], title: str) -> None:
    """The columns `names` of the rows; nothing without rows."""
    if rows:
        cells = [tuple(_cell(row[name]) for name in names) for row in rows]
        console.table(tuple(name.replace("_", " ") for name in names), cells, title=title)


def _load(where: dict[str, Any]) -> str:
    return "unknown" if where["load"] is None else f"{where['load']:.1f}"


def _range(row: dict[str, Any]) -> str:
    return f"<= {row['most']:g}" if row["least"] == 0 else f"{row['least']:g} to {row['most']:g}"


def _kept(row: dict[str, Any]) -> str:
    return "ok" if row["kept"] else "BROKEN"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _command(name: str, given: dict[str, Any]) -> str:
    shown = {k: ",".join(map(str, v)) if isinstance(v, tuple | list) else v for k, v in given.items() if k != "csv"}
    return f"sciml bench {name} " + " ".join(f"--{k.replace('_', '-')} {v}" for k, v in shown.items())


def _sphere(settings: BenchSphere, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.kernels.sphere import laws
    from sciml.kernels.sphere.bench import machine, measure
    from sciml.kernels.sphere.grids import truncation
    from sciml.pipelines.errors import SettingsError
    from sciml.pipelines.measurements import write_csv

    try:
        rows: list[dict[str, Any]] = []
        for name in settings.cases:
            truncation(name)  # before a minute of work
        kept = list(laws.measure()) if settings.laws else []
        for row in measure(settings.cases, settings.columns, settings.repeats, settings.peers):
            rows.append(row)
            invocation.console.note(
                f"{row['case']} x {row['columns']}, {row['implementation']}, {row['clock']}: {row['ms']:.3g} ms"
            )
    except ValueError as error:
        raise SettingsError(f"--cases: {error}") from None
    if settings.csv is not None:
        write_csv(settings.csv, rows, _command("sphere", given), machine())
    names = (
        "case",
        "columns",
        "implementation",
        "clock",
        "ms",
        "p20",
        "p80",
        "ratio_to_ours",
        "dense_gflops",
        "share_of_peak",
        "error",
    )
    _emit(invocation, rows, kept, machine(), "One synthesis and one analysis", names)


def _dycore(settings: BenchDycore, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.gcm.bench import laws
    from sciml.pipelines.gcm.bench.speed import machine, measure
    from sciml.pipelines.measurements import write_csv

    kept = list(laws.measure(settings.chosen_laws, progress=invocation.console))
    cases = tuple(name for name in settings.cases if name != "none")
    rows = list(measure(cases, settings.repeats, settings.peers, invocation.console))
    if settings.csv is not None and rows:
        write_csv(settings.csv, rows, _command("dycore", given), machine())
    names = (
        "case",
        "what",
        "implementation",
        "clock",
        "ms_per_step",
        "p20",
        "p80",
        "ratio_to_ours",
        "first_call_s",
        "peak_memory_GB",
        "difference",
    )
    _emit(invocation, rows, kept, machine(), "One step, and one step of the gradient of ten", names)


def _neural(settings: BenchNeural, given: dict[str, Any], invocation: Invocation) -> None:
    if settings.parity:
        _parity(settings, given, invocation)
        return
    from sciml.pipelines.gcm.bench.neural import machine, measure
    from sciml.pipelines.measurements import write_csv

    rows = list(
        measure(
            settings.checkpoint, settings.hours, settings.repeats, settings.members, settings.peers, settings.alone,
            invocation.console,
        )
    )  # fmt: skip
    if settings.csv is not None:
        write_csv(settings.csv, rows, _command("neural", given), machine())
    names = (
        "checkpoint",
        "implementation",
        "clock",
        "s_per_hour",
        "p20",
        "p80",
        "ratio_to_ours",
        "first_call_s",
        "peak_memory_GB",
        "difference",
    )
    _emit(invocation, rows, [], machine(), "One simulated hour of one member", names)


def _parity(settings: BenchNeural, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.gcm.bench.neural import machine
    from sciml.pipelines.gcm.bench.neural_parity import measure, merged
    from sciml.pipelines.measurements import write_csv

    file = given.get("checkpoint")
    command = _command("neural", given | ({"checkpoint": file.name} if file else {}))
    if settings.csv is not None:
        merged(settings.csv, [])  # before minutes of work
    rows = list(measure(settings.checkpoint, settings.parity, settings.seed, command, invocation.console))
    if settings.csv is not None:
        write_csv(settings.csv, merged(settings.csv, rows), "sciml bench neural --parity HOURS", machine())
    names = ("model", "seed", "time_h", "variable", "relative_l2", "tolerance")
    invocation.console.emit({"machine": machine(), "rows": rows})
    _table(invocation.console, rows, names, "Decoded fields beside the original package's")
    far = [row for row in rows if not row["relative_l2"] <= row["tolerance"]]
    over = [f"{row['variable']} at {row['time_h']} h" for row in far]
    invocation.console.result(f"beyond the tolerance: {', '.join(over)}" if over else "all within their tolerances")


def _galaxy(settings: BenchGalaxy, given: dict[str, Any], invocation: Invocation) -> None:
    from sciml.pipelines.compute.devices import machine
    from sciml.pipelines.galaxy.bench.parts import SHOWN, measure
    from sciml.pipelines.measurements import write_csv

    console = invocation.console
    found: dict[str, list[dict[str, Any]]] = {}
    for part in settings.parts:
        found[part] = list(measure(part, settings, console))
        path = settings.file_of(part)
        if path is not None and found[part]:
            write_csv(path, found[part], _command("galaxy", given), machine(settings.device))
    where = machine(settings.device)
    console.emit({"machine": where, **found})
    for part, rows in found.items():
        _table(console, rows, SHOWN[part].columns, SHOWN[part].title)
    console.result(f"torch {where['torch']}, {where['device']}, {where['processors']} processors, load {_load(where)}")


add_command(
    app, "sphere", BenchSphere, _sphere,
    help="Spherical-harmonic transform pair: ours, dinosaur's two classes, shtns; and what must hold.",
    examples=["sciml bench sphere", "sciml bench sphere --cases TL127 --columns 192 --json"],
)  # fmt: skip
add_command(
    app, "dycore", BenchDycore, _dycore,
    help="A step of the dynamical core and its gradient: ours and dinosaur's; and what must hold.",
    examples=["sciml bench dycore", "sciml bench dycore --cases moist --csv dycore.csv",
              "sciml bench dycore --cases none --laws all --json"],
)  # fmt: skip
add_command(
    app, "neural", BenchNeural, _neural,
    help="A simulated hour of a NeuralGCM checkpoint: ours, an ensemble of ours, and the original package's.",
    examples=["sciml bench neural", "sciml bench neural --checkpoint deterministic_2_8_deg.pkl --hours 1 --csv neural.csv",
              "sciml bench neural --parity 0,1,24 --csv neural_parity.csv"],
)  # fmt: skip
add_command(
    app, "galaxy", BenchGalaxy, _galaxy,
    help="Images per second of our training loop and of a DataLoader loop with the same timm network; our morphology and statmorph's; "
    "spectra beside their catalogue, what nuisance knows, forests on the same folds.",
    examples=["sciml bench galaxy", "sciml bench galaxy --parts throughput --backbones resnet18 --images cutouts --json",
              "sciml bench galaxy --parts parity,spectra --data galaxies --csv checked.csv",
              "sciml bench galaxy --parts forest --table table.csv --label Phase"],
)  # fmt: skip
