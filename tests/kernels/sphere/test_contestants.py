"""Every contestant transforms the same coefficients to the same values, and counts its operations."""

import numpy as np
import pytest

from sciml.kernels.sphere import compiled, reference
from sciml.kernels.sphere.contestants import PAIRS, coefficients, contestants, dense_gflop
from sciml.kernels.sphere.grids import latitudes, truncation


@pytest.mark.parametrize("name", ["ours", "ours, products", "dinosaur real", "dinosaur fast", "shtns"])
@pytest.mark.parametrize("case", ["T21", "TL95"])  # shtns keeps latitudes together in the one, longitudes in the other
def test_values_and_pairs(name, case):
    t = truncation(case)
    makers = contestants(t, 3)
    if name not in makers:
        pytest.skip(f"{name} is not installed")
    one = makers[name]()
    exact = reference.synthesis(coefficients(t, 3), t.nlon, latitudes("gauss", t.nlat)[0])
    np.testing.assert_allclose(one.values(), exact, atol=3e-6 * np.abs(exact).max())
    before = np.array(one.x)
    after = one.run(one.x.copy(), *one.arguments)
    if after is not None:
        np.testing.assert_allclose(after, before, atol=5e-5 * PAIRS)


def test_operations():
    t = truncation("TL63")
    found = {name: make().gflop for name, make in contestants(t, 1, peers=False).items()}
    assert max(found.values()) < 0.35 * dense_gflop(t, 1)
    assert dense_gflop(t, 2) == pytest.approx(2 * dense_gflop(t, 1))
    assert dense_gflop(truncation("T42"), 32) == pytest.approx(2 * 32 * 4 * 43 * 64 * (44 + 128) / 1e9)
    if compiled.built():
        assert found["ours"] < found["ours, products"]
