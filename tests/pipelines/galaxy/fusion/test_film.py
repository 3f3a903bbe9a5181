"""Modulation starts as none, and is none where the table is absent."""

import torch

from sciml.pipelines.galaxy.fusion.film import FilmFusion


def test_it_starts_as_the_image_alone(modalities):
    image, table = modalities
    fusion = FilmFusion(10, 7, 8, dropout=0.0).double().eval()
    assert torch.equal(fusion(image, table), fusion(image, 5.0 * table))
    assert torch.allclose(fusion(image, table), fusion(image, None), atol=1e-14)


def test_the_table_scales_and_shifts(modalities):
    image, table = modalities
    fusion = FilmFusion(10, 7, 8, n_blocks=1, dropout=0.0).double().eval()
    with torch.no_grad():
        fusion.modulate[0].weight.normal_()
    tokens = torch.cat((image.pooled[:, None], image.tokens), 1)
    x = fusion.image.project(fusion.image.norm(tokens))
    gamma, beta = fusion.modulate[0](torch.relu(fusion.table.project(fusion.table.norm(table[:, 0])))).chunk(2, 1)
    x = x + fusion.mix[0](torch.relu((1 + gamma[:, None]) * fusion.norms[0](x) + beta[:, None]))
    want = torch.relu(fusion.out(torch.cat((x[:, 0], x.mean(1)), 1)))
    assert torch.allclose(fusion(image, table), want, atol=1e-13)
    absent = torch.zeros(4, dtype=torch.bool)
    assert torch.equal(fusion(image, table, None, absent), fusion(image, 2 * table, None, absent))
