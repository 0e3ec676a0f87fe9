"""``python -m zcbench``."""

from zcbench.cli import main

if __name__ == "__main__":
    main()
