"""What a process that is started here needs of the operating system."""

import ctypes
import os
import signal
import sys

PARENT = "FALAJ_TRAIN_PARENT"
"""Variable with the process that starts another one."""
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it dies (Linux).

    A worker whose launcher was killed must not go on writing checkpoints beside the run that takes its place.
    """
    parent = os.environ.get(PARENT)
    if sys.platform != "linux" or parent is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)
