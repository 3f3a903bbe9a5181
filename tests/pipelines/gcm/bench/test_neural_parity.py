"""Rows of the table of parity, and how a table grows; with the original's package, the rows of a real checkpoint."""

import dataclasses
import pickle

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.bench import neural_parity as module
from sciml.pipelines.gcm.bench.neural import demonstration
from sciml.pipelines.gcm.neural.checkpoint import papers, unpickle
from sciml.pipelines.measurements import write_csv

FIELD = np.arange(1.0, 9.0).reshape(1, 2, 4)


def test_differences_are_relative_and_a_lacking_field_is_infinitely_far():
    theirs = {"temperature": FIELD, "surface_pressure": FIELD, "geopotential": FIELD, "something_else": FIELD}
    found = module.relative_l2({"temperature": 1.01 * FIELD, "surface_pressure": FIELD[0]}, theirs)
    assert found == {"temperature": pytest.approx(0.01), "surface_pressure": 0.0, "geopotential": np.inf}


def row(weights, seed=0, value=1e-6):
    return dict(zip(module.COLUMNS, ("m", weights, seed, 1, "temperature", value, 1e-5, "a, b"), strict=True))


def test_a_table_grows_and_a_measurement_made_again_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "parity.csv"
    for rows in ([row("a")], [row("b")], [row("b", seed=1)], [row("a", value=2e-6)]):
        write_csv(path, module.merged(path, rows), "sciml bench neural", {})
    found = module.merged(path, [])
    assert [(x["weights"], x["seed"], x["relative_l2"]) for x in found] == [
        ("b", "0", "1e-06"), ("b", "1", "1e-06"), ("a", "0", "2e-06"),
    ]  # fmt: skip
    assert found[0]["command"] == "a, b"


def test_another_table_is_not_overwritten(tmp_path):
    (tmp_path / "a.csv").write_text("# x\na,b\n1,2\n")
    with pytest.raises(DataError, match=r"a\.csv: not a table"):
        module.merged(tmp_path / "a.csv", [row("a")])


def test_models_are_named_by_their_settings(monkeypatch, tmp_path):
    config = papers.config("neuralgcm-1.4")
    for settings, name in ((config, "neuralgcm-1.4"), (dataclasses.replace(config, step_seconds=1800.0), "mine")):
        loaded = dataclasses.make_dataclass("Loaded", ["config"])(settings)
        monkeypatch.setattr(module.store, "load", lambda path, loaded=loaded: loaded)
        assert module.model_name(tmp_path / "mine.seed1.pkl") == name


# What users append to a checkpoint's settings: mass that is kept, surface pressure in the output, a warmer sea.
EDIT = """
dycore/SequentialStepFilter.filter_modules = (@dycore/ExponentialFilter, @stability/ExponentialFilter, @FixGlobalMeanFilter)
StochasticPhysicsParameterizationStep.diagnostics_module = @SurfacePressureDiagnostics
DimensionalLearnedPrimitiveToWeatherbenchDecoder.diagnostics_module = @NodalModelDiagnosticsDecoder
DimensionalLearnedPrimitiveToWeatherbenchDecoder.inputs_to_units_mapping = {
    'sim_time': 'dimensionless', 't': 'kelvin', 'u': 'meter / second', 'v': 'meter / second', 'z': 'm**2 s**-2',
    'tracers': {'specific_cloud_ice_water_content': 'dimensionless', 'specific_humidity': 'dimensionless',
                'specific_cloud_liquid_water_content': 'dimensionless'},
    'diagnostics': {'surface_pressure': 'kg / (meter s**2)'}}
DynamicDataForcing.forcing_transform = @IncrementSSTForcingTransform
IncrementSSTForcingTransform.temperature_change = 2
"""


def edited(path):
    """Write the small public checkpoint with EDIT to `path`."""
    found = unpickle.load(demonstration())
    found["model_config_str"] += EDIT
    path.write_bytes(pickle.dumps(found))
    return path


@pytest.mark.slow
def test_an_edited_model_as_the_original(tmp_path):
    """Each model in a process of its own: decoded analysis and first hours, from another random key than elsewhere."""
    pytest.importorskip("neuralgcm")
    rows = list(module.measure(edited(tmp_path / "edited.pkl"), (3, 0, 1), seed=3, command="c"))
    assert {(r["time_h"], r["variable"]) for r in rows} == {(h, n) for h in (0, 1, 3) for n in module.TOLERANCES}
    assert all(r["relative_l2"] <= r["tolerance"] and r["command"] == "c" and r["seed"] == 3 for r in rows), rows
