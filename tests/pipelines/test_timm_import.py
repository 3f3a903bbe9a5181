"""timm imports whatever torchvision was built for; other failures pass through."""

import subprocess
import sys
import types

import pytest

from sciml.pipelines import timm_import


class Refuses:
    """An import hook that fails for timm, as often as told."""

    def __init__(self, error, times):
        self.error, self.times = error, times

    def find_spec(self, name, path=None, target=None):
        if name == "timm" and self.times > 0:
            self.times -= 1
            sys.modules["torchvision.half"] = types.ModuleType("torchvision.half")
            raise self.error
        return None


@pytest.fixture
def refuse(monkeypatch):
    """Make `import timm` fail so often, then find a stand-in module."""

    def install(error, times):
        for name in [name for name in sys.modules if name.split(".")[0] in ("timm", "torchvision")]:
            monkeypatch.delitem(sys.modules, name)
        hook = Refuses(error, times)
        monkeypatch.setattr(sys, "meta_path", [hook, *sys.meta_path])
        declared = []
        monkeypatch.setattr(timm_import, "_kept_alive", [])

        def declare():
            assert "torchvision.half" not in sys.modules
            declared.append(True)
            sys.modules["timm"] = types.ModuleType("timm")

        monkeypatch.setattr(timm_import, "_declare_operators", declare)
        return declared

    yield install
    sys.modules.pop("torchvision.half", None)
    sys.modules.pop("timm", None)


def test_the_cpu_trap_is_repaired(refuse):
    declared = refuse(RuntimeError("operator torchvision::nms does not exist"), 1)
    assert timm_import.import_timm().__name__ == "timm"
    assert declared == [True]


@pytest.mark.parametrize("error", [RuntimeError("CUDA driver is too old"), ImportError("no module named timm")])
def test_another_failure_is_not_hidden(refuse, error):
    declared = refuse(error, 1)
    with pytest.raises(type(error), match=str(error)):
        timm_import.import_timm()
    assert declared == []


@pytest.mark.slow
def test_a_backbone_runs_after_the_import():
    code = (
        "from sciml.pipelines.timm_import import import_timm; import torch\n"
        "model = import_timm().create_model('resnet18', num_classes=3, in_chans=5)\n"
        "print(tuple(model(torch.zeros(1, 5, 64, 64)).shape))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(1, 3)", done.stderr
