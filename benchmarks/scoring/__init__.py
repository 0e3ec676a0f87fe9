"""Scoring runs: protocol, workers, store, packed score files, teachers."""
