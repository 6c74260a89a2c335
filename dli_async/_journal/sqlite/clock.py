"""The journal's clock, by which leases are judged: one for all processes of a machine.

The time of day may be set while workers run, so it is read once, by the first who opens the journal
after the machine has started, and the time since then is counted by the machine itself.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def wind_up(db: sqlite3.Connection) -> None:
    """Gives a connection the function `journal_now()`, in seconds since 1970.

    After another start of the machine the clock is set anew. Nobody lives then who held a lease;
    leases of a journal that had no clock yet were given by the time of day, and stay.
    """
    boot, uptime = _boot(), _uptime()
    row = db.execute("SELECT boot, wall, uptime FROM clock").fetchone()
    is_other_boot = row is not None and (row["boot"] != boot or row["uptime"] > uptime)
    if row is None or is_other_boot:
        db.execute("DELETE FROM clock")
        row = {"wall": time.time(), "uptime": uptime}
        db.execute(
            "INSERT INTO clock (boot, wall, uptime) VALUES (?, ?, ?)",
            (boot, row["wall"], uptime),
        )
        if is_other_boot:
            db.execute("UPDATE exports SET lease_expires_at = 0 WHERE lease_expires_at IS NOT NULL")
    started_at = row["wall"] - row["uptime"]
    db.create_function("journal_now", 0, lambda: started_at + _uptime())


def _boot() -> str:
    """Names the present run of the machine; "" where it has no name."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _uptime() -> float:
    """Seconds since the machine started, also those for which it was suspended, if it tells."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
