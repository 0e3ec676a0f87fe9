"""Commands that compare rankings: of many truths, of small samples."""
