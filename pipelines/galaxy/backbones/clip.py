"""Zero-shot classification with CLIP: how near an image lies to a sentence (Radford et al. 2021, arXiv:2103.00020).

    p(class | image) = softmax_class(s f(image) . g(sentences of the class)),   f and g of unit length

Both towers are pre-norm transformers; the image's vector is its class token, the text's the end token under a causal mask.
Weights and tokenizer are read from a folder in the layout of Hugging Face's CLIP models (config.json, model.safetensors,
vocab.json, merges.txt), such as openai/clip-vit-base-patch32.

Axes: b image, n token, t text, d width, y x pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.transformer import MultiheadAttention

from .clip_tokens import END, ClipTokens
from .layout import BandNorm, resized

# Sentences per class; their vectors are averaged, which the paper finds worth several percent.
MERGER_PROMPTS: dict[str, tuple[str, ...]] = {
    "non-merger": (
        "a telescope image of an isolated galaxy",
        "a telescope image of an undisturbed spiral galaxy",
        "a telescope image of a smooth elliptical galaxy",
    ),
    "merger": (
        "a telescope image of two merging galaxies",
        "a telescope image of interacting galaxies with tidal tails",
        "a telescope image of a disturbed galaxy after a merger",
    ),
}
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_ACTIVATIONS = {"quick_gelu": lambda x: x * torch.sigmoid(1.702 * x), "gelu": F.gelu}


class Layer(nn.Module):
    """One pre-norm layer of a tower."""

    def __init__(self, d: int, n_heads: int, d_hidden: int, activation: str, epsilon: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(d, eps=epsilon)
        self.attention = MultiheadAttention(d, n_heads)
        self.ffn_norm = nn.LayerNorm(d, eps=epsilon)
        self.inner, self.outer = nn.Linear(d, d_hidden), nn.Linear(d_hidden, d)
        self.activation = _ACTIVATIONS[activation]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), mask=mask)
        return x + self.outer(self.activation(self.inner(self.ffn_norm(x))))


def _layers(config: Mapping[str, Any]) -> nn.ModuleList:
    width, heads, hidden = config["hidden_size"], config["num_attention_heads"], config["intermediate_size"]
    rest = config.get("hidden_act", "quick_gelu"), config.get("layer_norm_eps", 1e-5)
    return nn.ModuleList([Layer(width, heads, hidden, *rest) for _ in range(config["num_hidden_layers"])])


class TextTower(nn.Module):
    """numbers [t, n] -> vectors [t, d_joint]."""

    def __init__(self, config: Mapping[str, Any], d_joint: int):
        super().__init__()
        d = config["hidden_size"]
        self.token = nn.Embedding(config["vocab_size"], d)
        self.position = nn.Parameter(torch.zeros(config["max_position_embeddings"], d))
        self.layers = _layers(config)
        self.norm = nn.LayerNorm(d, eps=config.get("layer_norm_eps", 1e-5))
        self.project = nn.Linear(d, d_joint, bias=False)

    def forward(self, numbers: Tensor, end: int) -> Tensor:
        n = numbers.shape[1]
        x = self.token(numbers) + self.position[:n]
        causal = torch.ones(1, n, n, dtype=torch.bool, device=x.device).tril()
        for layer in self.layers:
            x = layer(x, causal)
        last = (numbers == end).int().argmax(1)
        return self.project(self.norm(x[torch.arange(len(x), device=x.device), last]))


class ImageTower(nn.Module):
    """image [b, 3, y, x] of the trained size -> vectors [b, d_joint]."""

    def __init__(self, config: Mapping[str, Any], d_joint: int):
        super().__init__()
        d, patch, size = config["hidden_size"], config["patch_size"], config["image_size"]
        epsilon = config.get("layer_norm_eps", 1e-5)
        self.size = (size, size)
        self.patch = nn.Conv2d(3, d, patch, stride=patch, bias=False)
        self.cls = nn.Parameter(torch.zeros(d))
        self.position = nn.Parameter(torch.zeros((size // patch) ** 2 + 1, d))
        self.norm_before, self.norm = nn.LayerNorm(d, eps=epsilon), nn.LayerNorm(d, eps=epsilon)
        self.layers = _layers(config)
        self.project = nn.Linear(d, d_joint, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(len(image), 1, -1), patches), dim=1)
        x = self.norm_before(x + self.position)
        for layer in self.layers:
            x = layer(x)
        return self.project(self.norm(x[:, 0]))


class ZeroShotClip(nn.Module):
    """Both towers of CLIP and their tokenizer; see `from_folder`. Nothing in it is trained here."""

    def __init__(self, config: Mapping[str, Any], tokens: ClipTokens, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        d_joint = config["projection_dim"]
        self.text = TextTower(config["text_config"], d_joint)
        self.image = ImageTower(config["vision_config"], d_joint)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.norm, self.tokens = BandNorm(mean, std), tokens

    @classmethod
    def from_folder(cls, folder: Path | str) -> ZeroShotClip:
        """Read a folder in the layout of Hugging Face; DataError says what is missing or does not fit."""
        folder = Path(folder).expanduser()
        config = _read_json(folder / "config.json")
        wanted = {"text_config", "vision_config", "projection_dim"}
        if not wanted <= config.keys():
            raise DataError(
                f"{folder}/config.json describes no CLIP model: it has no {', '.join(sorted(wanted - config.keys()))}",
                hint="zero-shot needs the text tower as well, such as openai/clip-vit-base-patch32; timm has the image tower only",
            )
        vision = folder / "preprocessor_config.json"
        shown = _read_json(vision) if vision.is_file() else {}
        try:
            config = dict(config)
            for part, defaults in (("text_config", _TEXT), ("vision_config", _VISION)):
                config[part] = defaults | config[part]
            tokens = ClipTokens.from_folder(folder, config["text_config"]["max_position_embeddings"])
            with torch.random.fork_rng(devices=[]):
                model = cls(config, tokens, shown.get("image_mean", _MEAN), shown.get("image_std", _STD))
        except (KeyError, TypeError) as error:
            raise DataError(f"{folder}/config.json describes no CLIP model: {error!r}") from None
        model._load(folder / "model.safetensors")
        return model.eval()

    def _load(self, file: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not file.is_file():
            raise DataError(
                f"{file.parent} has no {file.name}", hint="files that need pickle (.bin, .pt) are never read"
            )
        try:
            renamed = {new: value for name, value in load_file(file).items() if (new := _renamed(name)) is not None}
        except (SafetensorError, OSError) as error:
            raise DataError(f"{file}: not a whole safetensors file ({error})") from None
        own = {name for name, _ in self.named_parameters()}
        if own != renamed.keys():
            raise DataError(
                f"{file} is no CLIP model of its config.json; first difference: {sorted(own ^ renamed.keys())[0]}"
            )
        try:
            self.load_state_dict(renamed, strict=False)
        except RuntimeError as error:
            raise DataError(
                f"{file} is no CLIP model of its config.json: {str(error).splitlines()[-1].strip()}"
            ) from None

    @torch.no_grad()
    def encode_image(self, image: Tensor) -> Tensor:
        """Unit vectors [b, d] of images [b, 3 or 1 band, y, x] in [0, 1]."""
        if image.ndim != 4 or image.shape[1] not in (1, 3):
            raise SettingsError(f"zero-shot CLIP sees 3 bands (or 1, shown as grey), got images {list(image.shape)}")
        image = image.expand(-1, 3, -1, -1)
        return F.normalize(self.image(resized(self.norm(image), self.image.size)), dim=-1)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [t, d] of sentences."""
        numbers = self.tokens(texts).to(self.log_scale.device)
        return F.normalize(self.text(numbers, self.tokens.vocabulary[END]), dim=-1)

    @torch.no_grad()
    def classify(self, image: Tensor, prompts: Mapping[str, str | Sequence[str]] | None = None) -> Tensor:
        """Probabilities [b, class] for the classes of `prompts` in their order; MERGER_PROMPTS where it is None."""
        prompts = MERGER_PROMPTS if prompts is None else prompts
        if len(prompts) < 2 or not all(prompts.values()):
            raise SettingsError(f"zero-shot classification needs 2 classes with a sentence each, got {dict(prompts)}")
        # one sentence is a list of one, not of its letters
        lists = [[texts] if isinstance(texts, str) else list(texts) for texts in prompts.values()]
        classes = torch.stack([F.normalize(self.encode_text(texts).mean(0), dim=-1) for texts in lists])
        return (self.log_scale.exp() * self.encode_image(image) @ classes.T).softmax(-1)


