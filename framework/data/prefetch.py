"""Make the next items in a background thread while the current one is worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class _End:
    """Nothing more comes; error is what stopped it, None where it is simply over."""

    error: BaseException | None = None


def prefetched(items: Iterator[T], ahead: int) -> Iterator[T]:
    """Yield ``items`` unchanged and in order, with up to ``ahead`` of them made in advance.

    One thread asks ``items``, so their order and their randomness stay as they are. An exception there is raised here,
    at its place in the order. When the caller stops early, the thread ends before control returns.
    """
    ready: SimpleQueue[T | _End] = SimpleQueue()
    room = threading.Semaphore(ahead)
    stopped = threading.Event()

    def work() -> None:
        try:
            while room.acquire() and not stopped.is_set():
                ready.put(next(items))
        except StopIteration:
            ready.put(_End())
        except BaseException as error:
            ready.put(_End(error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        room.release()
        thread.join()
