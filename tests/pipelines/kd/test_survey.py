"""What `sciml kd data` says of a pair of files."""

import numpy as np
import pytest

from sciml.pipelines.kd.settings import Data
from sciml.pipelines.kd.survey import survey


def test_facts_are_those_of_the_files(daily):
    found = survey(Data(teacher=daily.nwp, observations=daily.obs))
    teacher, seen = found["teacher"], found["observations"]
    assert teacher["issues"] == len(daily.pairs.teacher.issue) and teacher["leads"] == [24.0, 48.0, 2]
    assert teacher["gaps"] == 0 and teacher["issue_step_hours"] == 24.0
    both = np.isfinite(daily.pairs.truth) & np.isfinite(daily.pairs.forecast)
    assert seen["pairs"] == both.sum() and seen["step_hours"] == 24.0
    error = (daily.pairs.forecast - daily.pairs.truth)[both]
    assert seen["variables"]["2m_temperature"]["rmse_of_raw_forecast"] == pytest.approx(np.sqrt(np.mean(error**2)))


def test_a_teacher_alone(daily):
    assert "observations" not in survey(Data(teacher=daily.nwp))


def test_another_quantity_is_a_warning_here(daily, tmp_path):
    (tmp_path / "power.csv").write_text(
        "time,station,power\n"
        + "".join(
            f"{t},{s},{n % 7}\n"
            for n, t in enumerate(daily.pairs.time[:300].astype("datetime64[D]"))
            for s in daily.pairs.teacher.stations
        )
    )
    found = survey(Data(teacher=daily.nwp, observations=tmp_path / "power.csv"))
    assert any("another quantity" in text for text in found["warnings"])
    assert found["observations"]["variables"]["power"]["rmse_of_raw_forecast"] is None
