"""Reasons become flags and sentences."""

from sciml.pipelines.galaxy.morphology.definitions import BITS, REASONS, Definitions, flag_of, note_of


def test_every_reason_has_its_own_bit():
    assert len(set(BITS.values())) == len(REASONS)
    assert sum(BITS.values()) < 2**63


def test_the_flag_is_the_worst_level():
    assert flag_of(0) == 0
    assert flag_of(BITS["gini_segment_split"]) == 1
    assert flag_of(BITS["gini_segment_split"] | BITS["skybox"]) == 2
    assert flag_of(BITS["skybox"] | BITS["no_flux"]) == 4


def test_the_note_names_the_worst_first():
    note = note_of(BITS["gini_segment_split"] | BITS["no_flux"])
    assert note.startswith("total flux") and "several parts" in note
    assert note_of(0) == ""


def test_defaults_are_statmorphs():
    chosen = Definitions()
    assert (chosen.eta, chosen.cas_extent, chosen.flux_extent, chosen.skybox) == (0.2, 1.5, 2.0, 32)
