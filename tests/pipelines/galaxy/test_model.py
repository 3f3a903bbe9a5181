"""The whole model: the same from shape and seed, rebuilt from its file, with either modality missing, frozen, in bfloat16."""

import json
from dataclasses import replace

import pytest
import torch

from sciml.pipelines.checkpoint import load_tensors, save_tensors
from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.fusion.registry import FUSIONS
from sciml.pipelines.galaxy.model import ModelShape, build, rebuild
from sciml.pipelines.galaxy.tabular.batch import TableBatch
from sciml.pipelines.galaxy.tabular.embeddings import quantile_edges

SMALL = ModelShape(
    image_size=16, n_bands=2, n_continuous=3, cardinalities=(3,), d_fusion=8, n_classes=3,
    backbone_arguments={"widths": (4, 4, 6, 8)}, table_arguments={"d_block": 8, "n_heads": 2},
)  # fmt: skip
SOME, OTHER = torch.tensor([True, False, True, True]), torch.tensor([True, True, False, True])
KINDS = {
    **{fusion: replace(SMALL, fusion=fusion) for fusion in FUSIONS},
    "image": replace(SMALL, table="", table_arguments={}),
    "table": replace(SMALL, backbone="", backbone_arguments={}),
    "mlp": replace(SMALL, table="mlp", table_arguments={"d_block": 8, "embedding": "piecewise"}, n_bins=4),
    "tab": replace(SMALL, table="tab_transformer", table_arguments={"d_token": 8}, n_bins=4, cardinalities=()),
    "vit": replace(SMALL, backbone="test_vit", backbone_arguments={"patch_size": 8}, fusion="early", image_size=32),
    "statmorph": replace(SMALL, backbone="statmorph", backbone_arguments={"d_image": 8}, image_size=48),
}


def data(shape, n=4):
    made = torch.Generator().manual_seed(3)
    image = torch.randn(n, shape.n_bands, shape.image_size, shape.image_size, generator=made)
    codes = torch.randint(0, 3, (n, len(shape.cardinalities)), generator=made)
    numbers = torch.randn(n, shape.n_continuous, generator=made)
    return image, TableBatch(numbers, torch.rand(n, shape.n_continuous, generator=made) < 0.2, codes)


def make(kind, seed=0):
    shape = KINDS[kind]
    image, table = data(shape, 40)
    model = build(
        shape, seed, mean=(0.1,) * shape.n_bands, std=(1.5,) * shape.n_bands,
        edges=quantile_edges(table, shape.n_bins) if shape.n_bins else None,
    )  # fmt: skip
    if kind == "statmorph":
        model.backbone.fit(image[:4])
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_rebuilt_from_its_file(kind, tmp_path):
    model = make(kind).eval()
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    save_tensors(tmp_path / "model.safetensors", arrays, {"shape": model.shape.to_dict()})
    arrays, header = load_tensors(tmp_path / "model.safetensors")
    shape = ModelShape.from_dict(header["shape"])
    again = rebuild(shape).eval()
    again.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    image, table = data(shape)
    with torch.no_grad():
        want = model(image, table)
        assert want.shape == (4, 3) and torch.isfinite(want).all()
        assert torch.equal(again(image, table), want)
        present = {} if kind in ("image", "table") else {"image_present": SOME, "table_present": OTHER}
        assert torch.equal(again(image, table, **present), model(image, table, **present))


