"""What a network computes, recorded at the functions of PyTorch that its forward pass calls."""
