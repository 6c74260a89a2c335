"""Locks that exist for as long as somebody holds or waits for them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

import anyio

K = TypeVar("K", bound=Hashable)


class Locks(Generic[K]):
    """One lock for each key."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[K, anyio.Lock] = WeakValueDictionary()

    def get(self, key: K) -> anyio.Lock:
        """The lock of a key; hold on to it, or it is another one next time."""
        # A free lock need not let others run first: that is half the cost of an uncontended one.
        return self._locks.get(key) or self._locks.setdefault(key, anyio.Lock(fast_acquire=True))
