"""Image encoders behind one registry: own networks, every timm model, Zoobot, CLIP, morphology measurements."""
