"""Galaxy mergers from images and spectroscopic tables."""
