"""Two finished vectors, concatenated or averaged."""

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.fusion.late import LateFusion

SOME, OTHER = torch.tensor([True, False, True, True]), torch.tensor([True, True, False, True])


def test_the_average_leaves_out_who_is_absent(modalities):
    image, table = modalities
    fusion = LateFusion(10, 7, 8, mode="average").double().eval()
    i = fusion.image.project(fusion.image.norm(image.pooled))
    t = fusion.table.project(fusion.table.norm(table[:, 0]))
    want = torch.stack([(i[0] + t[0]) / 2, t[1], i[2], (i[3] + t[3]) / 2])
    assert torch.allclose(fusion(image, table, SOME, OTHER), want, atol=1e-14)


def test_concatenation_is_one_layer(modalities):
    image, table = modalities
    fusion = LateFusion(10, 7, 8).double().eval()
    i = fusion.image.project(fusion.image.norm(image.pooled))
    t = fusion.table.project(fusion.table.norm(table[:, 0]))
    assert torch.allclose(fusion(image, table), torch.relu(fusion.join(torch.cat((i, t), 1))), atol=1e-14)


def test_another_mode_is_refused():
    with pytest.raises(SettingsError, match='unknown late fusion "vote"; accepted: concatenate, average'):
        LateFusion(1, 1, mode="vote")
