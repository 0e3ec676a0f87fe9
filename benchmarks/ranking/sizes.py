"""The sizes that every ranking has as baselines, and the least coverage of a proxy."""

SIZES = ("params", "macs", "n_convs", "depth", "width")
"""Columns of a sizes table; all of them are always ranked, as baselines."""

CONTROLS = SIZES[:3]
"""Sizes that partial correlations are given one by one; ``given_all`` columns are given all of `SIZES`."""

COVERED = 0.9
"""Least share of the architectures with a value that a proxy needs to be chosen by a figure."""
