"""Where access keys come from: the environment, a profile file, an ECS server, a CCE pod.

The order and the names are those of the vendor's SDK (`core/auth/provider.py`). The last two
give temporary keys; see `temporary.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .._values.errors import ConfigurationError, DliError
from .steps import Steps, read_file

__all__ = [
    "EnvironmentKeys",
    "Keys",
    "NoKeys",
    "ProfileKeys",
    "Source",
    "clean",
    "first_keys",
    "mask",
]


class NoKeys(Exception):
    """A source has nothing to give; the text says why, without secrets."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """An access key with its secret, and what its source knows besides.

    Attributes:
        access_key: the AK.
        secret_key: the SK.
        security_token: belongs to temporary keys; None for permanent ones.
        life: seconds for which the keys are still good; None means for ever.
        project_id, iam_endpoint: None where the source does not say.

    Raises:
        ConfigurationError: a value is empty or cannot be part of a header.
    """

    access_key: str
    secret_key: str
    security_token: str | None = None
    life: float | None = field(default=None, compare=False)
    project_id: str | None = None
    iam_endpoint: str | None = None

    def __post_init__(self) -> None:
        for name in ("access_key", "secret_key", "security_token"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, clean(name, value))

    def __repr__(self) -> str:
        return f"Keys({self.shown()})"

    def shown(self) -> str:
        """Return the arguments as a `repr` may show them."""
        temporary = ", security_token='***'" if self.security_token else ""
        return f"{mask(self.access_key)!r}, '***'{temporary}"

    def describe(self) -> str:
        """Return the masked access key in words."""
        kind = "temporary access key" if self.security_token else "access key"
        return f"{kind} {mask(self.access_key)}"

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be shown."""
        return tuple(filter(None, (self.secret_key, self.security_token)))


class Source(Protocol):
    """A place where keys may be found."""

    def describe(self) -> str:
        """Return the name of the place, as `dli-async whoami` shows it."""
        ...

    def keys(self, environ: Mapping[str, str], now: float) -> Steps[Keys]:
        """Look for keys; raises `NoKeys` with the reason when there are none."""
        ...


@dataclass(frozen=True, slots=True)
class EnvironmentKeys:
    """`HUAWEICLOUD_SDK_AK`, `HUAWEICLOUD_SDK_SK` and, for temporary keys,
    `HUAWEICLOUD_SDK_SECURITY_TOKEN`."""

    def describe(self) -> str:
        """Return the name of the source."""
        return "environment (HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK)"

    def keys(self, environ: Mapping[str, str], now: float) -> Steps[Keys]:
        """Look into the environment."""
        yield from ()
        access_key = environ.get("HUAWEICLOUD_SDK_AK")
        secret_key = environ.get("HUAWEICLOUD_SDK_SK")
        if not access_key or not secret_key:
            missing = "HUAWEICLOUD_SDK_SK" if access_key else "HUAWEICLOUD_SDK_AK"
            raise NoKeys(f"{missing} is not set")
        return Keys(
            access_key,
            secret_key,
            environ.get("HUAWEICLOUD_SDK_SECURITY_TOKEN") or None,
            project_id=environ.get("HUAWEICLOUD_SDK_PROJECT_ID") or None,
        )


@dataclass(frozen=True, slots=True)
class ProfileKeys:
    """A profile file: `HUAWEICLOUD_SDK_CREDENTIALS_FILE`, or `~/.huaweicloud/credentials`.

    Its section `[basic]` has `ak` and `sk`, and may have `security_token`, `project_id` and
    `iam_endpoint`.
    """

    def describe(self) -> str:
        """Return the name of the source."""
        return "profile file (~/.huaweicloud/credentials or HUAWEICLOUD_SDK_CREDENTIALS_FILE)"

    def keys(self, environ: Mapping[str, str], now: float) -> Steps[Keys]:
        """Read the file, away from the event loop."""
        path = _profile_path(environ)
        try:
            text = yield from read_file(path)
        except OSError as error:
            raise NoKeys(f"{path}: {error.strerror or 'cannot be read'}") from None
        except UnicodeDecodeError:
            raise NoKeys(f"{path}: not a text in UTF-8") from None
        basic = _basic_section(path, text)
        access_key, secret_key = basic.get("ak"), basic.get("sk")
        if not access_key or not secret_key:
            raise NoKeys(f"{path}: its section [basic] has no {'sk' if access_key else 'ak'}")
        return Keys(
            access_key,
            secret_key,
            basic.get("security_token") or None,
            project_id=basic.get("project_id") or None,
            iam_endpoint=basic.get("iam_endpoint") or None,
        )


def first_keys(
    sources: Sequence[Source], environ: Mapping[str, str], now: float
) -> Steps[tuple[Source, Keys]]:
    """Ask one source after the other; returns the first that has keys, and the keys.

    Raises:
        ConfigurationError: none has any; the text lists every source and its reason.
    """
    reasons = []
    for source in sources:
        try:
            return source, (yield from source.keys(environ, now))
        except (NoKeys, DliError, OSError) as reason:
            reasons.append(f"\n- {source.describe()}: {reason}")
    raise ConfigurationError("no credentials were found; tried:" + "".join(reasons))


def clean(name: str, value: str) -> str:
    """Return a secret without the blanks around it, such as the line end of the file it was in.

    Raises:
        ConfigurationError: it is empty, or has characters that a header cannot carry. (An HTTP
            library would refuse the header with the secret in its message.)
    """
    value = value.strip()
    if not value:
        raise ConfigurationError(f"{name} is empty")
    if not value.isascii() or not value.isprintable():
        raise ConfigurationError(f"{name} has characters that a header cannot carry")
    return value


def mask(key: str) -> str:
    """Return enough of an access key to recognise it."""
    return f"{key[:4]}…" if len(key) > 8 else "…"


def _profile_path(environ: Mapping[str, str]) -> Path:
    given = environ.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE")
    if given:
        return Path(given)
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".huaweicloud" / "credentials"


def _basic_section(path: Path, text: str) -> Mapping[str, str]:
    import configparser  # needed by few

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        # The parser's own message quotes the line, and with it perhaps the secret.
        raise NoKeys(f"{path}: not in INI format") from None
    if not parser.has_section("basic"):
        raise NoKeys(f"{path}: no section [basic]")
    return parser["basic"]
