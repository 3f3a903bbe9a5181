"""The fixed fields of a checkpoint: dimensions in any order, and what is wrong by name."""

import numpy as np
import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.config import DataCoordinates, Grid
from sciml.pipelines.gcm.neural.checkpoint.surface import Aux, check_grid, nodes_of, read_aux

GRID = Grid.of_gaussian(31, 16)


def dataset(**changes):
    longitude, latitude = nodes_of(GRID)
    fields = np.arange(64 * 32, dtype=np.float64).reshape(64, 32)
    entries = {
        "longitude": {"dims": ("longitude",), "data": longitude, "attrs": {}},
        "latitude": {"dims": ("latitude",), "data": latitude.tolist(), "attrs": {}},
        "level": {"dims": ("level",), "data": [500, 1000], "attrs": {}},
        "geopotential_at_surface": {
            "dims": ("latitude", "longitude"), "data": fields.T, "attrs": {"units": "m**2 s**-2"},
        },
        "land_sea_mask": {"dims": ("longitude", "latitude"), "data": fields / 2048, "attrs": {"units": "(0 - 1)"}},
    }  # fmt: skip
    for name, change in changes.items():
        entries[name] = {**entries[name], **change} if change else None
    entries = {name: entry for name, entry in entries.items() if entry is not None}
    coords = {name: entries.pop(name) for name in ("longitude", "latitude", "level") if name in entries}
    return {"coords": coords, "data_vars": entries, "attrs": {}, "dims": {}}


def test_fields_are_longitude_by_latitude():
    aux = read_aux(dataset(), source="x")
    np.testing.assert_array_equal(aux.fields["geopotential_at_surface"], np.arange(64.0 * 32).reshape(64, 32))
    assert aux.nodes == (64, 32) and aux.latitude_spacing == "gauss" and aux.level.tolist() == [500, 1000]
    check_grid(aux, DataCoordinates(GRID, (500, 1000)), source="x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"land_sea_mask": None}, "lack land_sea_mask; they hold geopotential_at_surface"),
        ({"level": None}, "lack level"),
        (
            {"geopotential_at_surface": {"attrs": {"units": "m"}}},
            'geopotential_at_surface is in "m"; accepted: m\\*\\*2',
        ),
        ({"land_sea_mask": {"dims": ("x", "y")}}, "has dimensions"),
        ({"land_sea_mask": {"data": np.zeros((3, 4))}}, "has shape \\(3, 4\\)"),
        ({"land_sea_mask": {"data": np.full((64, 32), np.nan)}}, "no finite numbers"),
        ({"land_sea_mask": {"data": [["a"]]}}, "no finite numbers"),
        ({"land_sea_mask": {"data": [[1], [2, 3]]}}, "no array"),
        ({"latitude": {"data": np.linspace(80, -80, 32)}}, "from south to north"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(DataError, match=f"model.pkl.*{message}"):
        read_aux(dataset(**changes), source="model.pkl")


@pytest.mark.parametrize("given", [None, [], {"coords": {}}, {"coords": 1, "data_vars": 2}])
def test_what_is_no_dataset(given):
    with pytest.raises(DataError, match="model.pkl"):
        read_aux(given, source="model.pkl")


def test_another_grid_is_named():
    longitude, latitude = nodes_of(GRID)
    aux = Aux(longitude, latitude * 0.99, np.array([500, 1000]))
    with pytest.raises(DataError, match="latitude of the fixed fields is not that of the gauss grid"):
        check_grid(aux, DataCoordinates(GRID, (500, 1000)), source="x")
    with pytest.raises(DataError, match="63 x 32 points, the grid has 64 x 32"):
        check_grid(Aux(longitude[:-1], latitude, np.array([500])), DataCoordinates(GRID, (500, 1000)), source="x")


@pytest.mark.parametrize("spacing", ["gauss", "equiangular", "equiangular_with_poles"])
def test_latitudes_and_their_spacing(spacing):
    longitude, latitude = nodes_of(Grid.of_gaussian(31, 16, latitude_spacing=spacing))
    assert Aux(longitude, latitude, np.array([500])).latitude_spacing == spacing
    assert longitude[:2].tolist() == [0.0, 5.625] and latitude[0] == pytest.approx(-latitude[-1])
    assert (latitude[-1] == 90) == (spacing == "equiangular_with_poles")
