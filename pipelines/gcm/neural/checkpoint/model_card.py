"""README.md of a converted checkpoint, with the front matter model hubs read: what it is, where from, which licence."""

from collections.abc import Mapping

from sciml.pipelines.gcm.neural.checkpoint import config as c

LICENCE = "cc-by-sa-4.0"  # of the weights that the authors of NeuralGCM released
UNTRAINED = "none: random weights"


def model_card(config: c.ModelConfig, provenance: Mapping[str, str], parameters: int) -> str:
    """The card of a model of `parameters` weights."""
    grid, step = config.model.grid, config.step
    inner = step.substeps * step.dycore.inner_steps
    random = not isinstance(step.randomness, (c.NoRandomField, c.ZerosRandomField))
    licence = provenance.get("licence", LICENCE)
    lines = [
        "---",
        "library_name: sciml",
        f"license: {licence}",
        "tags: [weather, climate, neuralgcm, general-circulation-model]",
        "---",
        "",
        "# NeuralGCM, converted",
        "",
        f"A {'stochastic' if random else 'deterministic'} NeuralGCM of {parameters:,} parameters on "
        f"{grid.longitude_nodes} x {grid.latitude_nodes} points and {config.model.levels.layers} sigma layers; learned "
        f"physics every {config.step_seconds / step.substeps / 60:g} min, {inner} dynamical steps per "
        f"{config.step_seconds / 3600:g} h.",
        "",
        "## Provenance",
        "",
        f"- converted from `{provenance.get('source', 'unknown')}`, sha256 `{provenance.get('sha256', 'unknown')}`",
        "- weights, fixed fields and settings have the values of that file; `config.gin` is its own text",
        f"- licence of the weights: {licence}",
    ]
    if licence == LICENCE:
        lines += [
            "",
            "Weights released with Kochkov et al., Neural general circulation models for weather and climate, Nature 632 "
            "(2024), doi:10.1038/s41586-024-07744-y, are under CC BY-SA 4.0: name the authors, share alike. The conversion "
            "changed names and file format only.",
        ]
    lines += [
        "",
        "## Use",
        "",
        "```",
        "sciml gcm rollout --checkpoint {this folder} --initial era5.nc --days 10",
        "```",
        "",
    ]
    return "\n".join(lines)
