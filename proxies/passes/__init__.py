"""Passes: the forward and backward computations that produce the signals."""
