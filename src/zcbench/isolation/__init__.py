"""Process-wide settings and patched functions, recorded and restored around foreign code."""
