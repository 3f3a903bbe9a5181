"""From gin text to settings: the public checkpoint, users' edits, and every sort of mistake by name and line."""

import dataclasses
import random

import pytest

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint import config as c
from sciml.pipelines.gcm.neural.checkpoint import gin, original, papers
from sciml.pipelines.gcm.neural.checkpoint.resolution import Resolver
from sciml.pipelines.gcm.neural.checkpoint.schema import KNOWN, model_config
from sciml.pipelines.gcm.neural.checkpoint.weights import weights

PARSE = gin.parse


@pytest.fixture(scope="module")
def text():
    """The gin text of a small model."""
    return original.to_gin(papers.config("neuralgcm-ens-1.4"))


def line_of(text, words):
    (line,) = (line for line in text.splitlines() if words in line)
    return line


def selector(text, words):
    """ "n12/Name" of the one line with these words."""
    return line_of(text, words).split(".")[0]


@pytest.mark.parametrize("name", papers.NAMES)
def test_settings_survive_gin(name):
    config = papers.config(name)
    assert model_config(original.to_gin(config), source=name) == config


def test_the_mini_checkpoint(mini):
    config = model_config(mini["model_config_str"], source="mini", nodes=(128, 64))
    assert config.model.grid == c.Grid.of_gaussian(63, 32, layout="zero_imag") == config.data.grid
    assert config.step.dycore.coordinates.grid == c.Grid.of_wavenumbers(63, layout="zero_imag")
    assert config.step.dycore.inner_steps == 3 and config.step.substeps == 1 and config.step_seconds == 3600
    filters = config.step.dycore.filter.filters
    assert filters == (c.ExponentialFilter(7200, 3, 0), c.ExponentialFilter(240, 10, 0.4))
    assert config.encoder.mapping.tower.latent_size == 32 and config.encoder.mapping.tower.process_blocks == 2
    assert len(config.step.randomness.variances) == 10 and config.step.randomness.correlation_lengths[0] == 84000
    assert config.reference_temperature[0] == 223.58614815 and len(config.reference_temperature) == 32
    assert model_config(original.to_gin(config), source="again") == config


def test_a_fixed_global_mean(text):
    lines = [line for line in text.splitlines() if "SequentialStepFilter.filter_modules" in line]
    (both,) = (line for line in lines if line.count("@") == 2)  # that of the dynamical core
    edit = both.rstrip(" )") + " @FixGlobalMeanFilter)"
    config = model_config(f"{text}\n{edit}\n", source="edited")
    before, added = papers.config("neuralgcm-ens-1.4").step.dycore.filter.filters, c.FixGlobalMeanFilter()
    assert config.step.dycore.filter.filters == (*before, added)
    more = f"{text}\n{edit}\nFixGlobalMeanFilter.keys = ('log_surface_pressure', 'temperature_variation')"
    assert model_config(more, source="edited").step.dycore.filter.filters[-1].keys[1] == "temperature_variation"


def test_surface_pressure_as_output(text):
    step = selector(text, ".num_substeps =")
    decoder = line_of(text, ".decoder_module =").split("@")[1]
    units = line_of(text, f"{decoder}.inputs_to_units_mapping").split(" = ")[1]
    edit = [
        f"{step}.diagnostics_module = @SurfacePressureDiagnostics",
        f"{decoder}.diagnostics_module = @NodalModelDiagnosticsDecoder",
        f"{decoder}.inputs_to_units_mapping = {units[:-1]}, 'diagnostics': {{'surface_pressure': 'pascal'}}}}",
    ]
    config = model_config("\n".join([text, *edit]), source="edited")
    assert config.step.diagnostics == c.SurfacePressureDiagnostics()
    assert config.decoder.diagnostics == c.NodalModelDiagnosticsDecoder()
    assert config.decoder.units["surface_pressure"] == "pascal" and config.decoder.units["z"] == "m**2 s**-2"


@pytest.mark.parametrize("change", ["2", "'2 kelvin'", "2.0"])
def test_warmer_seas(text, change):
    forcing = line_of(text, ".forcing_module =").split("@")[1]
    edit = f"{forcing}.forcing_transform = @IncrementSSTForcingTransform\nIncrementSSTForcingTransform.temperature_change = {change}"
    assert model_config(f"{text}\n{edit}", source="edited").forcing.transform == c.IncrementSSTForcingTransform(2.0)


