"""The line grid: layout, interpolation, and case B."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError, SettingsError
from sciml.pipelines.galaxy.spectra.nebular import halpha_luminosity, photon_rate, read_lines
from sciml.pipelines.galaxy.spectra.ssp import SOLAR_LUMINOSITY


def text(skip: int = -1, last: str = "") -> str:
    rows = ["#2 cols 8 rows", "4862.76 6564.72"]
    for k, (z, age, u) in enumerate((z, a, u) for z in (-1, 0) for a in (1e6, 1e7) for u in (-3, -2)):
        if k != skip:
            value = 10.0 ** (z + 0.1 * np.log10(age) + 0.2 * u)
            rows += [f"{z} {age} {u}", f"{value} {3 * value}"]
    return "\n".join(rows) + "\n" + last


def test_interpolation_is_linear_in_the_logarithms(tmp_path):
    path = tmp_path / "grid.lines"
    path.write_text(text())
    grid = read_lines(path)
    assert grid.luminosity.shape == (2, 2, 2, 2)
    z, u, age = np.array([-0.3, -1.0, 0.5]), np.array([-2.4, -3.0, -1.0]), np.array([3e6, 1e6, 1e8])
    found = grid.lines(("h_beta", "h_alpha"), z, u, age)
    z, u, age = np.clip(z, -1, 0), np.clip(u, -3, -2), np.clip(age, 1e6, 1e7)
    assert np.allclose(np.log10(found[:, 0]), z + 0.1 * np.log10(age) + 0.2 * u)
    assert np.allclose(found[:, 1], 3 * found[:, 0])


def test_what_is_wrong_with_a_file_is_named(tmp_path):
    path = tmp_path / "grid.lines"
    with pytest.raises(DataError, match="not found"):
        read_lines(path)
    for content, message in (
        (text(skip=3), "do not fill a grid"),
        (text(last="0 1e6 -3\n"), "pairs of rows"),
        (text(last="0 1e6\n1 1\n"), "pairs must be"),
        ("a b\nc d\n1 2\n", "not a table"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=message):
            read_lines(path)
    path.write_text(text())
    with pytest.raises(DataError, match="no nii_6584"):
        read_lines(path).column("nii_6584")
    with pytest.raises(SettingsError, match="no line"):
        read_lines(path).column("h_alfa")


def test_photons_and_star_formation_close():
    # 1 M_sun/yr: 10^41.27 erg/s of H_alpha, 1.36e53 photons/s
    assert np.log10(halpha_luminosity(1.0)) == pytest.approx(41.27)
    assert photon_rate(1.0) == pytest.approx(1.36e53, rel=0.01)


def test_real_grid_is_case_b_and_grows_with_metals(cloudy):
    assert cloudy.luminosity.shape == (11, 10, 7, 166)
    lines = cloudy.lines(("h_alpha", "h_beta", "oiii_5007", "nii_6584"), np.zeros(1), np.full(1, -3.0), 1e6)[0]
    assert lines[0] / lines[1] == pytest.approx(2.99, abs=0.01)
    assert lines[2] / lines[1] == pytest.approx(1.34, abs=0.01)
    assert lines[3] / lines[0] == pytest.approx(0.40, abs=0.01)
    assert lines[0] * SOLAR_LUMINOSITY == pytest.approx(1.37e-12, rel=0.03)  # erg per photon
    nitrogen = cloudy.lines(("nii_6584", "h_alpha"), np.array([-1.0, -0.5, 0.0]), np.full(3, -3.0))
    assert (np.diff(nitrogen[:, 0] / nitrogen[:, 1]) > 0).all()
