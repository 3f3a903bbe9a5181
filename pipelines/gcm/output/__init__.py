"""Frames of a rollout on disk, readable while and after they are written."""
