"""What the pictures of a run show."""

import io
import warnings

import pytest

from sciml.pipelines.kd import figures
from sciml.pipelines.kd.figures import cost, draw_all, example_series, fit_curves, scores_by_lead, training_curves

VARIANTS = {
    "one lead, one seed": {"seeds": 1},
    "many leads and seeds": {"leads": tuple(range(1, 49)), "seeds": 4},
    "goal not reached": {"meets": None},
    "goal reached before the first epoch": {"meets": 0},
    "stopped early": {"stops": 4},
    "mixed units": {"targets": (("2m_temperature", "K"), ("10m_wind_speed", "m s-1"))},
    "no observations": {"self_taught": True},
    "residual": {"mode": "residual", "taught": "residual", "own": False, "control": False},
    "nothing taught": {"taught": None, "control": False},
    "wide range": {"start": 90.0},
}


def texts(figure) -> str:
    from matplotlib.text import Text

    return "\n".join(part.get_text() for part in figure.findobj(Text))


def lines(axis) -> dict:
    return {line.get_label(): line for line in axis.get_lines()}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_is_drawn_without_a_warning(run_results, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = draw_all(run_results(**options))
        for figure in made.values():
            figure.savefig(io.BytesIO(), format="png", dpi=40)
    assert {"training_curves", "scores_by_lead", "example_series"} <= set(made)
    assert ("cost" in made) == (options.get("taught", "distilled") is not None)


def test_pyplot_is_left_alone(run_results):
    """No window system, and no figure kept alive."""
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    draw_all(run_results())
    assert pyplot.get_fignums() == before


def test_learning_curves_are_means_over_seeds(run_results):
    results = run_results(seeds=3)
    left, right = training_curves(results).axes[:2]
    drawn = lines(left)["label of alone"]
    assert list(drawn.get_xdata()) == list(range(9))
    assert drawn.get_ydata()[0] == pytest.approx(9.0 + 0.02)
    assert lines(right)["label of distilled"].get_ydata()[0] == pytest.approx(3.3 + 0.3 + 0.02)
    assert left.get_ylabel() == "RMSE [K]"
    assert left.get_xlabel() == "epoch over the observations"


def test_pretraining_is_not_drawn_as_epochs_over_the_observations(run_results):
    assert [epochs[0] for epochs, _ in fit_curves(run_results(), "distilled", "train_rmse")] == [0, 0]
    assert len(fit_curves(run_results(), "distilled", "train_rmse")[0][0]) == 9


def test_the_stronger_student_alone_is_the_main_line(run_results):
    results = run_results()
    for row in results["curves"]:
        if row["arm"] == "alone":
            row["train_rmse"] += 1.0
    left, right = training_curves(results).axes[:2]
    width = {name: line.get_linewidth() for name, line in lines(left).items()}
    assert width["label of alone_own"] > width["label of alone"]
    width = {name: line.get_linewidth() for name, line in lines(right).items()}
    assert width["label of alone"] >= width["label of alone_own"]


def test_the_goal_and_both_epochs_are_marked(run_results):
    left = training_curves(run_results()).axes[0]
    assert lines(left)["goal set by the student alone"].get_ydata()[0] == pytest.approx(2.9)
    assert {"3", "8"} <= {text.get_text() for text in left.texts}
    assert "reached at epoch 3 instead of 8" in left.get_title(loc="left")


def test_a_goal_that_is_not_met(run_results):
    left = training_curves(run_results(meets=None)).axes[0]
    assert "not reached within 8 epochs" in left.get_title(loc="left")
    assert "3" not in {text.get_text() for text in left.texts}


@pytest.mark.parametrize(("start", "scale"), [(9.0, "linear"), (90.0, "log")])
def test_a_wide_range_gets_a_logarithmic_axis(run_results, start, scale):
    assert training_curves(run_results(start=start)).axes[0].get_yscale() == scale


def test_the_axis_comes_from_the_data(run_results):
    low, high = training_curves(run_results()).axes[0].get_ylim()
    assert 2.0 < low < 2.8 and 9.0 < high < 10.0


def test_the_forecast_is_a_reference_only_where_it_is_in_range(run_results):
    results = run_results()
    assert "raw NWP (test block)" not in texts(training_curves(results))
    next(row for row in results["scores"] if row["method"] == "nwp")["rmse"] = 5.0
    assert "raw NWP (test block)" in texts(training_curves(results))


def test_one_lead_gives_sorted_bars_with_spread(run_results):
    figure = scores_by_lead(run_results())
    names = [text.get_text().removeprefix("label of ") for text in figure.axes[0].get_yticklabels()]
    assert names == [
        "alone_own", "climatology", "alone", "shuffled", "persistence", "ar", "distilled", "nwp", "mos", "mos_ar"
    ]  # fmt: skip
    assert figure.axes[0].get_xlabel() == "held-out RMSE [K]"
    assert "3.00 ± 0.04" in texts(figure)


def test_several_leads_give_lines(run_results):
    results = run_results(leads=(24.0, 48.0, 72.0))
    results["scores"][0]["by_lead"]["rmse"][1] = None
    axis = scores_by_lead(results).axes[0]
    assert len(axis.get_lines()) == 10
    assert [text.get_text() for text in axis.get_xticklabels()] == ["24", "48", "72"]
    assert axis.get_xlabel() == "lead time [h]"


def test_mixed_units_are_named(run_results):
    results = run_results(targets=(("2m_temperature", "K"), ("10m_wind_speed", "m s-1")))
    assert scores_by_lead(results).axes[0].get_xlabel() == "held-out RMSE [standard deviations]"


def test_the_example_names_place_and_time(run_results):
    results = run_results(targets=(("10m_wind_speed", "m s-1"),))
    figure = example_series(results)
    assert figure.axes[0].get_ylabel() == "10m wind speed [m s⁻¹]"
    assert figure.axes[0].get_title(loc="left") == "station 108, lead time 24 h, 2012-05-01 to 2012-05-30"
    assert set(lines(figure.axes[0])) == {"observed", "label of nwp", "label of alone", "label of distilled"}


@pytest.mark.parametrize("station", ["서울", "a$b$c", r"\frac", "x_1^2"])
def test_any_station_name_can_be_drawn(run_results, station):
    results = run_results()
    results["example"]["station"] = station
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        example_series(results).savefig(io.BytesIO(), format="png", dpi=40)


def test_nothing_to_draw_is_none(run_results):
    results = run_results() | {"example": {}, "comparison": {}, "curves": []}
    assert example_series(results) is cost(results) is training_curves(results) is None


def test_cost_counts_the_pretraining(run_results):
    figure = cost(run_results())
    ends = [bar.get_x() + bar.get_width() for bar in figure.axes[0].patches]
    assert ends == [0.0, 320.0, 600.0, 700.0]
    assert [axis.get_xlabel() for axis in figure.axes] == ["training steps", "CPU time [s]"]


def test_colours_tell_the_arms_apart():
    arms = ("alone", "alone_own", "shuffled", "distilled")
    assert len({figures.COLOURS[arm] for arm in arms}) == len(arms)
