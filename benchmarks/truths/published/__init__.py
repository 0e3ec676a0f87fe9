"""Published truths, one file a source: where its files lie, what they must hash to, and how they are read."""
