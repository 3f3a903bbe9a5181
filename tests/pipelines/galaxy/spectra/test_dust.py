"""The laws at their reference points, and the Balmer decrement."""

import numpy as np
import pytest

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.spectra import dust


def test_laws_give_their_rv_in_v():
    assert dust.calzetti(5500.0) == pytest.approx(dust.CALZETTI_RV, abs=0.01)
    assert dust.milky_way(1e4 / 1.82) == pytest.approx(3.1)


def test_published_values():
    # Calzetti et al. 2000: k at H_beta and H_alpha; Cardelli et al. 1989 with O'Donnell 1994: A(4400)/A(V) about 1.32
    assert dust.calzetti(4861.0) == pytest.approx(4.60, abs=0.02)
    assert dust.calzetti(6563.0) == pytest.approx(3.33, abs=0.02)
    assert dust.milky_way(4400.0) / 3.1 == pytest.approx(1.32, abs=0.02)
    assert dust.milky_way(22000.0) / 3.1 == pytest.approx(0.114, abs=0.01)  # K band
    assert dust.calzetti(6299.0) == pytest.approx(dust.calzetti(6301.0), abs=0.03)  # the branches nearly meet


@pytest.mark.parametrize("law", dust.LAWS)
def test_transmission_and_decrement_agree(law):
    waves = np.array([6564.61, 4862.68])
    passed = dust.transmission(waves, np.array([0.0, 1.0, 2.5]), law)
    assert np.allclose(passed[0], 1.0)
    observed = dust.CASE_B * passed[:, 0] / passed[:, 1]
    assert np.allclose(dust.balmer_av(observed, law), [0.0, 1.0, 2.5])
    assert dust.balmer_av(2.5, law) < 0


def test_unknown_law():
    with pytest.raises(SettingsError) as caught:
        dust.transmission(np.array([5000.0]), 1.0, "calzeti")
    assert "calzetti" in caught.value.hint
