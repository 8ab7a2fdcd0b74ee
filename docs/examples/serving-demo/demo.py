"""Show in some minutes what becomes of a good, a slow and a wrong version: what `make demo` runs.

All that is needed stands in `serving_demo/` beside this file.
"""

import sys

from serving_demo.command import main

if __name__ == "__main__":
    sys.exit(main())
