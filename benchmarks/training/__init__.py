"""Truths trained by the user: building, workers, protocol, packing."""