@pytest.mark.parametrize("kind", ["cross", "table", "vit"])
def test_weights_depend_on_shape_and_seed_alone(kind):
    torch.manual_seed(1)
    one = make(kind, 7).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    two = make(kind, 7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    three = make(kind, 8).state_dict()
    assert any(not torch.equal(one[name], three[name]) for name in one)


@pytest.mark.parametrize("kind", FUSIONS)
def test_what_is_absent_does_not_matter(kind):
    model = make(kind).eval()
    image, table = data(model.shape)
    wild = image.clone()
    wild[~SOME] = torch.nan
    numbers, codes = table.continuous.clone(), table.categorical.clone()
    numbers[~OTHER], codes[~OTHER] = torch.inf, 2
    with torch.no_grad():
        want = model(image, table, SOME, OTHER)
        assert torch.equal(model(wild, table._replace(continuous=numbers, categorical=codes), SOME, OTHER), want)
        nobody = torch.zeros(4, dtype=torch.bool)
        assert torch.allclose(model(None, table), model(wild, table, nobody), atol=1e-6)
        assert torch.allclose(model(image, None), model(image, table, None, nobody), atol=1e-6)
        assert torch.allclose(
            model(image, table, SOME, OTHER)[3], model(image[3:], table.rows(slice(3, 4)))[0], atol=1e-6
        )


@pytest.mark.parametrize("kind", FUSIONS)
def test_the_order_of_columns_does_not_matter_if_their_embeddings_move_along(kind):
    model = make(kind).eval()
    image, table = data(model.shape)
    order = torch.tensor([2, 0, 1])
    moved = table._replace(continuous=table.continuous[:, order], missing=table.missing[:, order])
    with torch.no_grad():
        for parameter in model.fusion.parameters():
            # film starts blind to the table
            parameter.add_(0.1 * torch.randn_like(parameter))
        want = model(image, table)
        assert not torch.allclose(model(image, moved), want, atol=1e-6)
        tokenizer = model.table.tokenizer
        for parameter in (tokenizer.missing, tokenizer.continuous.weight, tokenizer.continuous.bias):
            parameter.copy_(parameter[order])
        assert torch.allclose(model(image, moved), want, atol=1e-5)


@pytest.mark.parametrize("kind", ["cross", "image"])
def test_batch_statistics_see_no_absent_image(kind):
    """One present image still trains, and NaN pixels of the absent ones reach no statistic."""
    model = make(kind).train()
    image, table = data(model.shape)
    image[1:] = torch.nan
    model(image, table, torch.tensor([True, False, False, False])).square().sum().backward()
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_single_modality_model_ignores_the_other_and_knows_absence():
    image, table = data(SMALL)
    of_image, of_table = make("image").eval(), make("table").eval()
    with torch.no_grad():
        assert torch.equal(of_image(image, table), of_image(image)) and torch.equal(
            of_table(image, table), of_table(None, table)
        )
        assert torch.allclose(of_image(image, None, SOME)[1], of_image.head(of_image.fusion.missing), atol=1e-6)
    with pytest.raises(SettingsError, match="neither of the modalities"):
        of_image(None, table)


def test_modality_dropout_hides_in_training_only():
    model = build(
        replace(SMALL, image_dropout=0.5, table_dropout=0.5, fusion="late_average", fusion_arguments={"dropout": 0.0})
    )
    image, table = data(SMALL)
    with torch.no_grad():
        assert torch.equal(model.eval()(image, table), model(image, table))
        only_image, only_table = model(image, None), model(None, table)
        features, tokens = model.encode_image(image), model.encode_table(table)
        model.train()
        drawn = torch.stack([model.head(model.fuse(features, tokens)) for _ in range(20)])
    hidden_table = (drawn - only_image).abs().amax(-1) < 1e-6
    hidden_image = (drawn - only_table).abs().amax(-1) < 1e-6
    assert (hidden_table | hidden_image).all() and hidden_table.any() and hidden_image.any()


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_under_autocast(kind):
    """bfloat16 changes the logits by its rounding and no gradient becomes NaN."""
    model = make(kind).eval()
    image, table = data(model.shape)
    present = {} if kind in ("image", "table") else {"image_present": SOME, "table_present": OTHER}
    with torch.no_grad():
        want = model(image, table, **present)
    with torch.autocast("cpu", torch.bfloat16):
        got = model(image, table, **present)
    assert (got.float() - want).abs().max() < 0.15 * max(1.0, float(want.abs().max()))
    got.float().square().sum().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and all(torch.isfinite(grad).all() for grad in grads)


def test_it_learns_what_only_both_modalities_tell():
    """The class is the sign of a pixel pattern times that of a column: neither modality alone knows it."""
    torch.manual_seed(0)
    image, _ = data(SMALL, 64)
    number = torch.randn(64, 3)
    sign = torch.randn(64).sign()
    image = 0.1 * image + sign[:, None, None, None] * torch.linspace(-1, 1, 16)
    label = (sign * number[:, 0] > 0).long()
    table = TableBatch(number, torch.zeros(64, 3, dtype=torch.bool), torch.ones(64, 1, dtype=torch.int64))
    table_arguments = {"dropout": 0.0, "d_block": 16}
    shape = replace(SMALL, n_classes=2, table="mlp", table_arguments=table_arguments, fusion_arguments={"dropout": 0.0})
    model = build(shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(image, table), label)
        loss.backward()
        optimizer.step()
    assert (model.eval()(image, table).argmax(1) == label).float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*FUSIONS, "mlp", "tab"])
def test_a_traced_model_takes_any_number_of_objects(kind):
    """No batch size may be baked into the graph: exporters record shapes, not lengths."""
    model = make(kind).eval().requires_grad_(False)

    def plain(image, continuous, missing, categorical):
        return model(image, TableBatch(continuous, missing, categorical))

    image, table = data(model.shape, 4)
    traced = torch.jit.trace(plain, (image, *table), check_trace=False)
    image, table = data(model.shape, 7)
    assert torch.allclose(traced(image, *table), model(image, table), atol=1e-6)


def test_a_frozen_backbone_stays_as_it_is():
    model = make("cross")
    assert model.freeze_backbone() is model and model.frozen
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    model.train()
    assert not model.backbone.training and model.fusion.training
    image, table = data(SMALL)
    model(image, table).square().sum().backward()
    assert all(p.grad is None for p in model.backbone.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.backbone.state_dict().items())
    model.freeze_backbone(False)
    assert model.backbone.training and all(p.requires_grad for p in model.backbone.parameters())


def test_letting_go_trains_no_more_than_before():
    model = build(replace(SMALL, backbone="mobilenetv4_conv_small", backbone_arguments={}, image_size=32))
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) < len(list(model.parameters()))
    model.freeze_backbone().freeze_backbone(False)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == trained


def test_a_shape_survives_json():
    shape = build(KINDS["vit"]).shape
    assert shape.network == {"architecture": "test_vit", "arguments": {"patch_size": 8}}
    assert ModelShape.from_dict(json.loads(json.dumps(shape.to_dict()))) == shape
    with pytest.raises(DataError, match="does not describe a galaxy model.*colour"):
        ModelShape.from_dict({"colour": "red"})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"backbone": "", "table": ""}, "a backbone, a table encoder or both"),
        ({"n_classes": 1}, "at least 2 classes, got 1"),
        ({"n_bands": 0}, "16 px and 0 bands are no images"),
        ({"table": "tabnet"}, 'unknown table encoder "tabnet"'),
        ({"fusion": "middle"}, 'unknown fusion "middle"'),
    ],
)
def test_impossible_shapes_are_named(change, message):
    with pytest.raises(SettingsError, match=message):
        replace(SMALL, **change)


def test_bins_must_fit_the_columns():
    with pytest.raises(SettingsError, match=r"bins \[2, 5\] do not fit 3 columns and n_bins = 4"):
        build(KINDS["mlp"], edges=torch.zeros(2, 5))
