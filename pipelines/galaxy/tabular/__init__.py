"""Encoders of catalog tables: preprocessing, column embeddings, MLP, TabTransformer, FT-Transformer."""
