"""The loop most people write around a timm model: a Dataset that opens a picture, torchvision transforms, a DataLoader.

The same pictures, size, turns and flips as ours; the transforms stand in the order that costs least (resized first).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sciml.pipelines.timm_import import import_timm


class Pictures(Dataset):
    """(picture [band, y, x], label) of each path."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], transform: Callable):
        self.paths, self.labels, self.transform = list(paths), list(labels), transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[i]) as picture:
            return self.transform(picture.convert("RGB")), int(self.labels[i])


def transforms(size: int, mean: Sequence[float], std: Sequence[float]) -> Callable:
    """Resize, flips, a turn by any angle, tensor, normalisation."""
    import_timm()  # which makes torchvision importable beside a torch it was not built for
    from torchvision import transforms as t

    turn = t.RandomRotation(180, t.InterpolationMode.BILINEAR)
    steps = [t.Resize((size, size)), t.RandomHorizontalFlip(), t.RandomVerticalFlip(), turn]
    return t.Compose([*steps, t.ToTensor(), t.Normalize(tuple(mean), tuple(std))])


def network(name: str, size: int) -> nn.Module:
    """The timm model for three bands and two classes."""
    timm = import_timm()
    try:
        return timm.create_model(name, num_classes=2, in_chans=3, img_size=size)
    except TypeError:  # most take any size and do not know the word
        return timm.create_model(name, num_classes=2, in_chans=3)


def loop(
    model: nn.Module, pictures: Pictures, batch_size: int, device: str, precision: str = "float32", workers: int = 0
) -> Callable[[], None]:
    """A function that trains one epoch."""
    loader = DataLoader(
        pictures, batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
        pin_memory=device != "cpu",
    )  # fmt: skip
    model = model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def epoch() -> None:
        for image, label in loader:
            train_step(model, optimizer, image.to(device), label.to(device), precision)

    return epoch


def train_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, image: Tensor, label: Tensor, precision: str
) -> None:
    """One step on a batch [b, band, y, x] with labels [b]."""
    arithmetic = torch.autocast(image.device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()
    optimizer.zero_grad()
    with arithmetic:
        loss = F.cross_entropy(model(image), label)
    loss.backward()
    optimizer.step()
