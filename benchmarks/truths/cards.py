"""The two kinds of Parquet files of accuracies, and where each keeps its card."""

from zcbench.storage.parquet import CardedParquet

#: One table of accuracies.
TRUTHS = CardedParquet(
    b"zcbench",
    "trained accuracies",
    "Delete the file and run 'zcbench data fetch' or 'zcbench data import' again, which writes a new one.",
    elsewhere="free some space, or choose another folder with --data-dir or ZCBENCH_DATA",
)

#: Where a packed truth, which holds several settings, keeps its card; see `zcbench.benchmarks.truths.packed`.
CARD = b"zcbench trainings"

#: All trainings of a truth builder.
TRAININGS = CardedParquet(
    CARD, "trainings", "Expected a file that 'zcbench truth pack' wrote; check the path, or pack the folder again."
)
