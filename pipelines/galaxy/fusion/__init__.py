"""Fusion of image features and table tokens, each modality allowed to be missing."""
