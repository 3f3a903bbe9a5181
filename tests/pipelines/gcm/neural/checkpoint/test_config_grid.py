"""Grids: the published sizes, and counts against counting."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.config import DataCoordinates, Grid, SigmaLevels


@pytest.mark.parametrize(
    ("max_wavenumber", "nodes", "size", "modal"),
    [
        (21, 16, (64, 32), (43, 23)),
        (31, 16, (64, 32), (63, 33)),
        (63, 32, (128, 64), (127, 65)),
        (255, 128, (512, 256), (511, 257)),
    ],
)
def test_gaussian_grids(max_wavenumber, nodes, size, modal):
    grid = Grid.of_gaussian(max_wavenumber, nodes)
    assert (grid.longitude_nodes, grid.latitude_nodes) == size and (grid.rows, grid.total_wavenumbers) == modal
    assert Grid.of_gaussian(max_wavenumber, nodes, layout="zero_imag").rows == modal[0] + 1


@pytest.mark.parametrize(("wavenumbers", "size"), [(63, (190, 95)), (126, (379, 190)), (254, (763, 382))])
def test_dynamics_grids(wavenumbers, size):
    grid = Grid.of_wavenumbers(wavenumbers)
    assert (grid.longitude_nodes, grid.latitude_nodes) == size
    assert (grid.longitude_wavenumbers, grid.total_wavenumbers) == (wavenumbers, wavenumbers + 1)


@pytest.mark.parametrize("grid", [Grid.of_gaussian(21, 16), Grid.of_wavenumbers(63), Grid(7, 3, 20, 10)])
def test_coefficients_are_those_with_m_up_to_l(grid):
    m, l = np.meshgrid(np.arange(grid.longitude_wavenumbers), np.arange(grid.total_wavenumbers))
    assert grid.coefficients == ((m <= l) * np.where(m == 0, 1, 2)).sum()


def test_the_dynamics_of_tl63_have_4094_coefficients():
    assert Grid.of_wavenumbers(63).coefficients == 4094  # the public mini checkpoint's learned orography


def test_unknown_dealiasing():
    with pytest.raises(DataError, match="quartic.*linear, quadratic, cubic"):
        Grid.of_wavenumbers(63, "quartic")


def test_equidistant_layers_are_float32():
    levels = SigmaLevels.equidistant(10)
    assert levels.layers == 10 and levels.boundaries == tuple(np.linspace(0, 1, 11, dtype=np.float32).tolist())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Grid.of_wavenumbers("63"), "'63'; accepted: a whole number"),
        (lambda: Grid.of_wavenumbers(10**12), "up to 65536"),
        (lambda: Grid(64, 65, 0, 64), "Grid.longitude_nodes is 0; it must be above 0"),
        (lambda: SigmaLevels.equidistant(10**9), "up to 65536"),
        (lambda: SigmaLevels.equidistant(60_000), "60000 layers; accepted: 1 to 1000"),
        (lambda: SigmaLevels.equidistant(0), "0 layers"),
        (lambda: SigmaLevels((0.0, 0.5, 0.4, 1.0)), "must rise from 0 to 1"),
        (lambda: SigmaLevels((0.0, 0.5)), "must rise from 0 to 1"),
        (lambda: SigmaLevels(()), "must rise from 0 to 1"),
        (lambda: DataCoordinates(Grid(3, 4, 8, 4), (1000.0, 500.0)), "at least two, from the top down"),
        (lambda: DataCoordinates(Grid(3, 4, 8, 4), (-1.0, 500.0)), "must be above 0"),
    ],
)
def test_impossible_sizes_are_named(make, message):
    with pytest.raises(DataError) as error:
        make()
    assert message in str(error.value), error.value
