"""The real spherical-harmonic transform and its operators."""
