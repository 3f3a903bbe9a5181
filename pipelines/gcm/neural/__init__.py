"""NeuralGCM: a primitive-equation core whose physics, analysis and output are learned."""
