"""Rank correlations, bootstrap intervals and the agreement of rankings."""