def test_other_sizes(mini):
    """The macros and bindings of a config that the original wrote, overridden at the end."""
    edits = """
LATENT_SIZE = 16
NUM_BLOCKS = 3
CNN_CHANNELS = [5, 7]
NUM_SUBSTEPS = 2
N_INNER_DYCORE_STEPS = 5
CoordinateSystem.horizontal = @GridTL31()
GridTL31.spherical_harmonics_impl = @RealSphericalHarmonicsWithZeroImag
smaller/GridWithWavenumbers.longitude_wavenumbers = 31
advance/NodalLandSeaIceEmbedding.land_embedding = None
"""
    config = model_config(mini["model_config_str"] + edits, source="edited")
    assert config.model.grid == c.Grid.of_gaussian(31, 16, layout="zero_imag") == config.data.grid
    assert config.step.dycore.coordinates.grid.longitude_wavenumbers == 31
    assert config.step.physics.mapping.tower.latent_size == 16 and config.step.substeps == 2
    surface, volume = config.step.physics.features.features[:2]
    assert surface.embedding.land is None and volume.embedding.mapping.tower.channels == (5, 7)


def test_other_layers(mini):
    config = model_config(
        mini["model_config_str"] + "\nN_SIGMA_LAYERS = 8\nget_model_specs.reference_temperature = 280\n",
        source="edited",
    )
    assert config.model.levels.layers == 8 and config.reference_temperature == (280.0,) * 8
    with pytest.raises(DataError, match="reference_temperature holds 32 values for 8 layers"):
        model_config(mini["model_config_str"] + "\nN_SIGMA_LAYERS = 8", source="edited")


