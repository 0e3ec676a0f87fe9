"""Tables, figures and the page made from a finished ranking."""

if __name__ == "reports":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import reports'. Expected: 'import zcbench.reports'. Install zcbench and import it from there."
    )
