"""A stored student predicts what it predicted in training, from new files and without the teacher."""

from dataclasses import replace

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.kd.fit import fit
from sciml.pipelines.kd.model import load_model, network_teacher


@pytest.fixture(scope="module")
def trained(daily, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "run"
    options = {"hidden": 4, "epochs": 2, "archive_epochs": 1, "seeds": 1, "workers": 1, "control": False}
    return fit(replace(daily.fit, out=folder, **options))


def test_the_forecast_needs_no_teacher_file(trained, daily):
    model = load_model(trained.path)
    with_file, without = model.read(daily.nwp, daily.obs), model.read(None, daily.obs)
    one, _ = model.forecast(with_file, np.arange(len(with_file.pairs.anchor)))
    two, _ = model.forecast(without, np.arange(len(without.pairs.anchor)))
    shared, a, b = np.intersect1d(with_file.pairs.teacher.issue, without.pairs.teacher.issue, return_indices=True)
    both = np.isfinite(one[a]) & np.isfinite(two[b])
    assert len(shared) > 300 and both.mean() > 0.8
    np.testing.assert_allclose(one[a][both], two[b][both], rtol=1e-5)


def test_a_network_teaches(trained, daily):
    teacher = network_teacher(load_model(trained.path), daily.obs)
    assert set(teacher.values) == {"2m_temperature"} and list(teacher.lead_hours) == [24.0, 48.0]
    assert np.isfinite(teacher.values["2m_temperature"]).mean() > 0.8


def test_the_newest_run_of_a_folder(trained):
    assert load_model(trained.path.parent).folder == trained.path


def test_what_is_missing_is_said(trained, daily, tmp_path):
    with pytest.raises(DataError, match="no such run"):
        load_model(tmp_path / "nothing")
    with pytest.raises(DataError, match="neither a run folder"):
        load_model(tmp_path)
    with pytest.raises(SettingsError, match="observations are needed"):
        load_model(trained.path).read(daily.nwp, None)
