"""Keep a second program from writing to a folder that one is writing to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framework.errors import DataError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder; the system lets go of it however the program ends. Raises DataError where another holds it.

    Windows and some network disks have no such lock; there nobody is kept out.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{folder}: is being written by another program; wait until that has ended, or name another folder"
            ) from None
        except OSError:  # The disk knows no locks.
            pass
        yield
    finally:
        os.close(handle)
