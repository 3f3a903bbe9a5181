"""Where pretrained weights come from: a folder, the Hugging Face cache, or the network; and what to do when they do not.

A folder of weights holds `config.json` (architecture, pretrained_cfg, model_args, as timm writes it) and
`model.safetensors`. Files that need pickle are refused.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from sciml.pipelines.errors import DataError, SettingsError

# Names in the Hugging Face collections "Zoobot Encoders" and "Zoobot Encoders (Greyscale)".
ZOOBOT = (
    "convnext_pico",
    "convnext_nano",
    "convnext_tiny",
    "convnext_small",
    "convnext_base",
    "convnext_large",
    "efficientnet_b0",
    "tf_efficientnetv2_s",
    "maxvit_rmlp_small_rw_224",
    "maxvit_large_tf_224",
    "resnet18",
    "resnet50",
    "greyscale-convnext_pico",
    "greyscale-convnext_nano",
)
_ZOOBOT_REPOSITORY = "mwalmsley/zoobot-encoder-{}"
_PATIENCE = 3.0  # seconds for the hub to answer


@dataclass(frozen=True)
class Weights:
    """A folder of weights: the timm architecture, its arguments, its pretrained_cfg and the file."""

    architecture: str
    arguments: dict
    pretrained_cfg: dict
    file: Path


def read_folder(folder: Path | str) -> Weights:
    """The weights in a folder; DataError says what is missing."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"local-dir: {folder} is no folder", hint=_layout_hint())
    config, file = folder / "config.json", folder / "model.safetensors"
    if not config.is_file():
        raise DataError(f"{folder} has no config.json", hint=_layout_hint())
    if not file.is_file():
        others = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pth", ".pt", ".ckpt"))
        found = f"; {others[0]} needs pickle, which is never executed" if others else ""
        raise DataError(f"{folder} has no model.safetensors{found}", hint=_layout_hint())
    try:
        plain = json.loads(config.read_text(encoding="utf-8"))
        # older files hold one flat dictionary
        cfg = plain["pretrained_cfg"] if "pretrained_cfg" in plain else dict(plain)
        architecture = plain.get("architecture") or cfg["architecture"]
        cfg = {key: value for key, value in cfg.items() if key not in ("architecture", "num_features", "tag")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{config} is no timm configuration: {error!r}", hint=_layout_hint()) from None
    if "num_classes" in plain:
        cfg["num_classes"] = plain["num_classes"]
    return Weights(architecture, dict(plain.get("model_args") or {}), cfg, file)


def zoobot_folder(name: str) -> Path:
    """The folder of `zoobot:<name>`: <name> may be a folder itself, else it is looked up and downloaded."""
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    return hub_folder(_ZOOBOT_REPOSITORY.format(name), f"zoobot:{name}")


def hub_folder(repository: str, typed: str) -> Path:
    """Folder of a Hugging Face repository: from the cache if it is there, else downloaded.

    Args:
        repository: owner/name.
        typed: what the user asked for, named in errors.

    Raises:
        DataError: not in the cache, and the network is off or not there; the hint is the recipe with a folder.
        SettingsError: the repository does not exist.
    """
    from huggingface_hub.errors import HFValidationError

    try:
        cached = cached_folder(repository)
    except HFValidationError:
        raise SettingsError(f'{typed}: "{repository}" is no name of a repository, which is OWNER/NAME') from None
    if cached is not None:
        return cached
    if offline_wanted():
        raise DataError(f"{typed}: not in the cache, and HF_HUB_OFFLINE is set", hint=_recipe(repository))
    if not reachable():
        raise DataError(f"{typed}: not in the cache, and {_endpoint()} does not answer", hint=_recipe(repository))
    return _download(repository, typed)


def cached_folder(repository: str) -> Path | None:
    """The snapshot of a repository in the local cache, if it has weights this package reads."""
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(repository, name) for name in ("config.json", "model.safetensors")]
    return Path(found[0]).parent if all(isinstance(path, str) for path in found) else None


def offline_wanted() -> bool:
    """Whether the user has switched the Hugging Face network off."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def reachable(patience: float | None = None) -> bool:
    """Whether the hub answers a request, with whatever status, within `patience` seconds (default: 3).

    The hub's own client tries five times for about 25 s before it gives up, and waits for minutes where a proxy takes
    the connection and then is silent.
    """
    answered = []
    patience = _PATIENCE if patience is None else patience

    def knock() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(_endpoint(), method="HEAD"), timeout=patience).close()
        except urllib.error.HTTPError:
            pass
        except (OSError, HTTPException, ValueError) as error:
            # certificates are the client's business; somebody did answer
            if not isinstance(getattr(error, "reason", error), ssl.SSLError):
                return
        answered.append(True)

    # name resolution has no timeout of its own, so the thread may stay behind
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(patience)
    return bool(answered)


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _download(repository: str, typed: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        wanted = ["config.json", "model.safetensors"]
        return Path(snapshot_download(repository, allow_patterns=wanted, endpoint=_endpoint()))
    except RepositoryNotFoundError:
        raise SettingsError(
            f"{typed}: huggingface.co has no repository {repository}",
            hint=f"known Zoobot encoders: {', '.join(ZOOBOT)}" if typed.startswith("zoobot:") else "",
        ) from None
    except (HfHubHTTPError, OSError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise DataError(f"{typed}: the download failed: {reason}", hint=_recipe(repository)) from None


def _recipe(repository: str) -> str:
    name = repository.rsplit("/", 1)[-1]
    prefix = "zoobot" if "zoobot" in repository else "local-dir"
    return (
        f"on a machine with a network: hf download {repository} config.json model.safetensors --local-dir {name}; "
        f"copy the folder here and use --backbone {prefix}:{name}"
    )


def _layout_hint() -> str:
    return "a folder of weights holds config.json and model.safetensors, as `hf download OWNER/NAME --local-dir DIR` makes it"
