"""Distillation losses, one file a paper."""
