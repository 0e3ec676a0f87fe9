"""Truth tables, the scoring run, the score store and the ranking statistics."""

if __name__ == "benchmarks":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import benchmarks'. Expected: 'import zcbench.benchmarks'. Install zcbench and import it from there."
    )
