"""Tables of trained accuracies: names, sources, importers, lookup."""
