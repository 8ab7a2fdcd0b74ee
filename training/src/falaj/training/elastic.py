"""torchrun, as a process that dies with the one that started it: `python -m falaj.training.elastic ARGUMENTS`."""

import os
import sys

from falaj.training.process import PARENT, die_with_parent

if __name__ == "__main__":
    die_with_parent()
    os.environ[PARENT] = str(os.getpid())
    from torch.distributed.run import main

    main(sys.argv[1:])
