"""One integration: what it is made of, members, checkpoints, what is refused."""

import jax
import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.gcm.integration import prepare
from sciml.pipelines.gcm.settings import Rollout
from sciml.pipelines.progress import Progress

SMALL = {"truncation": "T21", "levels": 3, "days": 0.25, "output_levels": ("500", "850")}


def made(**changes):
    return prepare(Rollout(**{**SMALL, **changes}), Progress(), "cpu")


def leaves(carry):
    return [np.asarray(x) for x in jax.tree.leaves(carry)]


@pytest.mark.parametrize(
    ("scheme", "members"),
    [
        ("imex_rk_sil3", 1),
        ("semi_implicit_leapfrog", 2),
        # both schemes and both sizes are in the quick suite, not all pairs
        pytest.param("imex_rk_sil3", 2, marks=pytest.mark.slow),
        pytest.param("semi_implicit_leapfrog", 1, marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_brings_back_every_bit(scheme, members):
    one = made(scheme=scheme, members=members)
    carry = one.advance(one.initial(), 2)
    kept = {name: x.copy() for name, x in one.tensors(carry).items()}
    again = one.restore(kept)
    assert jax.tree.structure(again) == jax.tree.structure(carry)
    for a, b in zip(leaves(one.advance(again, 2)), leaves(one.advance(carry, 2)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_another_model_is_refused():
    one = made()
    tensors = one.tensors(one.initial())
    with pytest.raises(DataError, match="another model"):
        made(levels=4).restore(tensors)
    with pytest.raises(DataError, match="another model"):
        one.restore({"a": tensors[".vorticity"]})


def test_frames_have_the_shapes_of_the_file():
    for changes in ({}, {"members": 2}, {"output_levels": ("sigma",)}, {"initial": "williamson5"}):
        one = made(**changes)
        found = one.fields(one.initial())
        assert set(found) == set(one.layout.variables)
        assert all(x.shape == one.layout.shape(name) and x.dtype == np.float32 for name, x in found.items())


def test_fields_are_right_side_up():
    one = made(initial="steady_state", variables=("u_component_of_wind", "temperature", "surface_pressure"))
    found, layout = one.fields(one.initial()), one.layout
    assert layout.latitude[0] < 0 < layout.latitude[-1] and layout.pressures == (500.0, 850.0)
    upper, lower = found["temperature"].mean((1, 2))
    assert upper < lower
    equator, pole = found["temperature"][1, 16].mean(), found["temperature"][1, 0].mean()
    assert equator > pole + 40 and abs(found["surface_pressure"] - 1e5).max() < 1.0
    assert found["u_component_of_wind"][0, 24].mean() > 20  # the jet near 45 N


def test_the_surface_is_in_the_file():
    surface = made().layout.surface["geopotential_at_surface"]
    assert surface.shape == (32, 64) and np.ptp(surface) > 1000
    bottom = made(initial="williamson5").layout.surface["height_of_bottom"]
    north, west = np.unravel_index(bottom.argmax(), bottom.shape)
    layout = made(initial="williamson5").layout
    assert layout.latitude[north] == pytest.approx(30, abs=4) and layout.longitude[west] == pytest.approx(270, abs=4)


def test_facts_agree_with_the_fields():
    one = made(members=2)
    carry = one.initial()
    facts, found = one.diagnose(carry), one.fields(carry)
    assert facts["mean_surface_pressure"] == pytest.approx(1e5, rel=1e-5)
    assert (
        facts["temperature_min"]
        < found["temperature"].min()
        < found["temperature"].max()
        < facts["temperature_max"] + 9
    )
    assert set(one.conserved.values()) <= set(facts)
    # rotational and divergent kinetic energy, per mass of air
    total = facts["kinetic_energy"] / (1e5 / 9.80616)
    assert one.spectrum(carry).sum() == pytest.approx(total, rel=0.02)


def test_diffusion_and_filters_are_taken():
    assert len(made().core.filters) == 1
    assert len(made(diffusion_hours=6, fix_mass=True).core.filters) == 3
    strong, weak = (np.asarray(made(filter_hours=hours).core.filters[0].factor).min() for hours in (0.1, 100))
    assert strong < 0.1 < weak


def test_the_digital_filter_calms_the_start():
    def noise(one):
        carry = one.initial()
        before = one.fields(carry)["surface_pressure"]
        return abs(one.fields(one.advance(carry, 1))["surface_pressure"] - before).max()

    assert noise(made(digital_filter_hours=6)) < noise(made())


def test_dates_follow_the_start():
    one = made(start="2020-02-28T12:00")
    assert one.date(0) == "2020-02-28T12:00" and one.date(1.25) == "2020-02-29T18:00"


def test_what_the_initial_state_lacks_cannot_be_written():
    with pytest.raises(SettingsError, match="specific_humidity"):
        made(variables=("specific_humidity",))
    with pytest.raises(SettingsError, match="T42"):
        made(truncation="T44")
