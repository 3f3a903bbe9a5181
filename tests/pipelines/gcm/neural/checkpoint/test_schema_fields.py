"""The table of configurables of fields, with the original's own signatures as oracle."""

import inspect

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.resolution import REQUIRED
from sciml.pipelines.gcm.neural.checkpoint.schema import KNOWN
from sciml.pipelines.gcm.neural.checkpoint.schema_fields import FEATURES, FILTERS, NETWORKS, TRANSFORMS, flat, masked

# What the original's constructors get from their owner, never from gin.
BY_OWNER = {
    *("self", "coords", "dt", "physics_specs", "aux_features", "input_coords", "output_coords", "output_shapes"),
    *("args", "kwargs", "data_coords", "dataset", "spmd_mesh", "x", "data", "times", "state", "cls"),
    *("step_fn", "outer_steps", "inner_steps", "start_with_input", "post_process_fn"),
}


def test_nested_tables_lie_side_by_side():
    assert flat({"u": 1, "tracers": {"q": 2, "ice": 3}}) == {"u": 1, "q": 2, "ice": 3}
    with pytest.raises(DataError, match='"q" occurs twice'):
        flat({"q": 1, "tracers": {"q": 2}})
    with pytest.raises(DataError, match="not a table"):
        flat(3)


def test_a_mask_names_what_is_predicted():
    assert masked({"u": True, "sim_time": False, "tracers": {"q": True}}) == ("q", "u")
    with pytest.raises(DataError, match='"u" is 1; accepted: True, False'):
        masked({"u": 1})


def test_tables_do_not_overlap():
    names = [name for table in (TRANSFORMS, FILTERS, NETWORKS, FEATURES) for name in table]
    assert len(names) == len(set(names)) and set(names) < set(KNOWN)


@pytest.mark.slow
def test_parameters_and_defaults_are_the_originals():
    """Each bindable parameter of each configurable is known, and is required where the original requires it."""
    gin = pytest.importorskip("gin")
    pytest.importorskip("neuralgcm.legacy.model_builder")
    compared = 0
    for name, known in KNOWN.items():
        if name in ("relu", "silu"):  # wrapped functions without a signature of their own
            continue
        theirs = gin.config._REGISTRY.get_match(name)
        if theirs is None:  # the original names fewer grids
            assert name.startswith("GridT"), name
            continue
        target = theirs.wrapped
        while isinstance(target, type) and "__init__" not in vars(target) and len(target.__mro__) > 2:
            target = target.__mro__[1]
        parameters = inspect.signature(target).parameters
        bindable = {n: p for n, p in parameters.items() if n not in BY_OWNER}
        bindable = {n: p for n, p in bindable.items() if n not in (theirs.denylist or ())}
        if theirs.allowlist:
            bindable = {n: p for n, p in bindable.items() if n in theirs.allowlist}
        for parameter, param in known.params.items():
            if parameter == "name" or not bindable:
                continue
            assert parameter in bindable, f"{name}.{parameter}"
            default = bindable[parameter].default
            required = default in (inspect.Parameter.empty, gin.REQUIRED) if not hasattr(default, "shape") else False
            assert not (required and param.default is not REQUIRED and param.to is not None), f"{name}.{parameter}"
            if isinstance(default, (int, float, bool)) and param.read is None and param.default is not REQUIRED:
                assert param.to is None or param.default == default, f"{name}.{parameter}: {param.default} {default}"
            compared += 1
    assert compared > 150
