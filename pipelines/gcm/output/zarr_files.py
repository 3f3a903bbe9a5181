"""The frames of a rollout as a Zarr v3 folder, whole at any instant.

Every array is declared with all its planned frames, one frame and member per chunk, and its lead times are written at
once. How many frames there *are* stands in the consolidated metadata of the group: that one file is replaced atomically
after a frame's chunks are written, and it is what xarray reads. Read without it, frames to come are NaN.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sciml.pipelines.checkpoint import write_atomic
from sciml.pipelines.errors import DataError, SettingsError

from .files import LEAD, Layout

_ROOT = "zarr.json"


class ZarrOutput:
    """The same interface as NetCDFOutput."""

    def __init__(self, path: Path, layout: Layout):
        self.path, self.layout = Path(path), layout
        self.frames = 0
        self._group: Any = None
        try:
            import zarr
        except ImportError:
            raise SettingsError(
                f"--to {path}: writing Zarr needs the package zarr, which is not installed",
                hint="pip install 'sciml[zarr]', or write NetCDF: --to NAME.nc",
            ) from None
        self._zarr = zarr

    def create(self) -> None:
        """Make the folder, without frames; DataError if it cannot be written."""
        self._guarded(self._create)

    def _create(self) -> None:
        # Made under another name first: a kill while the arrays are declared leaves no half folder.
        temporary = self.path.with_name(self.path.name + ".tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        group = self._zarr.create_group(
            store=str(temporary), zarr_format=3, attributes=dict(self.layout.attributes or {})
        )
        for variable in self.layout.declared():
            self._declare(group, variable)
        _show_frames(temporary, 0, _consolidated(temporary))
        if self.path.is_dir():
            shutil.rmtree(self.path)
        os.replace(temporary, self.path)
        self._open(0)

    def _declare(self, group: Any, variable: Any) -> None:
        planned = self.layout.frames
        if variable.values is not None:
            values = np.asarray(variable.values, variable.dtype)
            array = group.create_array(variable.name, data=values, chunks=values.shape or "auto", **_named(variable))
        elif variable.name == LEAD:
            leads = np.array([self.layout.lead(frame) for frame in range(planned)], variable.dtype)
            array = group.create_array(variable.name, data=leads, chunks=(1024,), **_named(variable))
        else:
            shape = self.layout.shape(variable.name)
            one = (1, *shape[1:]) if self.layout.members > 1 else shape
            array = group.create_array(
                variable.name, shape=(planned, *shape), chunks=(1, *one), dtype=variable.dtype, fill_value=np.nan,
                **_named(variable),
            )  # fmt: skip
        array.attrs.update(dict(variable.attributes))

    def reopen(self, frames: int) -> None:
        """Continue a folder that holds at least `frames` frames; DataError if it does not."""
        wanted = {v.name: list(v.dims) for v in self.layout.declared()}
        try:
            members = json.loads((self.path / _ROOT).read_text())["consolidated_metadata"]["metadata"]
            found = {name: entry.get("dimension_names", []) for name, entry in members.items()}
            (shown,) = members[LEAD]["shape"]
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(
                f"{self.path}: not the Zarr folder that this run wrote",
                hint="put the folder back, or start a new run without --resume",
            ) from None
        if found != wanted or shown < frames:
            raise DataError(
                f"{self.path}: holds {shown} frames of {', '.join(sorted(found))}; the run wrote {frames} of "
                f"{', '.join(sorted(wanted))}",
                hint="put the folder back, or start a new run without --resume",
            )
        self._guarded(lambda: self._open(frames))

    def _open(self, frames: int) -> None:
        self._group = self._zarr.open_group(str(self.path), mode="r+", use_consolidated=False)
        planned = self.layout.frames
        if self._group[LEAD].shape[0] < planned:  # the run was extended
            for variable in self.layout.declared():
                if variable.values is None:
                    self._group[variable.name].resize((planned, *self._group[variable.name].shape[1:]))
            self._group[LEAD][:] = np.array([self.layout.lead(frame) for frame in range(planned)], np.int32)
        _show_frames(self.path, frames, _consolidated(self.path))
        self.frames = frames

    def append(self, fields: Mapping[str, np.ndarray]) -> None:
        """Write and commit the next frame; DataError if the disk is full, with all earlier frames kept."""
        self._guarded(lambda: self._append(fields))

    def _append(self, fields: Mapping[str, np.ndarray]) -> None:
        for name in self.layout.variables:
            self._group[name][self.frames] = np.asarray(fields[name], np.float32)
        _show_frames(self.path, self.frames + 1)
        self.frames += 1

    def finish(self) -> str:
        """Nothing is left to do."""
        return ""

    def packed(self) -> bool:
        """Whether there is nothing to pack: always."""
        return self.path.is_dir()

    def close(self) -> None:
        """Nothing is open between frames."""

    def _guarded(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            kept = f"its {self.frames} frames are kept" if self.frames else "nothing was written"
            raise DataError(
                f"cannot write {self.path}: {error.strerror or error}; {kept}",
                hint="make room and continue with --resume RUN, or choose another place with --to",
            ) from None


def _named(variable: Any) -> dict[str, Any]:
    return {"dimension_names": list(variable.dims)}


def _consolidated(path: Path) -> dict[str, Any]:
    """The metadata of the group with those of every array copied into it, in the form that zarr-python 3 reads."""
    nodes = {child.parent.name: json.loads(child.read_text()) for child in sorted(path.glob(f"*/{_ROOT}"))}
    root = json.loads((path / _ROOT).read_text())
    return root | {"consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": nodes}}


def _show_frames(path: Path, frames: int, root: dict[str, Any] | None = None) -> None:
    """Let the consolidated metadata say that there are `frames` frames."""
    root = root or json.loads((path / _ROOT).read_text())
    for entry in root["consolidated_metadata"]["metadata"].values():
        if LEAD in entry.get("dimension_names", ()):
            entry["shape"][0] = frames
    write_atomic(path / _ROOT, json.dumps(root, indent=1).encode())
