"""Non-parametric morphology and Sersic fits of galaxy cutouts, batched in torch."""
