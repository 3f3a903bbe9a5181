"""GalaxyModel: image encoder, table encoder, fusion and head in one module, described by plain values.

    logits = W relu(norm(embedding)) + b,   embedding = fusion(backbone(image), encoder(table))

(the head of Gorishniy et al. 2021, so that a table-only model is their FT-Transformer). A table-only model may also ask the
training rows that look alike (tabular/retrieval.py). Either encoder may be left out, and
of a model with both either modality may be absent, for single objects or for a whole batch.

Axes: b batch, n token, d width, y x pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sciml.pipelines.errors import DataError, SettingsError

from .backbones.layout import ImageFeatures
from .backbones.registry import build_backbone, rebuild_backbone
from .fusion.modality import modality_dropout
from .fusion.registry import build_fusion, check_fusion, fusion_class
from .fusion.single import SingleModality
from .fusion.verdicts import Verdict, VerdictFusion, Verdicts
from .tabular.batch import TableBatch
from .tabular.registry import TABLE_ENCODERS, build_table_encoder
from .tabular.retrieval import Retrieval


@dataclass(frozen=True)
class ModelShape:
    """Everything needed to build a model again; stored beside its weights.

    n_classes: number of logits.
    backbone: name of the image encoder, "" for a table-only model.
    image_size, n_bands: of the square cutouts.
    table: name of the table encoder, "" for an image-only model.
    n_continuous, cardinalities, n_bins: columns of the table, and bins of a continuous one (0: no bins).
    fusion, d_fusion: name and width of the embedding; of no effect with a single modality.
    image_dropout, table_dropout: rates at which training hides a modality of an object that has both.
    network: the timm architecture and its arguments, filled in when the model is built.
    n_stored: training rows a table-only model keeps and asks (0: none).
    n_auxiliary: targets that were learned beside the label; of no effect on a prediction.
    """

    n_classes: int = 2
    backbone: str = "cnn"
    image_size: int = 64
    n_bands: int = 3
    table: str = "ft_transformer"
    n_continuous: int = 0
    cardinalities: tuple[int, ...] = ()
    n_bins: int = 0
    fusion: str = "cross"
    d_fusion: int = 64
    head_dropout: float = 0.0
    image_dropout: float = 0.0
    table_dropout: float = 0.0
    backbone_arguments: dict[str, Any] = field(default_factory=dict)
    table_arguments: dict[str, Any] = field(default_factory=dict)
    fusion_arguments: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] | None = None
    n_stored: int = 0
    n_auxiliary: int = 0

    def __post_init__(self):
        if not self.backbone and not self.table:
            raise SettingsError("a model needs a backbone, a table encoder or both")
        if self.n_classes < 2:
            raise SettingsError(f"a classifier needs at least 2 classes, got {self.n_classes}")
        if self.backbone and (self.image_size < 1 or self.n_bands < 1):
            raise SettingsError(f"cutouts of {self.image_size} px and {self.n_bands} bands are no images")
        if self.table:
            TABLE_ENCODERS.check(self.table)
        if self.backbone and self.table:
            check_fusion(self.fusion)
        if self.n_stored and (self.backbone or not self.table):
            raise SettingsError("stored neighbours need a model of the table alone")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"cardinalities": list(self.cardinalities)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> ModelShape:
        """The inverse of `to_dict`; DataError names what does not fit."""
        try:
            return cls(**(plain | {"cardinalities": tuple(plain.get("cardinalities", ()))}))
        except TypeError as error:
            raise DataError(f"the model's configuration does not describe a galaxy model: {error}") from None


class Head(nn.Module):
    """embedding [b, d] -> logits [b, n_classes]: layer norm, ReLU, dropout, linear."""

    def __init__(self, d: int, n_classes: int, dropout: float = 0.0):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(d, n_classes)

    def forward(self, embedding: Tensor) -> Tensor:
        return self.linear(self.dropout(torch.relu(self.norm(embedding))))


class Answer(NamedTuple):
    """logits [b, c]; others: those [b, a] of the auxiliary targets, or None; counts: 1 or 0 [b], None where all count."""

    logits: Tensor
    others: Tensor | None = None
    counts: Tensor | None = None


class GalaxyModel(nn.Module):
    """Classifier of galaxies from an image, a table row, or both; see `build` and `rebuild`."""

    def __init__(
        self, shape: ModelShape, backbone: nn.Module | None, table: nn.Module | None, fusion: nn.Module
    ):  # fmt: skip
        super().__init__()
        self.shape, self.backbone, self.table, self.fusion = shape, backbone, table, fusion
        # neighbours take the place of the last layer
        columns = shape.n_continuous, len(shape.cardinalities)
        self.retrieval = Retrieval(fusion.d_fusion, shape.n_classes, shape.n_stored, *columns) if shape.n_stored else None
        self.head = None if shape.n_stored else self._head(shape.n_classes)
        self.auxiliary = self._head(shape.n_auxiliary) if shape.n_auxiliary else None
        self.frozen = False
        # a layer the backbone itself never trains stays so when the rest is let go
        self._trainable = [] if backbone is None else [p for p in backbone.parameters() if p.requires_grad]

    def forward(
        self,
        image: Tensor | None = None,
        table: TableBatch | None = None,
        image_present: Tensor | None = None,
        table_present: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Logits [b, n_classes].

        Args:
            image: [b, band, y, x]; None where no object of the batch has one.
            table: rows; None likewise.
            image_present, table_present: bool [b]; None where every object has the modality.
            known: int64 [b], which of the stored training rows these are: for the training of a model that keeps them.

        Raises:
            SettingsError: neither modality of the model is given, or the shapes are not those it was built for.
        """
        # stored rows are embedded before the batch: recorded attention is then that of the batch
        keys = self._keys() if known is None else None
        embedding = self.embed(image, table, image_present, table_present)
        return self.head(embedding) if self.retrieval is None else self.retrieval(embedding, keys, known)

    def _head(self, n_out: int) -> nn.Module:
        """The last layer, one for each modality where each gives its own verdict."""
        if isinstance(self.fusion, VerdictFusion):
            rates = self.shape.head_dropout, self.fusion.dropout
            heads = [Head(d, n_out, rate) for d, rate in zip(self.fusion.widths, rates, strict=True)]
            return Verdicts(*heads, self.fusion.widths, n_out)
        return Head(self.fusion.d_fusion, n_out, self.shape.head_dropout)

    def answers(self, embedding: Tensor) -> list[Answer]:
        """What training compares with labels and targets: one answer of the whole, or one of each modality."""
        if not isinstance(self.head, Verdicts):
            return [Answer(self.head(embedding), None if self.auxiliary is None else self.auxiliary(embedding))]
        said = self.head.each(embedding)
        beside = [Verdict(None, None)] * len(said) if self.auxiliary is None else self.auxiliary.each(embedding)
        return [Answer(a.logits, b.logits, a.present) for a, b in zip(said, beside, strict=True)]

    def parts_apart(self) -> list[list[nn.Parameter]]:
        """Parameters that no loss has in common."""
        if not isinstance(self.head, Verdicts):
            return [list(self.parameters())]
        heads = [part for part in (self.head, self.auxiliary) if part is not None]
        of_image = nn.ModuleList([self.backbone, *(part.image for part in heads)])
        of_table = nn.ModuleList([self.table, *(part.table for part in heads)])
        return [list(of_image.parameters()), list(of_table.parameters())]

    def classify(self, embedding: Tensor) -> Tensor:
        """Logits [b, n_classes] of embeddings [b, d], as at prediction time."""
        return self.head(embedding) if self.retrieval is None else self.retrieval(embedding, self._keys())

    def _keys(self) -> Tensor | None:
        """Embeddings of the stored training rows."""
        return None if self.retrieval is None else self.retrieval.keys(lambda rows: self.embed(table=rows))

    def embed(
        self,
        image: Tensor | None = None,
        table: TableBatch | None = None,
        image_present: Tensor | None = None,
        table_present: Tensor | None = None,
    ) -> Tensor:
        """The embedding [b, d] in front of the head; arguments as in `forward`."""
        image_present, table_present = _some(image_present), _some(table_present)
        features = self.encode_image(image, image_present)
        tokens = self.encode_table(table, table_present)
        if features is None and tokens is None:
            raise SettingsError("the model was given neither of the modalities it was built for")
        return self.fuse(features, tokens, image_present, table_present)

    def encode_image(self, image: Tensor | None, present: Tensor | None = None) -> ImageFeatures | None:
        """Features [b, ...] of the images, zero where one is absent; None where there is none at all."""
        if self.backbone is None or image is None or (present is not None and not present.any()):
            return None
        if present is None:
            return self.backbone(image)
        # absent images never enter the backbone: its batch statistics would depend on them
        index = present.nonzero()[:, 0]
        single = self.training and len(index) == 1
        # statistics of one image over a 1 x 1 map do not exist
        features = self.backbone(image[index.repeat(2) if single else index])
        tokens, pooled = (part[: len(index)] for part in features[:2])
        filled = [part.new_zeros(len(image), *part.shape[1:]).index_copy(0, index, part) for part in (tokens, pooled)]
        return ImageFeatures(*filled, features.grid)

    def encode_table(self, table: TableBatch | None, present: Tensor | None = None) -> Tensor | None:
        """Tokens [b, n, d] of the rows, an absent row being one with every value missing."""
        if self.table is None or table is None:
            return None
        return self.table(table if present is None else table.without(~present))

    def fuse(
        self,
        features: ImageFeatures | None,
        tokens: Tensor | None,
        image_present: Tensor | None = None,
        table_present: Tensor | None = None,
    ) -> Tensor:
        """The embedding [b, d] of encoded modalities; training hides some of them at the rates of the shape."""
        rates = self.shape.image_dropout, self.shape.table_dropout
        if self.training and any(rates) and features is not None and tokens is not None:
            everyone = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
            image_present, table_present = (
                everyone if present is None else present for present in (image_present, table_present)
            )
            image_present, table_present = modality_dropout(image_present, table_present, *rates)
        return self.fusion(features, tokens, image_present, table_present)

    def freeze_backbone(self, frozen: bool = True) -> GalaxyModel:
        """Keep the backbone's weights and batch statistics as they are, or let them go again; returns itself."""
        if self.backbone is not None:
            for parameter in self._trainable:
                parameter.requires_grad_(not frozen)
            self.frozen = frozen
            self.train(self.training)
        return self

    def train(self, mode: bool = True) -> GalaxyModel:
        """As in torch, except that a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self


def build(
    shape: ModelShape,
    seed: int = 0,
    *,
    pretrained: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    edges: Tensor | None = None,
) -> GalaxyModel:
    """A new model; weights that are not pretrained depend on `shape` and `seed` alone.

    Args:
        pretrained: load the weights of a timm backbone (zoobot: and local-dir: always load theirs).
        mean, std: per band, of the training split.
        edges: [n_continuous, n_bins + 1], see `quantile_edges`; needed where shape.n_bins is not 0.

    Raises:
        SettingsError: an unknown name or argument, sizes that do not fit. DataError: weights are not to be had.
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the accelerator, which nothing here restores
        torch.default_generator.manual_seed(seed)
        backbone = None
        if shape.backbone:
            backbone = build_backbone(
                shape.backbone, shape.n_bands, shape.image_size,
                pretrained=pretrained, mean=mean, std=std, arguments=shape.backbone_arguments,
            )  # fmt: skip
            shape = replace(shape, network=getattr(backbone, "description", None))
        return _assembled(shape, backbone, edges)


