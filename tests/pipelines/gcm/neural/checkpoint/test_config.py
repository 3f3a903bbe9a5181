"""The one name under which all settings nodes stand."""

from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import papers
from sciml.pipelines.gcm.neural.checkpoint.nodes import KINDS


def test_every_kind_is_here():
    ours = {name for name, kind in KINDS.items() if kind.__module__.startswith("sciml.")}
    assert ours - set(c.__all__) == set() and len(ours) > 60
    assert all(hasattr(c, name) for name in c.__all__)


def test_settings_are_hashable_and_survive_json():
    for name in papers.NAMES:
        config = papers.config(name)
        again = c.from_json(c.to_json(config), c.ModelConfig)
        assert again == config and hash(again) == hash(config)
