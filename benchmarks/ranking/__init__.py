"""Rankings: scores compared with truths, ensembles, regressions, selections."""
