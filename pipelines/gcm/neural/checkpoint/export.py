"""`sciml gcm export`: a checkpoint of the original, read safely, written once as a folder that every command reads."""

import dataclasses
from pathlib import Path

from sciml.pipelines.gcm.export_settings import Export
from sciml.pipelines.gcm.neural.checkpoint import store
from sciml.pipelines.progress import Progress


def export(settings: Export, progress: Progress | None = None) -> tuple[Path, store.Checkpoint]:
    """Write the folder `settings.to`; returns it and what it holds.

    Raises:
      SettingsError: the folder exists and is not empty.
      DataError: the checkpoint cannot be read or the folder not be written; nothing half-written is left.
    """
    progress = progress or Progress()
    store.check_free(settings.to)
    checkpoint = store.load(settings.checkpoint)
    if settings.licence is not None:
        provenance = {**checkpoint.provenance, "licence": settings.licence}
        checkpoint = dataclasses.replace(checkpoint, provenance=provenance)
    store.save(checkpoint, settings.to)
    progress.note(f"wrote {settings.to}")
    return settings.to, checkpoint
