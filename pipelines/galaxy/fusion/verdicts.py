"""Fusion of verdicts: each modality is learned to the end by itself, and their log-odds are added.

    z = log pi + sum_m (z_m - log pi),   training: sum_m loss(z_m)

over the modalities m that are present; pi are the shares of the classes among the training objects. z_m - log pi is what
modality m says beyond pi: the sum is Bayes' rule for modalities that are independent given the class, and z_m for one alone. As far
as they are not, it is too sure of itself, which the temperature of the whole mends. How much each counts is how sure it is: a
network that knows few training objects by heart shouts, so regularise the one of the table (dropout of its own). Weights fitted on
some 50 validation objects did worse than none.
Networks trained on one loss stop learning when the faster one has learned; apart, they do not wait for each other (Wang, Tran &
Feiszli 2020, arXiv:1905.12681).

Axes: b batch, c class, d width of a modality.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sciml.pipelines.galaxy.backbones.layout import ImageFeatures

from .modality import objects


class VerdictFusion(nn.Module):
    """See `Fusion` for the call; the embedding [b, d_image + d_table + 2] holds both vectors, 0 where absent, and who is present.

    Nothing is learned here, and d_fusion is given by the modalities. dropout: before the last layer of the table's verdict.
    """

    sees_image_tokens = False
    sees_table_tokens = False

    def __init__(self, d_image: int, d_table: int, d_fusion: int = 64, *, dropout: float = 0.0):
        super().__init__()
        self.widths, self.dropout = (d_image, d_table), dropout
        self.d_fusion = d_image + d_table + 2

    def forward(
        self,
        image: ImageFeatures | None,
        table: Tensor | None,
        image_present: Tensor | None = None,
        table_present: Tensor | None = None,
    ) -> Tensor:
        size = objects(image, table)
        vectors = (None if image is None else image.pooled, None if table is None else table[:, 0])
        like = vectors[1] if vectors[0] is None else vectors[0]
        parts, flags = [], []
        for vector, present, width in zip(vectors, (image_present, table_present), self.widths, strict=True):
            flag = like.new_full((size, 1), float(vector is not None))
            if vector is None:
                vector = flag.expand(-1, width)
            elif present is not None:
                flag = present[:, None].to(like.dtype)
                vector = torch.where(present[:, None], vector, 0.0)
            parts.append(vector)
            flags.append(flag)
        return torch.cat((*parts, *flags), dim=1)


class Verdict(NamedTuple):
    """What one modality says: logits [b, c], and whether it is there [b] as 0 or 1."""

    logits: Tensor
    present: Tensor


class Verdicts(nn.Module):
    """embedding of `VerdictFusion` -> logits [b, c]; `each` gives those of one modality after the other.

    Args:
        image, table: heads, vector of the modality -> logits.
        widths: of the vectors.
        n_out: number of logits.
    """

    def __init__(self, image: nn.Module, table: nn.Module, widths: tuple[int, int], n_out: int):
        super().__init__()
        self.image, self.table, self.widths = image, table, widths
        self.register_buffer("log_prior", torch.zeros(n_out))

    def know(self, labels: np.ndarray) -> None:
        """Set log pi from the labels [n] of the training objects; a class without any counts as one."""
        counts = np.maximum(np.bincount(labels, minlength=len(self.log_prior)), 1)
        self.log_prior.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    def each(self, embedding: Tensor) -> list[Verdict]:
        """The verdicts of image and table."""
        image, table, flags = embedding.split((*self.widths, 2), dim=1)
        return [Verdict(self.image(image), flags[:, 0]), Verdict(self.table(table), flags[:, 1])]

    def forward(self, embedding: Tensor) -> Tensor:
        return self.log_prior + sum(v.present[:, None] * (v.logits - self.log_prior) for v in self.each(embedding))
