"""Initial states, analytic and from analyses, and forcings."""
