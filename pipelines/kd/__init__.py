"""Knowledge distillation: small station-level students learn from a numerical weather prediction teacher."""
