"""Equations of motion, vertical coordinate, time stepping and filters."""
