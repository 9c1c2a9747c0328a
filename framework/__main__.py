"""``python -m framework``: the same as the installed command ``nlvl``."""

import sys

from framework.cli import main

if __name__ == "__main__":
    sys.exit(main())
