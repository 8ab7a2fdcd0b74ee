"""What a process that is started here needs of the operating system."""

import ctypes
import os
import signal
import sys

PARENT = "FALAJ_TRAIN_PARENT"
"""Variable with the process that starts another one."""
_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
_LARGEST_IN_HEAP = 32 * 2**20
"""Bytes of the largest piece of memory that glibc takes from its heap; what is larger is mapped by itself."""


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


def keep_freed_memory() -> None:
    """Have glibc keep what a step frees for the next one, instead of giving it back and faulting it in again.

    By itself it gives back whatever is free at the end of its heap: whether a step of 19 ms had 600 page faults, and
    took 1 ms longer, was decided by which small object was allocated last. Elsewhere than on glibc nothing is done.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
