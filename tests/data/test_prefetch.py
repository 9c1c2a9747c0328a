from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.prefetch import prefetched


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers()), st.integers(1, 4))
def test_items_come_unchanged_and_in_order(items: list[int], ahead: int) -> None:
    assert list(prefetched(iter(items), ahead)) == items


def _failing() -> Iterator[int]:
    yield 1
    yield 2
    raise KeyError("the third")


def test_an_exception_is_raised_at_its_place() -> None:
    found = prefetched(_failing(), 5)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(KeyError, match="the third"):
        next(found)


def test_no_more_than_the_stated_number_is_made_in_advance() -> None:
    made: list[int] = []
    third = threading.Event()

    def counted() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    found = prefetched(counted(), 2)
    assert next(found) == 0
    assert third.wait(5), "two more are made while the first is worked on"
    found.close()  # type: ignore[attr-defined]
    assert made == [0, 1, 2]


def test_the_thread_ends_when_the_caller_stops_early() -> None:
    before = threading.active_count()
    found = prefetched(iter(range(1000)), 2)
    next(found)
    assert threading.active_count() == before + 1
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
