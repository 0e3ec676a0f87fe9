"""KD-Zero: distillation losses as genomes, and their evolution (Li et al., NeurIPS 2023)."""

if __name__ == "kdzero":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import kdzero'. Expected: 'import zcbench.kdzero'. Install zcbench and import it from there."
    )
