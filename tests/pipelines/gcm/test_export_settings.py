"""Settings of `sciml gcm export`."""

from pathlib import Path

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.export_settings import Export


def test_a_checkpoint_must_be_named():
    with pytest.raises(SettingsError, match="no checkpoint named"):
        Export()
    assert Export(checkpoint=Path("a.pkl")).to == Path("neuralgcm-model")
