"""The OPTIONS of a statement: each is read by somebody, or the statement is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..sql.errors import SqlError, unsupported

__all__ = ["Options", "bad_option"]


def bad_option(text: str) -> SqlError:
    """What Spark finds out only when it writes: the job fails."""
    return SqlError("DLI.0999", f"IllegalArgumentException: {text}")


class Options:
    """The options that are left to be read; keys are in lower case.

    :param known: the names of all options of the format, as they are documented.
    :raises SqlError: DLI.0007 for another one, with those that are known.
    """

    def __init__(self, format: str, given: Mapping[str, str], known: Collection[str]) -> None:
        spelled = {name.lower() for name in known}
        for key in given:
            if key not in spelled:
                raise unsupported(f"the option {key!r} of {format}", known)
        self._given = given

    def text(self, *names: str, default: str = "") -> str:
        """The value of the first of these names that is given."""
        return next((self._given[n.lower()] for n in names if n.lower() in self._given), default)

    def flag(self, name: str, default: bool) -> bool:
        """A boolean, in any case."""
        text = self.text(name, default=str(default)).lower()
        if text not in ("true", "false"):
            raise bad_option(f"{name} flag can be true or false")
        return text == "true"

    def character(self, name: str, default: str) -> str:
        """One character; none at all is Java's NUL, as in Spark."""
        text = self.text(name, default=default)
        if len(text) > 1:
            raise bad_option(f"{name} cannot be more than one character")
        return text or "\0"

    def codec(self, known: Mapping[str, str], others: Collection[str], default: str) -> str:
        """The codec: one of `known`, in any case.

        :param known: what is written, by Spark's name.
        :param others: Spark's names that are not emulated.
        """
        text = self.text("compression", "codec", *_OWN_KEYS, default=default).lower()
        if text in known:
            return known[text]
        if text in others:
            raise unsupported(f"the compression {text!r}", known)
        available = ", ".join([*known, *others])
        raise bad_option(f"Codec [{text}] is not available. Available codecs are {available}.")


_OWN_KEYS = ("parquet.compression", "orc.compress")
