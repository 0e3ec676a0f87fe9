"""Reference pages of proxies, made from docstrings and scores."""
