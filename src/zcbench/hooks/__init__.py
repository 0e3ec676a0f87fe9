"""Recording of a network's forward pass at the functions of PyTorch that it calls."""
