"""`sciml galaxy data` and `sciml galaxy audit`: what the files hold, and one packed file that trains fast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sciml.pipelines.checkpoint import plain, write_atomic
from sciml.pipelines.compute.threads import convolutions, probe, using
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.progress import Progress

from . import packed
from .audit import AuditResult, audit
from .catalog import Catalog
from .gather import gather_in_threads
from .measured import with_measurements
from .settings import Audit, Data, reading


def prepare(settings: Data, progress: Progress) -> dict:
    """What was found and written, as plain values."""
    if settings.merger_history:
        return _label_histories(settings, progress)
    if settings.simulate is not None:
        return _simulate(settings, progress)
    made = gather_in_threads(settings, progress)
    found = describe(made.catalog) | {"notes": made.lines(), "columns": column_rows(made.catalog, made.roles)}
    if settings.pack is not None:
        packed.write(
            settings.pack, made.catalog, store=settings.store, overwrite=settings.overwrite, progress=progress,
            reading=reading(settings),
        )  # fmt: skip
        found["packed"] = str(settings.pack)
        found["next"] = f"sciml galaxy train --images {settings.pack}"
    return found


def describe(catalog: Catalog) -> dict:
    """Sizes of a catalog."""
    found: dict = {"objects": len(catalog)}
    if catalog.labels is not None:
        found["classes"] = catalog.counts()
    if catalog.images is not None:
        n_bands, height, width = catalog.images.shape
        found["images"] = f"{int(catalog.images.present.sum()):,} of {height} x {width} px in {', '.join(catalog.images.bands) or n_bands}"
    found["inputs"] = len(catalog.table.columns)
    if catalog.groups is not None:
        found["groups"] = len(np.unique(catalog.groups))
    return found


def column_rows(catalog: Catalog, roles: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """(column, role, share missing, median or number of values) of every column."""
    rows = []
    frames = {**{n: catalog.table[n] for n in catalog.table}, **{n: catalog.nuisance[n] for n in catalog.nuisance},
              **{n: catalog.withheld[n] for n in catalog.withheld}}  # fmt: skip
    for name in roles or dict.fromkeys(frames, "input"):
        cells, role = frames.get(name), roles.get(name, "input")
        if cells is None:
            rows.append((name, role, "", ""))
            continue
        missing = f"{cells.isna().mean():.0%}" if cells.isna().any() else ""
        numeric = not isinstance(cells.dtype, pd.CategoricalDtype) and cells.dtype.kind in "iufb"
        rows.append((name, role, missing, f"{cells.median():.4g}" if numeric else f"{cells.nunique()} values"))
    return rows


def _simulate(settings: Data, progress: Progress) -> dict:
    from .simulator.simulate import simulate

    if settings.pack is None:
        raise SettingsError("--simulate needs a file to write", hint="add --pack simulated.h5")
    if settings.pack.exists() and not settings.overwrite:
        raise DataError(f"{settings.pack} exists already", hint="choose another name, or add --overwrite")
    with using(probe(convolutions())), progress.task("simulate", settings.simulate, "galaxies") as task:
        catalog = simulate(
            settings.simulate, settings.seed, settings.image_size or 64, settings.bands or ("g", "r", "i"), progress=task.advance
        )
        if settings.measure:
            catalog, _ = with_measurements(catalog, progress)
    packed.write(settings.pack, catalog, store=settings.store, overwrite=settings.overwrite, progress=progress)
    return describe(catalog) | {"packed": str(settings.pack), "next": f"sciml galaxy train --images {settings.pack}"}


def _label_histories(settings: Data, progress: Progress) -> dict:
    from sciml.pipelines.readers.illustris import Windows, merger_history

    windows = Windows(settings.pre_gyr, settings.post_gyr, settings.clean_gyr)
    frames, notes = [], []
    for path in settings.merger_history:
        frame = merger_history(path, settings.snapshot, windows=windows, minor=settings.minor)
        notes += [f"{path.name}: {note}" for note in frame.attrs.get("sciml_notes", [])]
        frames.append(frame[frame["label"] != ""])
    table = pd.concat(frames)
    if settings.to.exists() and not settings.overwrite:
        raise DataError(f"{settings.to} exists already", hint="choose another --to, or add --overwrite")
    try:
        write_atomic(settings.to, table.to_csv().encode())
    except OSError as error:
        raise DataError(f"{settings.to}: cannot be written: {error.strerror or error}", hint="give another --to") from None
    counts = {str(name): int(count) for name, count in table["label"].value_counts().items()}
    return {"labels": str(settings.to), "galaxies": len(table), "classes": counts, "notes": notes}


def run_audit(settings: Audit, progress: Progress) -> AuditResult:
    """Audit files, and write audit.json where --out is given."""
    made = gather_in_threads(settings, progress)
    for line in made.lines():
        progress.note(line)
    result = audit(made.catalog, settings, progress=progress)
    if settings.out is not None:
        import json

        try:
            settings.out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(plain(result.to_dict()), indent=1, ensure_ascii=False)
            write_atomic(Path(settings.out) / "audit.json", text.encode())
        except OSError as error:
            raise DataError(f"{settings.out}: cannot be written: {error.strerror}", hint="give another --out") from None
    return result
