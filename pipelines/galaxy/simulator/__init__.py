"""Simulated mergers and controls: restricted N-body, light, observation, and the table of the same object."""
