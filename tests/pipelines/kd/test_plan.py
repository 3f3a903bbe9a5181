"""Which jobs are made, what each of them is fed, and in what order."""

from dataclasses import replace

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.kd.design import Scaling, make_design
from sciml.pipelines.kd.plan import Planner, Spec, normalisations_differ, pooled_unit, specs
from sciml.pipelines.kd.schedules import LOSSES


@pytest.fixture(scope="module")
def design(daily):
    return make_design(daily.pairs, daily.fit)


def names(design, fit):
    return [spec.name for spec in specs(design, fit)]


def test_stand_alone_students_come_first_and_set_the_goal(design, daily):
    fit = replace(daily.fit, seeds=2)
    jobs = specs(design, fit)
    assert [j.arm for j in jobs[:2]] == ["alone", "alone"] or "alone_own" in [j.arm for j in jobs]
    (taught,) = [j for j in jobs if j.name == "distilled-1"]
    assert "alone-1" in taught.after and "alone-0" not in taught.after
    assert jobs[-1].arm == "shuffled" and names(design, replace(fit, control=False))[-1].startswith("distilled")


def test_schedules_decide_the_arms(design, daily):
    assert {n.split("-")[0] for n in names(design, replace(daily.fit, schedule="none"))} <= {"alone", "alone_own"}
    hinted = specs(design, replace(daily.fit, schedule="hint", seeds=1))
    assert "twin-0" in next(j for j in hinted if j.arm == "distilled").after
    assert "shuffled-0" not in names(design, replace(daily.fit, mode="residual"))


def test_a_second_normalisation_only_where_it_differs(design):
    same = replace(design, own_scaling=design.scaling)
    assert not normalisations_differ(same)
    shifted = Scaling(design.scaling.center + 0.5 * design.scaling.scale, design.scaling.scale)
    assert normalisations_differ(replace(design, own_scaling=shifted))
    assert normalisations_differ(replace(design, own_scaling=Scaling(design.scaling.center, 2 * design.scaling.scale)))


def test_arms_share_weights_data_and_order(design, daily):
    planner = Planner(design, daily.fit)
    alone, taught = planner.job(Spec("alone", 3)), planner.job(Spec("distilled", 3))
    assert alone.shape == taught.shape and alone.stages[-1].windows is taught.stages[-1].windows
    assert alone.stages[-1].epochs == taught.stages[-1].epochs
    assert LOSSES[alone.stages[-1].loss] is LOSSES[taught.stages[-1].loss]
    assert taught.stages[0].loss == "pretrain" and alone.stages[0].patience is None


def test_the_control_sees_the_same_past(design, daily):
    planner = Planner(design, daily.fit)
    right, wrong = planner.stages("distilled")[0].windows, planner.stages("shuffled")[0].windows
    assert np.array_equal(right.series, wrong.series) and not np.array_equal(right.soft, wrong.soft)


def test_only_the_residual_student_sees_the_forecast(design, daily):
    fit = replace(daily.fit, mode="residual")
    planner = Planner(design, fit)
    assert planner.shape("alone").predictors == 0 and planner.shape("distilled").predictors > 0
    assert planner.stages("alone")[0].noise == 0 and planner.stages("distilled")[0].noise > 0
    assert planner.stages("distilled")[0].noise == min(0.6, 8 / len(design.train) ** 0.5)
    assert Planner(design, replace(fit, input_noise=0.0)).stages("distilled")[0].noise == 0


def test_joint_needs_a_record(design, daily):
    empty = replace(design, record=np.full_like(design.record, np.nan))
    with pytest.raises(DataError, match="record"):
        Planner(empty, replace(daily.fit, schedule="joint")).stages("distilled")
    assert [s.name for s in Planner(empty, daily.fit).stages("distilled")] == ["fit"]


def test_units_pool_only_if_equal(design):
    assert pooled_unit(design) == "K"
    mixed = replace(design, pairs=replace(design.pairs, units=("K", "m s-1")))
    assert pooled_unit(mixed) == ""


def test_given_weights_go_to_arms_of_their_shape(design, daily):
    """A residual network cannot start the student that sees no forecast."""
    weights = {"anything": 1}
    direct = Planner(design, daily.fit, initial=weights)
    assert direct.job(Spec("alone", 0)).initial is direct.job(Spec("distilled", 0)).initial is weights
    residual = Planner(design, replace(daily.fit, mode="residual"), initial=weights)
    assert residual.job(Spec("alone", 0)).initial is None and residual.job(Spec("distilled", 0)).initial is weights