def rebuild(shape: ModelShape) -> GalaxyModel:
    """A model to load a state_dict into; looks nothing up and downloads nothing."""
    backbone = None
    if shape.backbone:
        backbone = rebuild_backbone(
            shape.backbone, shape.n_bands, shape.image_size, shape.network, shape.backbone_arguments
        )  # fmt: skip
    return _assembled(shape, backbone, None)


def _assembled(shape: ModelShape, backbone: nn.Module | None, edges: Tensor | None) -> GalaxyModel:
    if backbone is None:
        table = _table_encoder(shape, edges, all_tokens=False)
        return GalaxyModel(shape, None, table, SingleModality("table", table.d_token))
    if not shape.table:
        return GalaxyModel(shape, backbone, None, SingleModality("image", backbone.d_image))
    table = _table_encoder(shape, edges, all_tokens=fusion_class(shape.fusion).sees_table_tokens)
    fusion = build_fusion(
        shape.fusion, backbone.d_image, table.d_token, shape.d_fusion,
        positions=backbone.token_grid(shape.image_size), arguments=shape.fusion_arguments,
    )  # fmt: skip
    return GalaxyModel(shape, backbone, table, fusion)


def _table_encoder(shape: ModelShape, edges: Tensor | None, all_tokens: bool) -> nn.Module:
    arguments = dict(shape.table_arguments)
    if shape.table == "ft_transformer":
        arguments.setdefault("all_tokens", all_tokens)
    if shape.n_bins and edges is None:
        # their values come with the state_dict
        edges = torch.linspace(-1.0, 1.0, shape.n_bins + 1).expand(shape.n_continuous, -1)
    if edges is not None and edges.shape != (shape.n_continuous, shape.n_bins + 1):
        raise SettingsError(
            f"bins {list(edges.shape)} do not fit {shape.n_continuous} columns and n_bins = {shape.n_bins}"
        )
    return build_table_encoder(
        shape.table, shape.n_continuous, shape.cardinalities, edges=edges, arguments=arguments
    )  # fmt: skip


def _some(present: Tensor | None) -> Tensor | None:
    """None where every object has the modality, which is the faster path."""
    return None if present is None or bool(present.all()) else present
