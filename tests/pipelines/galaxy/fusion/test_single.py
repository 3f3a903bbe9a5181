"""One modality, the other ignored."""

import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.fusion.single import SingleModality


def test_the_pooled_vector_or_the_learned_one(modalities):
    image, table = modalities
    some = torch.tensor([True, False, True, True])
    of_image, of_table = SingleModality("image", 10).double(), SingleModality("table", 7).double()
    assert torch.equal(of_image(image, None), image.pooled) and torch.equal(of_table(None, table), table[:, 0])
    assert torch.equal(of_table(image, table, None, some)[1], of_table.missing)
    assert torch.equal(of_table(image, None), of_table.missing.expand(4, -1))
    with pytest.raises(SettingsError, match='unknown modality "both"'):
        SingleModality("both", 3)
