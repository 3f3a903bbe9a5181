"""Small weather for the distillation tests: files on disk, the pairs read from them, and settings."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sciml.pipelines.kd.pairs import pair
from sciml.pipelines.kd.settings import Fit
from sciml.pipelines.kd.teacher import read_teacher
from sciml.pipelines.readers.synthetic import write_kd_files


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Two threads on small matrices cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def weather(tmp_path_factory):
    """weather(**options of the synthetic builder) -> namespace(nwp, obs: paths, fit: settings, pairs); made once per options."""
    made = {}

    def build(**options) -> SimpleNamespace:
        key = tuple(sorted(options.items()))
        if key not in made:
            nwp, obs = write_kd_files(tmp_path_factory.mktemp("weather"), **options)
            fit = Fit(teacher=nwp, observations=obs, batch_size=32)
            made[key] = SimpleNamespace(nwp=nwp, obs=obs, fit=fit, pairs=pair(read_teacher(fit), fit))
        return made[key]

    return build


@pytest.fixture(scope="session")
def daily(weather):
    """400 days, 2 stations, leads of 1 and 2 days, a few observations missing."""
    return weather(days=400, stations=2, leads_hours=(24, 48), observed_days=None, missing=0.03)


@pytest.fixture(scope="session")
def ensemble(weather):
    """200 days, 2 stations, 4 members."""
    return weather(days=200, stations=2, leads_hours=(24, 48), members=4, observed_days=None, missing=0.0)


@pytest.fixture(scope="session")
def half_daily(weather):
    """Issues every 12 h, leads 3 to 30 h, observations every 3 h; 90 days, one station."""
    return weather(
        days=90, stations=1, leads_hours=(3, 6, 15, 30), issue_hours=12, observation_hours=3, observed_days=None, missing=0.02
    )


@pytest.fixture(scope="session")
def disturbed():
    """disturbed(pairs, observed_after=t, issued_after=i) -> pairs with other observations and forecasts from there on."""

    def change(pairs, *, observed_after: int | None = None, issued_after: int | None = None, seed: int = 1):
        rng = np.random.default_rng(seed)
        if observed_after is not None:
            observed = pairs.observed.copy()
            later = observed[observed_after:]
            observed[observed_after:] = rng.normal(300.0, 30.0, later.shape)
            pairs = replace(pairs, observed=observed)
        if issued_after is not None:
            values = {name: value.copy() for name, value in pairs.teacher.values.items()}
            for value in values.values():
                value[issued_after:] += rng.normal(5.0, 30.0, value[issued_after:].shape)
            teacher = replace(pairs.teacher, values=values)
            pairs = replace(pairs, teacher=teacher, forecast=np.stack([values[name] for name in pairs.predictor], -1))
        return pairs

    return change
