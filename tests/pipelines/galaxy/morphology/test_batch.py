"""One batch measured whole: nothing depends on who else is in it."""

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.morphology.batch import Record, measure_batch
from sciml.pipelines.galaxy.morphology.definitions import BITS, Definitions
from sciml.pipelines.galaxy.morphology.stamps import cut, gather
from sciml.pipelines.galaxy.morphology.table import COLUMNS


@pytest.fixture(scope="module")
def cuts(galaxies):
    parts = zip(galaxies.images, galaxies.segmaps, galaxies.labels, strict=True)
    return [cut(image, segmap, label, Definitions()) for image, segmap, label in parts]


def test_parts_and_neighbours_do_not_matter(cuts):
    together = measure_batch([gather(cuts[:5], Definitions())], Definitions())[0]
    apart = measure_batch([gather(cuts[:2], Definitions()), gather(cuts[2:5], Definitions())], Definitions())
    assert set(together.columns) == set(COLUMNS) | {"flag_sersic"}
    for name, values in together.columns.items():
        joined = torch.cat([record.columns[name] for record in apart]).double()
        np.testing.assert_allclose(values.double(), joined, rtol=5e-3, atol=2e-3, err_msg=name)
    assert torch.equal(together.reasons, torch.cat([record.reasons for record in apart]))


def test_the_fit_can_be_left_out(cuts):
    record = measure_batch([gather(cuts[:2], Definitions())], Definitions(), fit_sersic=False)[0]
    assert "sersic_n" not in record.columns and "gini" in record.columns


def test_reasons_add_up():
    record = Record(torch.zeros(2, dtype=torch.int64))
    record.doubt("skybox", torch.tensor([True, False]))
    record.doubt("m20", torch.tensor([True, True]))
    assert record.reasons.tolist() == [BITS["skybox"] | BITS["m20"], BITS["m20"]]
