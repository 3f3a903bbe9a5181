"""Pipelines: knowledge distillation of weather forecasts, and the settings, runs and readers that pipelines share."""
