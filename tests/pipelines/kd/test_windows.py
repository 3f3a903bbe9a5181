"""Gathered batches against windows built one by one in Python, and what a window may know at its issue time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.pipelines.kd.baselines import seasonal_features
from sciml.pipelines.kd.design import make_design, predictor_features, short_lead_record
from sciml.pipelines.kd.windows import DIRECT, PRIVILEGED, RESIDUAL, Windows, automatic_batch, make_windows

FIELDS = ("x", "future", "anchor", "target", "weight", "soft", "soft_weight")


def with_holes(pairs, seed=0):
    """10 % of the forecasts and 20 % of the observations missing."""
    rng = np.random.default_rng(seed)
    forecast, observed = pairs.forecast.copy(), pairs.observed.copy()
    forecast[rng.random(forecast.shape) < 0.1] = np.nan
    observed[rng.random(observed.shape) < 0.2] = np.nan
    values = dict(pairs.teacher.values) | {name: forecast[..., v] for v, name in enumerate(pairs.predictor)}
    return replace(pairs, forecast=forecast, observed=observed, teacher=replace(pairs.teacher, values=values))


@pytest.fixture(scope="module", params=["daily", "half_daily"])
def made(request):
    weather = request.getfixturevalue(request.param)
    pairs = with_holes(weather.pairs)
    return make_design(pairs, weather.fit), weather.fit


def one_window(design, source, inputs, i, s):
    """The channels [l, c] of one window, by the definition."""
    pairs, scaling = design.pairs, design.scaling
    record = short_lead_record(pairs, design.corrected, np.arange(len(pairs.anchor)))
    season = seasonal_features(pairs.time, daily=pairs.sub_daily)
    rows = []
    for t in range(pairs.anchor[i] - design.history + 1, pairs.anchor[i] + 1):
        y = (source[t, s] - scaling.center[s]) / scaling.scale
        row = [0.0 if np.isnan(v) else v for v in y] + [float(not np.isnan(v)) for v in y]
        if inputs.past_teacher:
            f = (record[t, s] - scaling.center[s]) / scaling.scale
            row += [0.0 if np.isnan(v) else v for v in f]
            row += [0.0 if np.isnan(v) else v for v in y - f]
        rows.append(row + list(season[t]) + list(design.static[s]))
    return np.array(rows)


@pytest.mark.parametrize("kind", ["observed", "record"])
@pytest.mark.parametrize("inputs", [DIRECT, PRIVILEGED, RESIDUAL], ids=["direct", "privileged", "residual"])
def test_batches_against_a_loop(made, kind, inputs):
    design, fit = made
    issues = design.train if kind == "observed" else design.archive
    windows = make_windows(design, issues, fit, kind=kind, inputs=inputs)
    assert len(windows) > 50
    source = design.observed if kind == "observed" else design.record
    truth = design.pairs.truth if kind == "observed" else design.corrected
    index = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))[:25]
    batch = windows.gather(index)
    assert batch.x.shape == (design.history, windows.channels, 25)
    for b, n in enumerate(index.tolist()):
        i, s = int(windows.issue[n]), int(windows.station[n])
        np.testing.assert_allclose(batch.x[..., b], one_window(design, source, inputs, i, s), atol=2e-5)
        z = (truth[i, :, s] - design.scaling.center[s]) / design.scaling.scale
        t = (design.corrected[i, :, s] - design.scaling.center[s]) / design.scaling.scale
        known, taught = np.isfinite(z), np.isfinite(t)
        if inputs.anchored:
            known = known & taught
            np.testing.assert_allclose(batch.anchor[..., b], np.nan_to_num(t), atol=2e-5)
        np.testing.assert_array_equal(batch.weight[..., b], known)
        np.testing.assert_allclose(batch.target[..., b][torch.from_numpy(known)], z[known], atol=2e-5)
        np.testing.assert_array_equal(batch.soft_weight[..., b], taught)
        np.testing.assert_allclose(batch.soft[..., b], np.nan_to_num(t), atol=2e-5)
        if inputs.future:
            np.testing.assert_allclose(batch.future[..., b], predictor_features(design)[i, :, s], atol=2e-5)
    for name in FIELDS:
        value = getattr(batch, name)
        assert value is None or torch.isfinite(value).all(), name
    assert (batch.future is None) != inputs.future and (batch.anchor is None) != inputs.anchored


def assert_equal_batches(a, b, *names):
    for name in names or FIELDS:
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None) and (x is None or torch.equal(x, y)), name


@pytest.mark.parametrize("inputs", [DIRECT, PRIVILEGED, RESIDUAL], ids=["direct", "privileged", "residual"])
def test_training_windows_know_nothing_of_the_validation_block(daily, disturbed, inputs):
    fit, pairs = replace(daily.fit, operator="linear"), with_holes(daily.pairs)
    design = make_design(pairs, fit)
    first = design.validation[0]
    other = make_design(disturbed(pairs, observed_after=int(pairs.anchor[first]) + 1, issued_after=first), fit)
    for kind, block in (("observed", "train"), ("record", "archive")):
        for shuffle in (None, 3):
            a, b = (
                make_windows(d, getattr(d, block), fit, kind=kind, inputs=inputs, shuffle=shuffle)
                for d in (design, other)
            )
            assert_equal_batches(*(w.gather(torch.arange(len(w))) for w in (a, b)))


@pytest.mark.parametrize("inputs", [DIRECT, RESIDUAL], ids=["direct", "residual"])
def test_a_window_knows_nothing_from_after_its_issue_time(made, disturbed, inputs):
    """Observations after the issue and forecasts issued from then on: the past must not move."""
    design, fit = made
    pairs = design.pairs
    i = design.test[len(design.test) // 2]
    changed = disturbed(pairs, observed_after=int(pairs.anchor[i]) + 1, issued_after=i)
    other = replace(design, pairs=changed, corrected=design.operator(changed.forecast), observed=np.where(
        (np.arange(len(pairs.time)) > pairs.anchor[i])[:, None, None], changed.observed, design.observed))  # fmt: skip
    a, b = (
        make_windows(d, np.array([i]), fit, kind="observed", inputs=inputs, with_target=False).gather(torch.tensor([0]))
        for d in (design, other)
    )
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.soft, b.soft)
    changed = disturbed(pairs, issued_after=i + 1)
    other = replace(design, pairs=changed, corrected=design.operator(changed.forecast))
    a, b = (
        make_windows(d, np.array([i]), fit, kind="observed", inputs=inputs, with_target=False).gather(torch.tensor([0]))
        for d in (design, other)
    )
    assert_equal_batches(a, b)


def test_order_of_windows_is_by_issue_then_station(made):
    design, fit = made
    windows = make_windows(design, design.train, fit, kind="observed", inputs=DIRECT)
    pairs = list(zip(windows.issue.tolist(), windows.station.tolist(), strict=True))
    assert pairs == sorted(pairs) and len(set(pairs)) == len(pairs)


def stacked(batches, name):
    return torch.cat([getattr(b, name) for b in batches], -1)


@pytest.mark.parametrize("size", [1, 7, 32, 1000])
@pytest.mark.parametrize("chunk", [8, 8192])
def test_batches_hold_every_window_once(made, size, chunk):
    design, fit = made
    windows = make_windows(design, design.validation, fit, kind="observed", inputs=RESIDUAL)
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(1))
    whole = windows.gather(order)
    batches = list(windows.batches(size, order, chunk=chunk))
    assert [len(b) for b in batches] == [min(size, len(windows) - low) for low in range(0, len(windows), size)]
    for name in FIELDS:
        assert torch.equal(stacked(batches, name), getattr(whole, name))
    assert torch.equal(stacked(windows.batches(size), "target"), windows.gather(torch.arange(len(windows))).target)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_every_batch(made, world):
    design, fit = made
    windows = make_windows(design, design.validation, fit, kind="observed", inputs=DIRECT)
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(1))
    alone = list(windows.batches(16, order))
    shares = [list(windows.batches(16, order, rank=rank, world=world, chunk=64)) for rank in range(world)]
    for n, batch in enumerate(alone):
        together = torch.cat([shares[rank][n].target for rank in range(world)], -1)
        assert together.shape == batch.target.shape
        for rank in range(world):
            assert torch.equal(shares[rank][n].target, batch.target[..., rank::world])
    assert all(len(share) == len(alone) for share in shares), "every process takes the same number of steps"


def test_subset_and_device(made):
    design, fit = made
    windows = make_windows(design, design.train, fit, kind="observed", inputs=RESIDUAL)
    index = torch.tensor([5, 3, 11])
    assert_equal_batches(windows.subset(index).gather(torch.arange(3)), windows.gather(index))
    np.testing.assert_array_equal(windows.subset(index).issue, windows.issue[index.numpy()])
    moved = windows.to("meta")
    assert isinstance(moved, Windows) and moved.series.device.type == "meta" and moved.anchor.device.type == "meta"


def test_other_normalisation(made):
    design, fit = made
    own = make_windows(design, design.train, fit, kind="observed", inputs=DIRECT, scaling=design.own_scaling)
    plain = make_windows(design, design.train, fit, kind="observed", inputs=DIRECT)
    s = own.station.numpy()
    for name in ("target", "soft"):
        mask = (own.weight if name == "target" else own.soft_weight).numpy() > 0
        a = getattr(own, name).numpy() * design.own_scaling.scale + design.own_scaling.center[s][:, None]
        b = getattr(plain, name).numpy() * design.scaling.scale + design.scaling.center[s][:, None]
        np.testing.assert_allclose(a[mask], b[mask], atol=1e-3)


@pytest.mark.parametrize("kind", ["observed", "record"])
def test_shuffled_teacher_keeps_the_past_and_moves_the_targets(daily, kind):
    design, fit = make_design(daily.pairs, daily.fit), daily.fit
    block = design.train if kind == "observed" else design.archive
    plain, shuffled, again, other = (
        make_windows(design, block, fit, kind=kind, inputs=DIRECT, shuffle=seed) for seed in (None, 5, 5, 6)
    )  # fmt: skip
    index = torch.arange(len(plain))
    a, b = plain.gather(index), shuffled.gather(index)
    assert_equal_batches(a, b, "x")
    assert_equal_batches(b, again.gather(index))
    assert not torch.equal(a.soft, b.soft) and not torch.equal(b.soft, other.gather(index).soft)
    moved = (a.soft != b.soft).any(0).any(0).float().mean()
    assert moved > 0.95
    if kind == "observed":
        assert_equal_batches(a, b, "target", "weight")
    else:
        assert torch.equal(b.target, b.soft)
        # the same forecasts in another order: leads of one run stay together
        for s in range(2):
            here = plain.station == s
            sets = [sorted(map(tuple, w.soft[here].flatten(1).tolist())) for w in (plain, shuffled)]
            assert len(set(sets[0]) & set(sets[1])) > 0.9 * len(sets[0])


def test_shuffling_leaves_the_validation_block_alone(daily):
    design, fit = make_design(daily.pairs, daily.fit), daily.fit
    a, b = (
        make_windows(design, design.validation, fit, kind="observed", inputs=DIRECT, shuffle=seed) for seed in (None, 5)
    )
    assert_equal_batches(a.gather(torch.arange(len(a))), b.gather(torch.arange(len(b))))


def test_spread_weighting(ensemble):
    design = make_design(ensemble.pairs, ensemble.fit)
    fit = replace(ensemble.fit, soft_weight="spread")
    windows = make_windows(design, design.train, fit, kind="observed", inputs=DIRECT)
    sigma = np.abs(design.operator.slope) * ensemble.pairs.spread / design.scaling.scale
    raw = 1 / (1 + sigma[windows.issue, :, windows.station.numpy()] ** 2)
    np.testing.assert_allclose(windows.soft_weight, raw / raw.mean(), rtol=1e-5)
    assert windows.soft_weight.mean().item() == pytest.approx(1.0, abs=1e-5)
    uniform = make_windows(design, design.train, ensemble.fit, kind="observed", inputs=DIRECT)
    assert (uniform.soft_weight == 1).all()


def test_deterministic_teacher_weighs_evenly(daily):
    design = make_design(daily.pairs, daily.fit)
    windows = make_windows(
        design, design.train, replace(daily.fit, soft_weight="spread"), kind="observed", inputs=DIRECT
    )
    assert (windows.soft_weight == 1).all()


def test_windows_without_a_target_for_prediction(daily):
    design = make_design(daily.pairs, daily.fit)
    last = np.array([len(daily.pairs.anchor) - 1])
    with_target = make_windows(design, last, daily.fit, kind="observed", inputs=DIRECT)
    without = make_windows(design, last, daily.fit, kind="observed", inputs=DIRECT, with_target=False)
    assert len(with_target) == 0 and len(without) == 2 and (without.weight == 0).all()


@pytest.mark.parametrize(
    ("count", "size"), [(0, 16), (30, 16), (256, 16), (600, 32), (1000, 64), (2048, 128), (10**6, 128)]
)
def test_batch_size_follows_the_record(count, size):
    assert automatic_batch(count) == size
