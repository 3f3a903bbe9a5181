"""The plain loop trains: it is a fair peer only if it does what ours does."""

import numpy as np
import torch
from PIL import Image

from sciml.pipelines.galaxy.bench import plain
from sciml.pipelines.timm_import import import_timm


def test_pictures_are_resized_and_normalised(tmp_path):
    Image.fromarray(np.full((30, 30, 3), 51, np.uint8)).save(tmp_path / "a.png")
    pictures = plain.Pictures([tmp_path / "a.png"], [1], plain.transforms(16, (0.1,) * 3, (0.5,) * 3))
    image, label = pictures[0]
    assert image.shape == (3, 16, 16) and label == 1 and len(pictures) == 1
    # a turned picture has black corners; the middle stays
    torch.testing.assert_close(image[:, 6:10, 6:10], torch.full((3, 4, 4), (0.2 - 0.1) / 0.5))


def test_an_epoch_learns(tmp_path):
    import_timm()
    for i in range(8):
        Image.fromarray(np.full((20, 20, 3), 250 * (i % 2), np.uint8)).save(tmp_path / f"{i}.png")
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    pictures = plain.Pictures(paths, [i % 2 for i in range(8)], plain.transforms(32, (0.5,) * 3, (0.5,) * 3))
    torch.manual_seed(0)
    model = plain.network("test_resnet", 32)
    epoch = plain.loop(model, pictures, 8, "cpu")
    images = torch.stack([pictures[i][0] for i in range(8)])
    loss = lambda: torch.nn.functional.cross_entropy(model.train()(images), torch.arange(8) % 2).item()  # noqa: E731
    before = loss()
    for _ in range(12):
        epoch()
    assert loss() < 0.5 * before
