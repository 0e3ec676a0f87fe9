"""Scores that others published, and their rank correlation with ours."""
