"""Checkpoints on disk: read from the original's pickle or from our own folder, and written as the latter.

A folder holds model.safetensors (weights and fixed fields by their place in the tree, values unchanged), config.json
(settings and provenance), config.gin (the original's text, kept as provenance and never read again) and README.md.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sciml.pipelines.checkpoint import load_tensors, save_tensors, write_atomic
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.neural.checkpoint import unpickle
from sciml.pipelines.gcm.neural.checkpoint.config import ModelConfig, from_json, to_json
from sciml.pipelines.gcm.neural.checkpoint.haiku_names import Params, checked_tree, from_haiku
from sciml.pipelines.gcm.neural.checkpoint.model_card import LICENCE, model_card
from sciml.pipelines.gcm.neural.checkpoint.schema import model_config
from sciml.pipelines.gcm.neural.checkpoint.surface import FIELDS, Aux, check_grid, read_aux

FORMAT = "neuralgcm-1"
_PARTS = ("model_config_str", "aux_ds_dict", "params")
_COORDINATES = ("longitude", "latitude", "level")


@dataclass(frozen=True)
class Checkpoint:
    """A model: settings, weights (float32, see haiku_names), fixed fields, and where they come from.

    `provenance`: source (file name), sha256 (of that file), licence (of the weights); `text` is the original's.
    """

    config: ModelConfig
    params: Params
    aux: Aux
    provenance: Mapping[str, str]
    text: str = ""


def load(path: str | Path) -> Checkpoint:
    """The checkpoint in a pickle of the original (`.pkl`) or in a folder that `save` wrote.

    Raises:
      DataError: missing, damaged, hostile, or not a NeuralGCM v1 model; the message names what and where.
    """
    path = Path(path)
    return _of_folder(path) if path.is_dir() else _of_pickle(path)


def _of_pickle(path: Path) -> Checkpoint:
    given, source = unpickle.load(path), str(path)
    if not isinstance(given, Mapping):
        raise DataError(f"{source} holds a {type(given).__name__}; a checkpoint is a dict of {', '.join(_PARTS)}")
    missing = [part for part in _PARTS if part not in given]
    if missing:
        raise DataError(f"{source} lacks {', '.join(missing)}; it holds {', '.join(map(str, given))[:200]}")
    text = given["model_config_str"]
    if not isinstance(text, str):
        raise DataError(f"{source}: model_config_str is {type(text).__name__}, wanted text")
    aux = read_aux(given["aux_ds_dict"], source=source)
    config = model_config(
        text,
        source=source,
        nodes=aux.nodes,
        latitude_spacing=aux.latitude_spacing,
        levels=tuple(float(level) for level in aux.level),
    )
    check_grid(aux, config.data, source=source)
    params = from_haiku(config, given["params"], source=source)
    provenance = {"source": path.name, "sha256": _sha256(path), "licence": LICENCE}
    return Checkpoint(config, params, aux, provenance, text)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_folder(folder: Path) -> Checkpoint:
    header = _json_of(folder / "config.json")
    if header.get("format") != FORMAT:
        raise DataError(f"{folder}/config.json has format {header.get('format')!r}; accepted: {FORMAT}")
    config = from_json(json.dumps(header.get("model")), ModelConfig, source=f"{folder}/config.json")
    provenance = header.get("provenance")
    if not isinstance(provenance, dict):
        raise DataError(f"{folder}/config.json lacks its provenance")
    tensors, _ = load_tensors(folder / "model.safetensors")
    fixed = {name: tensors.pop(f"aux/{name}", None) for name in (*_COORDINATES, *FIELDS)}
    for name, value in fixed.items():
        if value is None:
            raise DataError(f"{folder}/model.safetensors lacks aux/{name}")
    aux = Aux(**{n: fixed[n] for n in _COORDINATES}, fields={n: fixed[n] for n in FIELDS})
    check_grid(aux, config.data, source=str(folder))
    params = checked_tree(config, tensors, source=f"{folder}/model.safetensors")
    text = folder / "config.gin"
    return Checkpoint(config, params, aux, provenance, text.read_text() if text.is_file() else "")


def _json_of(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} holds no object")
    return value


def save(checkpoint: Checkpoint, folder: str | Path) -> None:
    """Writes the folder whole or not at all.

    Raises:
      SettingsError: the folder exists and is not empty.
      DataError: it cannot be written.
    """
    folder = Path(folder)
    check_free(folder)
    unfinished = folder.with_name(folder.name + ".tmp")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _write(checkpoint, unfinished)
        os.replace(unfinished, folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}", hint="give another --to") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_free(folder: Path) -> None:
    """`save` may write there.

    Raises:
      SettingsError: the folder exists and is not empty.
    """
    if folder.is_file() or folder.is_dir() and any(folder.iterdir()):
        raise SettingsError(f"{folder}: exists and is not an empty folder", hint="give another --to")


def _write(checkpoint: Checkpoint, folder: Path) -> None:
    aux = checkpoint.aux
    fixed = {name: getattr(aux, name) for name in _COORDINATES} | dict(aux.fields)
    tensors = {"/".join(path): value for path, value in leaves(checkpoint.params)}
    save_tensors(
        folder / "model.safetensors",
        tensors | {f"aux/{name}": value for name, value in fixed.items()},
        {"format": FORMAT, **checkpoint.provenance},
    )
    header = {
        "format": FORMAT,
        "provenance": dict(checkpoint.provenance),
        "model": json.loads(to_json(checkpoint.config)),
    }
    write_atomic(folder / "config.json", (json.dumps(header, indent=1, allow_nan=False) + "\n").encode())
    if checkpoint.text:
        write_atomic(folder / "config.gin", checkpoint.text.encode())
    card = model_card(checkpoint.config, checkpoint.provenance, count(checkpoint.params))
    write_atomic(folder / "README.md", card.encode())


def leaves(params: Params, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """(path, array) of every weight."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def count(params: Params) -> int:
    """Number of parameters."""
    return sum(value.size for _, value in leaves(params))
