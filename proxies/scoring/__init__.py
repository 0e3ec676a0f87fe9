"""Scoring of one network: the contract of a proxy, its evaluation, isolation and conformance check."""