# What the configuration leaves out is that of ViT-B/32, the defaults of the format.
_TEXT = {
    "vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12,
    "num_attention_heads": 8, "max_position_embeddings": 77,
}  # fmt: skip
_VISION = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "image_size": 224, "patch_size": 32,
}  # fmt: skip
_RENAMED = {
    "logit_scale": "log_scale",
    "text_projection.weight": "text.project.weight",
    "visual_projection.weight": "image.project.weight",
    "text_model.embeddings.token_embedding.weight": "text.token.weight",
    "text_model.embeddings.position_embedding.weight": "text.position",
    "vision_model.embeddings.class_embedding": "image.cls",
    "vision_model.embeddings.patch_embedding.weight": "image.patch.weight",
    "vision_model.embeddings.position_embedding.weight": "image.position",
}
_PARTS = {
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.out_proj": "attention.out",
    "layer_norm1": "attention_norm",
    "layer_norm2": "ffn_norm",
    "mlp.fc1": "inner",
    "mlp.fc2": "outer",
}
_NORMS = {"final_layer_norm": "norm", "pre_layrnorm": "norm_before", "post_layernorm": "norm"}


def _renamed(name: str) -> str | None:
    """The name here of a weight of the format; None for what is no weight."""
    if name.endswith("position_ids"):
        return None
    if name in _RENAMED:
        return _RENAMED[name]
    tower, _, rest = name.partition(".")
    tower = {"text_model": "text", "vision_model": "image"}.get(tower, tower)
    path, _, leaf = rest.rpartition(".")
    if path.startswith("encoder.layers."):
        _, _, number, part = path.split(".", 3)
        return f"{tower}.layers.{number}.{_PARTS.get(part, part)}.{leaf}"
    return f"{tower}.{_NORMS.get(path, path)}.{leaf}"


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(
            f"{path} does not exist",
            hint="zero-shot CLIP is read from a folder: hf download openai/clip-vit-base-patch32 --local-dir DIR",
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from None
    if not isinstance(plain, dict):
        raise DataError(f"{path} holds no JSON object")
    return plain
