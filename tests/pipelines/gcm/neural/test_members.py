"""Members stepped one by one, a core each, against a batch; whoever is alone has the same bits."""

import dataclasses
import os
import threading
import time
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pipelines.gcm.neural import members

SEA = {"sea_surface_temperature": jnp.full((1, 1), 290.0)}


def analysis(model):
    shape = (*model.plan.nodal_shape, 1, len(model.pressure_levels))
    rng = np.random.default_rng(1)
    return {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name in model.input_variables}


def started(model, count):
    encode = jax.jit(type(model).encode, static_argnames="members")
    return encode(model, analysis(model), SEA, jax.random.key(0), members=count, sim_time=jnp.float32(3))


def stepped(model, state, forcings):
    for forcing in forcings:
        state = members.advance(model, state, forcing)
    return state


def equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_taken_apart_and_put_together_again(stand_in, count):
    state = started(stand_in, count)
    parts = [members.member(state, e) for e in range(count)]
    assert members.count(state) == count and all(members.count(part) == 1 for part in parts)
    equal(members.together(parts), state)
    assert parts[0].sim_time is not state.sim_time  # a step uses up what it is given


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_a_member_has_the_same_bits_whatever_the_ensemble_and_the_cores(stand_in, cores, monkeypatch):
    monkeypatch.setattr(members, "cores", lambda: cores)
    forcings = [SEA, {"sea_surface_temperature": jnp.full((1, 1), 300.0)}]
    three = stepped(stand_in, started(stand_in, 3), forcings)
    for e in range(3):
        alone = members.member(started(stand_in, 3), e)
        equal(members.member(three, e), stepped(stand_in, alone, forcings))
    assert float(three.sim_time) == pytest.approx(3 + 2 * 0.525024)


def test_side_by_side_is_the_batch_to_round_off(stand_in, monkeypatch):
    apart = stepped(stand_in, started(stand_in, 4), [SEA] * 3)
    monkeypatch.setattr(members, "apart", lambda model, count: False)
    batch = stepped(stand_in, started(stand_in, 4), [SEA] * 3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), apart, batch)


@pytest.mark.parametrize("count", [1, 3])
def test_an_analysis_is_encoded_as_by_the_model(stand_in, count):
    found = members.encode(stand_in, analysis(stand_in), SEA, jax.random.key(0), count, jnp.float32(3))
    equal(members.member(found, 0), started(stand_in, 1))
    assert members.count(found) == count


def test_a_new_program_is_run_by_one_member_first(monkeypatch):
    monkeypatch.setattr(members, "cores", lambda: 4)
    running, most = [], []

    def work(e):
        running.append(e)
        most.append(len(running))
        time.sleep(0.02)
        running.remove(e)
        return e

    for wanted in (range(1, 4), range(2, 5)):
        most.clear()
        assert members.each(work, 4, "a program of this test") == [0, 1, 2, 3]
        assert most[0] == 1 and max(most) in wanted
    assert most[1] == 2  # known by now: nobody goes ahead


def test_as_many_at_a_time_as_there_are_cores(stand_in, monkeypatch):
    """Two members meet inside the step, which one after the other could not."""
    meeting, step = threading.Barrier(2, timeout=60), members.step

    def meet(*arguments):
        meeting.wait()
        return step(*arguments)

    monkeypatch.setattr(members, "cores", lambda: 2)
    monkeypatch.setattr(members, "step", meet)
    assert members.count(members.advance(stand_in, started(stand_in, 4), SEA)) == 4


def test_an_accelerator_gets_the_batch(stand_in, monkeypatch):
    elsewhere = SimpleNamespace(devices=lambda: [SimpleNamespace(platform="gpu")])
    tables = dataclasses.replace(stand_in.plan.tables, legendre=elsewhere)
    plan = dataclasses.replace(stand_in.plan, tables=tables)
    there = dataclasses.replace(stand_in, equation=dataclasses.replace(stand_in.equation, plan=plan))
    state = started(stand_in, 2)
    assert members.apart(stand_in, 2) and not members.apart(there, 2) and not members.apart(stand_in, 1)
    assert len(members.seen(lambda x: x, there, state, "it")) == 1 and len(members.seen(lambda x: x, stand_in, state, "it")) == 2


def test_preparing_leaves_the_state(stand_in):
    state = started(stand_in, 2)
    copy = jax.tree.map(jnp.copy, state)
    members.prepare(stand_in, state, SEA)
    equal(state, copy)
    before = members.step._cache_size()
    members.advance(stand_in, state, SEA)
    assert members.step._cache_size() == before


def test_an_error_in_one_member_is_told(stand_in, monkeypatch):
    def broken(*_):
        raise FloatingPointError("here")

    monkeypatch.setattr(members, "step", broken)
    with pytest.raises(FloatingPointError, match="here"):
        members.advance(stand_in, started(stand_in, 2), SEA)


def test_cores_are_those_this_process_may_use():
    assert 1 <= members.cores() <= os.cpu_count()
