"""Speed of training and of morphology measurements beside their peers, in one run."""
