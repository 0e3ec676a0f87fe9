"""Commands that train many networks: truths and teachers."""
