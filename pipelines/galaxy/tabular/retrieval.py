"""Classification by training rows that look alike: a soft vote of neighbours in the space an encoder learns.

    p(c | x) = sum_j w_j [y_j = c],   w_j = softmax_j(-|z(x) - z(x_j)|)

z is the normed embedding, j runs over the stored training rows. The vote is neighbourhood components analysis
(Goldberger et al. 2004) with a deep encoder, as in ModernNCA (Ye et al. 2024, arXiv:2407.03257) and TabR (Gorishniy et al. 2023,
arXiv:2307.14338). In training the other rows of the batch stand in for the stored ones, so a batch should be large (1024), and half of
it are near neighbours of the other half: as at prediction time, a row finds those that are most like it. It never sees itself nor,
where there are groups, a row of its own group.

Axes: b batch, m stored row, c class, d width, k neighbour.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from sciml.pipelines.errors import SettingsError

from .batch import TableBatch

MOST_ROWS = 100_000  # their embeddings stay in memory, and each prediction looks at all of them
CHUNK = 512  # stored rows encoded at a time
COMPANIONS, _CANDIDATES = (
    5,
    16,
)  # nearest rows of which one joins the batch, and how many are looked at to find those of other groups
_LEAST = 1e-6  # probability of a class that no neighbour has
_FAR = 1e9


class Retrieval(nn.Module):
    """The training rows and their classes, and the vote; see the module docstring.

    Args:
        d: width of the embedding.
        n_classes, n_rows: classes, training rows to store.
        n_continuous, n_categorical: columns of a row.
    """

    def __init__(self, d: int, n_classes: int, n_rows: int, n_continuous: int, n_categorical: int):
        super().__init__()
        if not 2 <= n_rows <= MOST_ROWS:
            raise SettingsError(
                f"--retrieval keeps the training rows in the model: {n_rows:,} of them; accepted: 2 to {MOST_ROWS:,}"
            )
        self.n_classes = n_classes
        self.norm = nn.LayerNorm(d)
        self.register_buffer("continuous", torch.zeros(n_rows, n_continuous))
        self.register_buffer("missing", torch.zeros(n_rows, n_continuous, dtype=torch.bool))
        self.register_buffer("categorical", torch.zeros(n_rows, n_categorical, dtype=torch.int64))
        self.register_buffer("labels", torch.zeros(n_rows, dtype=torch.int64))
        self.register_buffer("groups", torch.arange(n_rows))
        self.near: Tensor | None = None
        self._keys: Tensor | None = None
        self.register_load_state_dict_post_hook(lambda module, _: module.forget())

    @property
    def rows(self) -> TableBatch:
        """The stored rows [m]."""
        return TableBatch(self.continuous, self.missing, self.categorical)

    def store(self, rows: TableBatch, labels: Tensor, groups: Tensor) -> None:
        """Keep training rows [m], their classes and groups [m] (rows of one group are no neighbours in training)."""
        for name, value in (*rows._asdict().items(), ("labels", labels), ("groups", groups)):
            getattr(self, name).copy_(value)
        self.near = nearest(rows.continuous.cpu().numpy(), groups.cpu().numpy())
        self.forget()

    def beside(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """Positions of an epoch [m]: the first half of `order`, each row followed by one of its near neighbours."""
        seeds = order[: len(order) // 2]
        drawn = torch.randint(COMPANIONS, (len(seeds),), generator=generator)
        pairs = torch.stack((seeds, self.near[seeds, drawn]), dim=1).flatten()
        return torch.cat((pairs, order[len(pairs) :]))

    def forget(self) -> None:
        """Embeddings of the stored rows are computed anew: the weights have changed."""
        self._keys = None

    def train(self, mode: bool = True) -> Retrieval:
        """As in torch; what was embedded before a training step is out of date after it."""
        if mode:
            self.forget()
        return super().train(mode)

    def keys(self, encode) -> Tensor:
        """Normed embeddings [m, d] of the stored rows; `encode` maps a TableBatch to embeddings [b, d]."""
        if self._keys is None or self._keys.device != self.labels.device:
            parts = [slice(start, start + CHUNK) for start in range(0, len(self.labels), CHUNK)]
            with torch.no_grad():
                self._keys = torch.cat([self.norm(encode(self.rows.rows(part))) for part in parts])
        return self._keys

    def forward(self, embedding: Tensor, keys: Tensor | None, known: Tensor | None = None) -> Tensor:
        """Log-probabilities [b, c] of embeddings [b, d].

        Args:
            keys: of the stored rows [m, d]; None in training, where the rows of the batch stand in for them.
            known: int64 [b], which of the stored rows these are; needed where `keys` is None.
        """
        query = self.norm(embedding)
        if keys is not None:
            return self._vote(-_distances(query, keys), self.labels)
        group = self.groups[known]
        alike = group[:, None] == group[None]
        vote = self._vote(-_distances(query, query).masked_fill(alike, _FAR), self.labels[known])
        # a row whose whole batch is of its own group has nobody to ask, and must not learn from itself
        return torch.where(alike.all(1, keepdim=True), -math.log(self.n_classes), vote)

    def _vote(self, closeness: Tensor, labels: Tensor) -> Tensor:
        share = torch.softmax(closeness, dim=1) @ nn.functional.one_hot(labels, self.n_classes).to(closeness.dtype)
        return torch.log(share + _LEAST)


def nearest(continuous: np.ndarray, groups: np.ndarray) -> Tensor:
    """The COMPANIONS nearest rows of another group [m, k] by the prepared columns [m, c]; the row itself where there is none."""
    own = np.arange(len(continuous))
    if not continuous.shape[1]:
        return torch.from_numpy(np.repeat(own[:, None], COMPANIONS, axis=1))
    _, found = cKDTree(continuous).query(continuous, min(_CANDIDATES, len(continuous)))
    other = groups[found] != groups[:, None]
    order = np.argsort(~other, axis=1, kind="stable")
    count = other.sum(axis=1)
    # fewer than wanted: they take turns
    turn = np.arange(COMPANIONS)[None] % np.maximum(count, 1)[:, None]
    chosen = np.take_along_axis(found, np.take_along_axis(order, turn, axis=1), axis=1)
    return torch.from_numpy(np.where(count[:, None] > 0, chosen, own[:, None]))


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances [b, m] of rows [b, d] and [m, d]; differentiable also where two rows are equal."""
    square = x.square().sum(1, keepdim=True) + y.square().sum(1) - 2.0 * x @ y.T
    # the square root has no derivative at zero, where every row is at its own place
    return (square.clamp_min(0.0) + 1e-9).sqrt()