MISTAKES = {
    "unknown configurable": ("FixGlobalMenFilter.keys = ('u',)", 'unknown "FixGlobalMenFilter.keys"; did you mean "FixGlobalMeanFilter"'),
    "unknown parameter": ("DynamicDataForcing.tolerance = 1", 'DynamicDataForcing has no parameter "tolerance"; did you mean "dt_tolerance"'),
    "idle configurable": ("FixGlobalMeanFilter.keys = ('u',)", "FixGlobalMeanFilter.keys is bound but plays no part"),
    "idle scope": ("elsewhere/gelu.approximate = False", "elsewhere/gelu.approximate is bound but plays no part"),
    "idle macro": ("SIZE = 3", "SIZE is bound but plays no part"),
    "unknown macro": ("get_model_specs.model_time_step = %STEP", 'unknown macro "%STEP"'),
    "wrong type": ("get_model_specs.model_time_step = 'soon'", "'soon' is not a duration"),
    "wrong part": ("StochasticModularStepModel.advance_module = @SoftClip\nSoftClip.max_value = 1", "step"),
    "wrong reference": ("get_model_specs.custom_coords = @CoordinateSystem", "write @CoordinateSystem()"),
    "missing": ("get_model_specs.custom_coords = @GridTL63()", "custom_coords"),
    "another kind of model": ("WhirlModel.model_cls = @NoDiagnostics", "WhirlModel.model_cls"),
    "a perturbation": ("xarray_to_weatherbench_data.diagnostics_to_include = ('precipitation',)", "this package knows ()"),
    "truncation as a table": ("coordinate_system_from_dataset.truncation = {'u': True}", "accepted: LINEAR, CUBIC"),
    "truncation": ("coordinate_system_from_dataset.truncation = 'QUARTIC'", "accepted: LINEAR, CUBIC"),
    "infinite": ("gelu.approximate = 1\nget_model_specs.reference_temperature = 1e999", "finite"),
    "import": ("import neuralgcm", '"import" is refused'),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(edit, message, text):
    with pytest.raises(DataError) as error:
        model_config(f"{text}{edit}\n", source="model.gin")
    assert "model.gin" in str(error.value) and message in str(error.value), error.value


def test_numbers_change_the_settings(text):
    found = model_config(text.replace("SoftClip.max_value = 16.0", "SoftClip.max_value = 15"), source="edited")
    clips = found.step.physics.features.transform.transforms
    assert clips[-1] == c.SoftClip(15.0) and found != papers.config("neuralgcm-ens-1.4")


def test_the_lines_that_the_original_appends_are_known(mini):
    appended = "".join(f"\nGrid{name}.radius = 1.0" for name in ("TL63", "TL127", "TL255"))
    text = mini["model_config_str"].replace("radius = None", "radius = 1.0")
    assert model_config(text + appended, source="x") == model_config(mini["model_config_str"], source="x")


def test_fixed_fields_of_another_size_are_named(text):
    with pytest.raises(
        DataError, match=r"fixed fields of 100 x 50 points are on no linear grid; accepted: 64 x 32 \(TL31\)"
    ):
        model_config(text, source="x", nodes=(100, 50))
    config = model_config(text, source="x", nodes=(128, 64), levels=(500, 1000))
    assert config.data.grid.longitude_nodes == 128 and config.data.pressure_levels == (500.0, 1000.0)


def test_a_precipitation_model():
    """Settings with the parts of the two precipitation models survive gin."""
    config = papers.config("neuralgcm-ens-1.4")
    embedding = c.ModalToNodalEmbedding(
        c.CombinedFeatures((c.PressureFeatures(c.HardClip(8)),)), config.decoder.mapping
    )
    precipitation = c.PrecipitationDiagnosticsConstrained(
        embedding, is_precipitation=False, method_evaporation="cumulative"
    )
    both = c.CombinedDiagnostics((precipitation, c.SurfacePressureDiagnostics()))
    config = dataclasses.replace(
        config,
        step=dataclasses.replace(config.step, diagnostics=both),
        decoder=dataclasses.replace(config.decoder, diagnostics=c.NodalModelDiagnosticsDecoder()),
    )
    assert model_config(original.to_gin(config), source="x") == config


@pytest.mark.slow
@pytest.mark.parametrize("name", [*papers.NAMES, "mini"])
def test_the_originals_gin_resolves_the_same_bindings(name, request):
    """Each configurable we build takes, in its scope, exactly the bindings that the original's gin finds."""
    real = pytest.importorskip("gin")
    pytest.importorskip("neuralgcm.legacy.model_builder")
    text = (
        request.getfixturevalue("mini")["model_config_str"] if name == "mini" else original.to_gin(papers.config(name))
    )
    seen = {}

    class Watching(Resolver):
        def build(self, name, scope=(), depth=0):
            found = {p: self._find(scope, name, p) for p in self.known[name].params}
            seen[scope, name] = {p: binding.value for p, binding in found.items() if binding is not None}
            return super().build(name, scope, depth)

    resolver = Watching(gin.parse(text, source=name), KNOWN, source=name)
    for root in ("WhirlModel", "get_model_specs", "get_physics_specs", "coordinate_system_from_dataset"):
        resolver.build(root)
    real.clear_config()
    try:
        real.parse_config(text)
        for (scope, configurable), ours in seen.items():
            with real.config_scope(list(scope)):
                theirs = real.get_bindings(configurable, resolve_references=False)
            assert set(theirs) == set(ours), (scope, configurable)
            for parameter, value in ours.items():
                if not _refers(value):
                    assert theirs[parameter] == value, (scope, configurable, parameter)
    finally:
        real.clear_config()
    assert len(seen) > 60


def _refers(value):
    if isinstance(value, dict):
        return any(_refers(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_refers(item) for item in value)
    return isinstance(value, (gin.Reference, gin.Macro))


ODD = (
    "None",
    "'x'",
    "-1",
    "0",
    "1e308",
    "[]",
    "{}",
    "()",
    "True",
    "@SoftClip",
    "@GridTL63()",
    "1000000000000",
    "{'u': {'v': 1}}",
)


def test_odd_values_end_in_settings_or_a_data_error(text, monkeypatch):
    """Values of every sort at places all over the text."""
    bindings = gin.parse(text, source="model.gin")
    rng = random.Random(0)
    refused = 0
    for _ in range(25):
        place, value = rng.choice(bindings), rng.choice(ODD)
        (edit,) = PARSE(f"{place} = {value}", source="model.gin")
        monkeypatch.setattr(gin, "parse", lambda *_, edited=[*bindings, edit], **__: edited)
        try:
            weights(model_config(text, source="model.gin"))
        except DataError:
            refused += 1
    assert refused > 12
