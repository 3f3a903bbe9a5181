"""The table of configurables of whole models."""

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint.gin import parse
from sciml.pipelines.gcm.neural.checkpoint.resolution import Resolver
from sciml.pipelines.gcm.neural.checkpoint.schema import KNOWN
from sciml.pipelines.gcm.neural.checkpoint.schema_model import CUBIC, LINEAR


def build(name, text):
    return Resolver(parse(text, source="text"), KNOWN, source="text").build(name)


def test_named_grids_have_their_truncation():
    assert build("GridTL63", "") == c.Grid.of_gaussian(63, 32)
    text = "GridT21.spherical_harmonics_impl = @RealSphericalHarmonicsWithZeroImag\nGridT21.radius = None"
    assert build("GridT21", text) == c.Grid.of_gaussian(21, 16, layout="zero_imag")
    for name, nodes in (LINEAR | CUBIC).items():
        grid = build(f"Grid{name}", "")
        assert grid.longitude_nodes == 4 * nodes and grid.longitude_wavenumbers == int(name.lstrip("TL")) + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GridTL63.radius = 2.0", "line 1: GridTL63.radius: radius 2.0; accepted: 1.0"),
        ("GridTL63.longitude_offset = 'east'", "longitude_offset is 'east'; accepted: a finite number"),
        (
            "GridTL63.spherical_harmonics_impl = @RealSphericalHarmonicsWithZeroImag\n"
            "RealSphericalHarmonicsWithZeroImag.base_shape_multiple = 8",
            "base_shape_multiple is 8; this package knows None",
        ),
    ],
)
def test_wrong_grids_are_named(text, message):
    with pytest.raises(DataError) as error:
        build("GridTL63", text)
    assert message in str(error.value), error.value


FIELDS = """
BatchGaussianRandomFieldModule.initial_correlation_times = ('1 hours', '2 hours', '3 hours')
BatchGaussianRandomFieldModule.initial_correlation_lengths = ('100 km', '200 km', '300 km')
BatchGaussianRandomFieldModule.variances = (1.0, 2.0, 3.0)
"""


def test_a_subset_of_random_fields():
    text = (
        FIELDS
        + "BatchGaussianRandomFieldModule.field_subset = (0, 2)\nBatchGaussianRandomFieldModule.n_fixed_fields = 1"
    )
    fields = build("BatchGaussianRandomFieldModule", text)
    assert fields == c.BatchGaussianRandomFields((3600.0, 10800.0), (1e5, 3e5), (1.0, 3.0), fixed=1)


def test_named_random_fields_get_the_originals_names():
    text = FIELDS.replace("BatchGaussianRandomFieldModule", "DictOfGaussianRandomFieldModules")
    assert build("DictOfGaussianRandomFieldModules", text).names == ("GRF0", "GRF1", "GRF2")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("BatchGaussianRandomFieldModule.field_subset = (0, 3)", "field_subset (0, 3); accepted: some of 0 to 2"),
        ("BatchGaussianRandomFieldModule.field_subset = ()", "field_subset ()"),
        ("BatchGaussianRandomFieldModule.n_fixed_fields = 4", "n_fixed_fields 4; accepted: 0 to 3"),
        ("BatchGaussianRandomFieldModule.variances = (1.0,)", "lengths differ"),
        ("BatchGaussianRandomFieldModule.variances = 1.0", "not a list"),
    ],
)
def test_wrong_random_fields_are_named(line, message):
    with pytest.raises(DataError) as error:
        build("BatchGaussianRandomFieldModule", FIELDS + line)
    assert message in str(error.value), error.value


def test_a_dynamical_core_on_its_own_grid():
    text = """
CustomCoordsCorrector.corrector_module = @DycoreWithPhysicsCorrector
CustomCoordsCorrector.custom_coords = @CoordinateSystem()
CoordinateSystem.horizontal = @GridWithWavenumbers()
CoordinateSystem.vertical = @SigmaCoordinatesEquidistant()
GridWithWavenumbers.longitude_wavenumbers = 63
SigmaCoordinatesEquidistant.layers = 4
DycoreWithPhysicsCorrector.dycore_equation_module = @MoistPrimitiveEquations
DycoreWithPhysicsCorrector.dycore_substeps = 5
DycoreWithPhysicsCorrector.filter_module = @FilterFromTransform
FilterFromTransform.transform_module = @ClipTransform
MoistPrimitiveEquations.orography_module = @FilteredCustomOrography
FilteredCustomOrography.orography_data_path = None
"""
    core = build("CustomCoordsCorrector", text)
    assert core.coordinates == c.Coordinates(c.Grid.of_wavenumbers(63), c.SigmaLevels.equidistant(4))
    assert core.filter == c.ClipFilter(1) and not core.equations.cloud_moisture and core.integrator == "imex_rk_sil3"
    with pytest.raises(DataError, match="HardClip as the filter of a step"):
        build("CustomCoordsCorrector", text.replace("@ClipTransform", "@HardClip") + "HardClip.max_value = 1")
    with pytest.raises(DataError, match="'surface.nc'; this package knows None"):
        build("CustomCoordsCorrector", text.replace("data_path = None", "data_path = 'surface.nc'"))
