"""What a command does, as one call: bench, rank and report."""
