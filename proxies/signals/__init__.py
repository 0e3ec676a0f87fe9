"""Signals: what a proxy reads of a network, and the errors and limits of reading it."""
