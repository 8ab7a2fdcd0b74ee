"""Make the modules of stacks/ importable, as the language host does for the program."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "stacks"), str(Path(__file__).parent)]
