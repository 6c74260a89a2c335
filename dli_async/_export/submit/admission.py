"""Who may get ready to submit, so that thousands who submit at once do not hold the event loop."""

from __future__ import annotations

from collections import OrderedDict

from ..._http.wakeup import Bell, make_bell


class Admission:
    """Lets in so many at a time; the others wait outside, where a wait costs least.

    Args:
        places: how many are inside at most.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._outside: OrderedDict[Bell, None] = OrderedDict()

    async def enter(self) -> Place:
        """Waits for a place, first come, first served."""
        if self._free:
            self._free -= 1
            return Place(self)
        bell = make_bell()
        self._outside[bell] = None
        try:
            await bell.wait()
        except BaseException:
            if bell in self._outside:
                del self._outside[bell]
            else:
                self.free()
            raise
        return Place(self)

    def free(self) -> None:
        """Gives a place to the next one."""
        if self._outside:
            self._outside.popitem(last=False)[0].set()
        else:
            self._free += 1


class Place:
    """A place inside, which is given back once, however often that is said."""

    __slots__ = ("_admission",)

    def __init__(self, admission: Admission) -> None:
        self._admission: Admission | None = admission

    def leave(self) -> None:
        """Gives the place back."""
        if self._admission is not None:
            admission, self._admission = self._admission, None
            admission.free()
