"""Checkpoints of NeuralGCM v1: reading them safely, their settings as dataclasses, their weights as a parameter tree."""
