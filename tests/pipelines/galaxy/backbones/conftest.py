"""Folders of weights for the tests of the backbones."""

import json

import pytest
from safetensors.torch import save_file

from sciml.pipelines.timm_import import import_timm


@pytest.fixture
def save_encoder(tmp_path):
    """save_encoder(timm name, mean=..., **arguments) -> (folder in timm's layout with random weights, the network)."""

    def save(name="test_resnet", mean=(0.5, 0.4, 0.3), folder="encoder", **arguments):
        network = import_timm().create_model(name, num_classes=0, **arguments).eval()
        path = tmp_path / folder
        path.mkdir()
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path / "model.safetensors")
        cfg = {"mean": list(mean), "std": [0.2, 0.2, 0.2], "input_size": [3, 160, 160], "num_classes": 0}
        cfg |= {name: getattr(network, "pretrained_cfg", {}).get(name) for name in ("first_conv", "classifier")}
        plain = {"architecture": name, "num_classes": 0, "model_args": arguments, "pretrained_cfg": cfg}
        (path / "config.json").write_text(json.dumps(plain))
        return path, network

    return save
