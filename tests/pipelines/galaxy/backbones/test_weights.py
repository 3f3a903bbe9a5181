"""Where weights come from, and how soon and how clearly it is said that they are not to be had."""

import http.server
import json
import socket
import threading
import time

import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.backbones import weights
from sciml.pipelines.galaxy.backbones.weights import hub_folder, reachable, read_folder, zoobot_folder


class Refusal(http.server.BaseHTTPRequestHandler):
    """Answers every request with 403."""

    def do_GET(self):
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *words):
        pass


@pytest.fixture
def hub(monkeypatch):
    """hub(address): the hub of this test, reached without a proxy, and nothing in the cache."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(weights, "cached_folder", lambda repository: None)
    return lambda address: monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{address[1]}")


@pytest.fixture
def refusing(hub):
    """A hub that refuses everything."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hub(server.server_address)
        yield
        server.shutdown()


@pytest.fixture
def silent(hub):
    """A hub that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        hub(server.getsockname())
        yield


def test_switched_off_is_said_at_once_with_the_recipe(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(weights, "cached_folder", lambda repository: None)
    start = time.perf_counter()
    with pytest.raises(DataError, match="zoobot:convnext_nano: not in the cache, and HF_HUB_OFFLINE is set") as caught:
        zoobot_folder("convnext_nano")
    assert "hf download mwalmsley/zoobot-encoder-convnext_nano config.json model.safetensors" in caught.value.hint
    assert "--backbone zoobot:zoobot-encoder-convnext_nano" in caught.value.hint
    assert time.perf_counter() - start < 5.0


def gives_up(seconds):
    start = time.perf_counter()
    with pytest.raises(DataError, match="timm/resnet18: not in the cache, and http://127.0.0.1:[0-9]+ does not answer"):
        hub_folder("timm/resnet18", "timm/resnet18")
    return time.perf_counter() - start < seconds


def test_a_silent_hub_is_given_up_within_seconds(silent, monkeypatch):
    assert weights._PATIENCE <= 3.0
    monkeypatch.setattr(weights, "_PATIENCE", 0.3)
    assert gives_up(5.0)


def test_a_hub_that_is_not_there_is_given_up_at_once(hub):
    hub(("", 9))
    assert gives_up(5.0)


def test_a_hub_that_refuses_is_quoted(refusing, monkeypatch):
    monkeypatch.setattr(weights, "_PATIENCE", 20.0)
    assert reachable()
    with pytest.raises(DataError, match="zoobot:resnet18: the download failed: .*403") as caught:
        zoobot_folder("resnet18")
    assert "copy the folder here" in caught.value.hint


def test_a_repository_has_an_owner_and_a_name():
    with pytest.raises(SettingsError, match='hf-hub:a b: "a b" is no name of a repository'):
        hub_folder("a b", "hf-hub:a b")


def test_a_folder_may_take_the_place_of_a_zoobot_name(save_encoder):
    folder, _ = save_encoder()
    assert zoobot_folder(str(folder)) == folder


def test_both_forms_of_the_configuration_are_read(save_encoder):
    folder, _ = save_encoder()
    found = read_folder(folder)
    assert found.architecture == "test_resnet" and found.pretrained_cfg["mean"] == [0.5, 0.4, 0.3]
    assert found.file == folder / "model.safetensors"
    flat = {"architecture": "test_resnet", "mean": [0.1, 0.1, 0.1], "num_classes": 3, "tag": "x"}
    (folder / "config.json").write_text(json.dumps(flat))
    found = read_folder(folder)
    assert found.architecture == "test_resnet" and found.pretrained_cfg == {"mean": [0.1, 0.1, 0.1], "num_classes": 3}


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is no timm configuration"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "config.json is no timm configuration"),
        (lambda folder: (folder / "config.json").write_text("{}"), "no timm configuration: KeyError"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "has no model.safetensors; pytorch_model.bin needs pickle, which is never executed",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(damage, message, save_encoder):
    folder, _ = save_encoder()
    damage(folder)
    with pytest.raises(DataError, match=message) as caught:
        read_folder(folder)
    assert "config.json and model.safetensors" in caught.value.hint


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(DataError, match="absent is no folder"):
        read_folder(tmp_path / "absent")
