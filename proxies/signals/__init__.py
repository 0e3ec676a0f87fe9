"""Signals, which proxies read, and the errors and time limits of computing them."""
