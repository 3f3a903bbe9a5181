"""Command line: parse, call a pipeline, print; no array framework is imported at module level."""
