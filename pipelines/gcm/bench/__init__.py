"""Speed, agreement with dinosaur, and the laws that a dynamical core must keep, measured."""
