"""Mean and standard deviation per channel, ignoring missing values: z = (x - mean) / std.

Convention: channels on the last axis; population standard deviation (divisor n, or the sum of weights); arithmetic in
float64. A channel without spread keeps std 1, so that it becomes 0 and not NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sciml.pipelines.errors import DataError

_LEAST_SPREAD = 1e-12  # relative to the mean: below it a float64 channel is constant up to rounding


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of c channels: `mean` [c], `std` [c] (positive), names of the channels or ()."""

    mean: np.ndarray
    std: np.ndarray
    channels: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "mean", np.atleast_1d(np.asarray(self.mean, dtype=np.float64)))
        object.__setattr__(self, "std", np.atleast_1d(np.asarray(self.std, dtype=np.float64)))
        if self.mean.shape != self.std.shape or self.mean.ndim != 1:
            raise DataError(
                f"normalization needs one mean and one std per channel, got {self.mean.shape} and {self.std.shape}"
            )
        if self.channels and len(self.channels) != self.mean.size:
            raise DataError(
                f"{len(self.channels)} channel names for {self.mean.size} channels: {', '.join(self.channels)}"
            )
        if not np.isfinite(self.mean).all() or not (np.isfinite(self.std) & (self.std > 0)).all():
            raise DataError(f"normalization is not finite and positive: mean {self.mean}, std {self.std}")

    @classmethod
    def fit(cls, values, *, weights=None, channels: Sequence[str] = ()) -> "Statistics":
        """Fit to `values` [..., c], NaN left out.

        Args:
            values: any real dtype.
            weights: non-negative, broadcastable to the shape [...] without the channel axis.
            channels: names, for messages and for the file.

        Raises:
            DataError: a channel has no finite value of positive weight.
        """
        x = np.asarray(values, dtype=np.float64)
        x = x.reshape(-1, 1) if x.ndim < 2 else x
        w = np.ones(x.shape[:-1]) if weights is None else np.broadcast_to(np.asarray(weights, np.float64), x.shape[:-1])
        w = np.where(np.isfinite(x), w[..., None], 0.0).reshape(-1, x.shape[-1])
        x = np.nan_to_num(x.reshape(-1, x.shape[-1]), nan=0.0, posinf=0.0, neginf=0.0)
        total = w.sum(axis=0)
        if not (total > 0).all():
            empty = int(np.argmin(total > 0))
            name = repr(channels[empty]) if len(channels) > empty else f"{empty + 1} of {total.size}"
            raise DataError(
                f"channel {name} has no value to normalize by", hint="drop the channel, or widen the period"
            )
        mean = (w * x).sum(axis=0) / total
        # Deviations around the mean, not the difference of squares, which cancels for pressures near 1e5 Pa.
        std = np.sqrt((w * (x - mean) ** 2).sum(axis=0) / total)
        std = np.where(std > _LEAST_SPREAD * np.maximum(np.abs(mean), _LEAST_SPREAD), std, 1.0)
        return cls(mean, std, tuple(str(name) for name in channels))

    def apply(self, values):
        """Normalized values [..., c]; NaN stays NaN, float32 stays float32."""
        x = np.asarray(values)
        return ((x - self.mean) / self.std).astype(_float_of(x))

    def invert(self, values):
        """Original units from normalized values [..., c]."""
        z = np.asarray(values)
        return (z * self.std + self.mean).astype(_float_of(z))

    def to_json(self) -> dict[str, list]:
        """A JSON object; its numbers read back are the same bits."""
        return {"channels": list(self.channels), "mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_json(cls, obj: Mapping[str, Sequence]) -> "Statistics":
        """From the object of `to_json`.

        Raises:
            DataError: "mean" or "std" is missing or no list of numbers.
        """
        try:
            mean, std = np.asarray(obj["mean"], np.float64), np.asarray(obj["std"], np.float64)
            channels = tuple(str(name) for name in obj.get("channels", ()))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"normalization statistics cannot be read: {error!r}", hint='expected {"mean": [...], "std": [...]}'
            ) from error
        return cls(mean, std, channels)


def _float_of(x: np.ndarray) -> np.dtype:
    return x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
