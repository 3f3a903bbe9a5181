"""Settings of `sciml bench neural`."""

import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.bench_settings import BenchNeural


@pytest.mark.parametrize("name", ["hours", "repeats", "members"])
def test_counts_are_positive(name):
    with pytest.raises(SettingsError, match=f"--{name} 0"):
        BenchNeural(**{name: 0})
    assert getattr(BenchNeural(**{name: 3}), name) == 3


def test_hours_of_a_comparison_are_not_negative():
    with pytest.raises(SettingsError, match="--parity 1,-1"):
        BenchNeural(parity=(1, -1))
    assert BenchNeural(parity=(0, 24)).parity == (0, 24)
