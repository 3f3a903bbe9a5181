"""Cross-attention against torch's own layer, its gate, and the single similarity of the shared variant."""

import pytest
import torch
import torch.nn.functional as F

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.fusion.cross_attention import CrossAttentionFusion, SharedAttention
from sciml.pipelines.galaxy.transformer import recorded_attention


def test_table_to_image_is_torch_attention_step_by_step(modalities):
    torch.manual_seed(0)
    image, table = modalities
    fusion = CrossAttentionFusion(10, 7, 8, n_blocks=1, n_heads=2, dropout=0.0, positions=(3, 2)).double().eval()
    keys = torch.cat((image.pooled[:, None], image.tokens), 1)
    keys = fusion.image.project(fusion.image.norm(keys))
    keys = torch.cat((keys[:, :1], keys[:, 1:] + fusion.image.positions.flatten(1).T), 1)
    x, block = fusion.table.project(fusion.table.norm(table)), fusion.blocks[0]
    layer = block.attention
    packed = torch.cat([part.weight for part in (layer.query, layer.key, layer.value)])
    biases = torch.cat([part.bias for part in (layer.query, layer.key, layer.value)])
    q, k = block.norm(x).transpose(0, 1), fusion.context_norm(keys).transpose(0, 1)
    y, _ = F.multi_head_attention_forward(
        q, k, k, 8, 2, packed, biases, None, None, False, 0.0, layer.out.weight, layer.out.bias, need_weights=False
    )  # fmt: skip
    x = x + y.transpose(0, 1)
    x = x + block.ffn(block.ffn_norm(x))
    assert torch.allclose(fusion(image, table), fusion.norm(x[:, 0]), atol=1e-13)


@pytest.mark.parametrize("direction", ["table_to_image", "bidirectional", "shared"])
def test_with_closed_gates_the_table_stands_alone(direction, modalities):
    image, table = modalities
    fusion = CrossAttentionFusion(10, 7, 8, direction=direction, n_heads=2, dropout=0.0).double().eval()
    with torch.no_grad():
        for name, parameter in fusion.named_parameters():
            if name.endswith("gate"):
                parameter.zero_()
    alone = fusion.table.project(fusion.table.norm(table[:, 0]))
    if direction == "table_to_image":
        assert torch.allclose(fusion(image, table), fusion.norm(alone), atol=1e-14)
        assert torch.equal(fusion(image, table), fusion(image._replace(tokens=image.tokens + 3.0), table))
    else:
        # both streams reach the output as they came in: no token but the pooled ones matters
        assert torch.equal(fusion(image, table), fusion(image._replace(tokens=image.tokens + 3.0), table))


def test_shared_attention_uses_one_similarity_both_ways():
    torch.manual_seed(0)
    layer = SharedAttention(8, 2).double()
    table, image = torch.randn(3, 4, 8).double(), torch.randn(3, 6, 8).double()

    def heads(x):
        return x.unflatten(-1, (2, 4)).transpose(1, 2)

    similarity = heads(layer.match[0](table)) @ heads(layer.match[1](image)).transpose(-1, -2) / 2.0
    to_table = similarity.softmax(-1) @ heads(layer.value[1](image))
    to_image = similarity.transpose(-1, -2).softmax(-1) @ heads(layer.value[0](table))
    got = layer(table, image, None, None)
    assert torch.allclose(got[0], layer.out[0](to_table.transpose(1, 2).flatten(2)), atol=1e-14)
    assert torch.allclose(got[1], layer.out[1](to_image.transpose(1, 2).flatten(2)), atol=1e-14)
    with recorded_attention(layer) as maps:
        layer(table, image, None, None)
    assert torch.allclose(maps[""], similarity.softmax(-1), atol=1e-14)


def test_wrong_settings_are_named():
    with pytest.raises(SettingsError, match='unknown cross-attention "both"'):
        CrossAttentionFusion(4, 4, 8, direction="both")
    with pytest.raises(SettingsError, match="9 does not divide into 4"):
        SharedAttention(9, 4)
