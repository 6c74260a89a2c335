"""Who may get ready to submit, so that thousands who submit at once do not hold the event loop."""

from __future__ import annotations

from collections import OrderedDict

from ..._http.wakeup import Wakeup, make_wakeup


class Admission:
    """Lets in so many at a time; the others wait outside, where a wait costs least.

    Args:
        places: how many are inside at most.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._outside: OrderedDict[Wakeup, None] = OrderedDict()

    async def enter(self) -> Place:
        """Waits for a place, first come, first served."""
        if self._free:
            self._free -= 1
            return Place(self)
        wakeup = make_wakeup()
        self._outside[wakeup] = None
        try:
            await wakeup.wait()
        except BaseException:
            if wakeup in self._outside:
                del self._outside[wakeup]
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
