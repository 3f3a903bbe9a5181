"""The table of NeuralGCM: every contestant, both clocks, and forecasts that agree."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.gcm.bench import neural


def test_without_the_original_there_is_no_analysis(monkeypatch):
    monkeypatch.setattr(neural.importlib.util, "find_spec", lambda name: None)
    assert not neural.installed()
    with pytest.raises(SettingsError, match="not installed"):
        next(neural.measure())


def test_the_largest_difference_leaves_clouds_out():
    ours = {"temperature": np.full(4, 1.0), "u": np.full(4, 1.01), "specific_cloud_ice_water_content": np.full(4, 9.0)}
    theirs = {name: np.ones(4) for name in ours}
    assert neural.largest_difference(ours, theirs) == pytest.approx(0.01)


def test_an_analysis_survives_its_file(tmp_path):
    one = {"temperature": np.arange(6.0).reshape(1, 2, 3), "sim_time": np.float32(2.5)}
    neural.save_analysis(tmp_path / "a.npz", one, {"sea_ice_cover": np.ones((1, 2, 3))})
    inputs, forcings = neural.load_analysis(tmp_path / "a.npz")
    assert set(inputs) == set(one) and set(forcings) == {"sea_ice_cover"} and inputs["sim_time"] == 2.5
    np.testing.assert_array_equal(inputs["temperature"], one["temperature"])


@pytest.mark.slow
def test_the_table():
    pytest.importorskip("neuralgcm")
    rows = list(neural.measure(hours=1, repeats=1, members=2))
    assert [(r["implementation"], r["clock"]) for r in rows] == [
        (who, clock) for clock in ("cpu", "wall") for who in ("ours", "ours x 2", "neuralgcm")
    ]
    assert all(r["difference"] < 1e-4 and 0 < r["p20"] <= r["s_per_hour"] <= r["p80"] for r in rows)
    assert all(r["first_call_s"] > 0 and 0.1 < r["peak_memory_GB"] < 50 for r in rows)
    # each of a process of its own, and not of this one, which holds all of them
    assert max(r["peak_memory_GB"] for r in rows) < neural.peak_memory_gb()
    assert len({r["peak_memory_GB"] for r in rows}) == 3
