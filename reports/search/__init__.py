"""Figures and the page of a search."""
