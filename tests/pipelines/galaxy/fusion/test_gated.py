"""The gate: between the modalities, and shut for an absent one."""

import torch

from sciml.pipelines.galaxy.fusion.gated import GatedFusion


def test_gate_zero_is_the_table_and_gate_one_the_image(modalities):
    image, table = modalities
    fusion = GatedFusion(10, 7, 8).double().eval()
    own = {
        -1e6: torch.tanh(fusion.from_table(fusion.table.project(fusion.table.norm(table[:, 0])))),
        1e6: torch.tanh(fusion.from_image(fusion.image.project(fusion.image.norm(image.pooled)))),
    }
    for bias, alone in own.items():
        with torch.no_grad():
            fusion.gate.bias.fill_(bias)
        assert torch.allclose(fusion(image, table), alone, atol=1e-14)


def test_an_absent_modality_shuts_the_gate(modalities):
    image, table = modalities
    fusion = GatedFusion(10, 7, 8).double().eval()
    some = torch.tensor([True, False, True, False])
    without = fusion(image, table, some, None)
    assert torch.allclose(
        without[~some], torch.tanh(fusion.from_table(fusion.table.project(fusion.table.norm(table[:, 0]))))[~some]
    )
    assert torch.equal(without[some], fusion(image, table)[some])
