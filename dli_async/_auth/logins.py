"""The logins: an access key, an IAM user, a fixed token, or whatever the machine offers.

How they ride on httpx, and how a client binds them, is in `flows.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from .._values.errors import ConfigurationError, RequestNotSent
from . import iam
from .credentials import EnvironmentKeys, Keys, NoKeys, ProfileKeys, Source, clean, first_keys
from .flows import Auth, Clock, ForeignAuth, RenewingAuth, Request, ScopedAuth, Send
from .iam import Login, Token
from .regions import region_of
from .scope import Scope
from .sign_request import sign_request
from .steps import LoginAnswer, Steps
from .temporary import EcsMetadata, PodIdentity

__all__ = ["AkSk", "CredentialChain", "IamToken", "StaticToken", "bind"]


class AkSk(ScopedAuth):
    """Signs every request with an access key (SDK-HMAC-SHA256).

    Args:
        access_key: the AK.
        secret_key: the SK; it is never sent.
        security_token: belongs to temporary keys; None for permanent ones.
        derived: tells for a host name whether it takes V11-HMAC-SHA256 instead; None means that
            none does, as is so for DLI. `lambda host: not is_standard_host(host)` is the
            vendor's rule.
        now: the wall clock, epoch seconds. The gateway allows 15 minutes of difference.

    Raises:
        ConfigurationError: a value is empty, or cannot be part of a header.

    A request with `X-Sdk-Date` and no `Authorization` keeps its date. The query is brought into
    the form that is signed. API page: "AK/SK Signing and Authentication Guide".
    """

    def __init__(
        self,
        access_key: str,
        secret_key: str,
        *,
        security_token: str | None = None,
        derived: Callable[[str], bool] | None = None,
        now: Clock = time.time,
    ) -> None:
        self._keys = Keys(access_key, secret_key, security_token)
        self._derived = derived
        super().__init__(now)

    def __repr__(self) -> str:
        return f"AkSk({self._keys.shown()})"

    async def keys(self) -> Keys:
        """Return the keys as they were given."""
        return self._keys

    def describe(self) -> str:
        """Return the masked access key."""
        return self._keys.describe()

    def _secrets(self) -> Sequence[str]:
        return self._keys.secrets()

    def _apply(self, request: Request) -> None:
        super()._apply(request)
        region = self._derived_region(request)
        sign_request(request, self._keys, self.now(), derived_region=region)

    def _derived_region(self, request: Request) -> str | None:
        if not self._derived or not self._derived(request.url.host):
            return None
        if str(request.url).startswith(self._iam_endpoint()):
            return None
        region = self._scope.region or region_of(str(request.url))
        if not region:
            raise ConfigurationError(f"{request.url.host} takes a key for one region: name it")
        return region


class StaticToken(ScopedAuth):
    """Sends a token that was got elsewhere as `X-Auth-Token`. It is never renewed.

    Args:
        token: an IAM token with project scope; blanks around it are dropped.
        now: the wall clock, epoch seconds.

    Raises:
        ConfigurationError: the token is empty, or cannot be part of a header.

    API page: "Authentication", Token-based.
    """

    _may_be_locked = False

    def __init__(self, token: str, *, now: Clock = time.time) -> None:
        self._token = clean("token", token)
        super().__init__(now)

    def __repr__(self) -> str:
        return "StaticToken('***')"

    def describe(self) -> str:
        """Return that it is a fixed token."""
        return "a fixed token"

    def _secrets(self) -> Sequence[str]:
        return (self._token,)

    def _apply(self, request: Request) -> None:
        super()._apply(request)
        request.headers["X-Auth-Token"] = self._token


class IamToken(RenewingAuth[Token]):
    """Logs in at IAM with a user's password and sends the token.

    The token is for one project: the given one, else the one named like the region. It is renewed
    at a random moment between half and 80 % of its life, once for all tasks, and once more when
    the service refuses it.

    Args:
        user: name of an IAM user. (A HUAWEI ID cannot get tokens directly.)
        password: the user's password.
        domain: name of the account that the user belongs to.
        iam_endpoint: URL of IAM; None means `HUAWEICLOUD_SDK_IAM_ENDPOINT`, the region's own, or
            the global one.
        now: the wall clock, epoch seconds.

    Raises:
        ConfigurationError: a value is empty.

    API page: "Obtaining a User Token Through Password Authentication" (IAM).
    """

    _may_be_locked = False  # the password may, but is asked for by one request at a time

    def __init__(
        self,
        user: str,
        password: str,
        domain: str,
        *,
        iam_endpoint: str | None = None,
        now: Clock = time.time,
    ) -> None:
        for name, value in (("user", user), ("password", password), ("domain", domain)):
            if not value:
                raise ConfigurationError(f"{name} is empty")
        self._user, self._password, self._domain = user, password, domain
        self._endpoint = iam_endpoint
        super().__init__(now)

    def __repr__(self) -> str:
        return f"IamToken({self._user!r}, '***', {self._domain!r})"

    def describe(self) -> str:
        """Return the user, the account and where they log in."""
        return f"IAM user {self._user!r} of {self._domain!r} at {self._iam_endpoint()}"

    def _secrets(self) -> Sequence[str]:
        token = self._held.value
        return (self._password, token.value) if token else (self._password,)

    def _own_project(self) -> str | None:
        return self._held.value.project_id if self._held.value else None

    def _iam_endpoint(self) -> str:
        return self._scope.iam(self._endpoint)

    def _steps(self, scope: Scope) -> Steps[tuple[Token, float | None]]:
        project_id = scope.given_project_id()
        login = Login(self._user, self._password, self._domain, project_id, scope.region)
        return iam.fetch_token(scope.iam(self._endpoint), login, self.now())

    def _apply(self, request: Request) -> None:
        super()._apply(request)
        if self._held.value:
            request.headers["X-Auth-Token"] = self._held.value.value


class CredentialChain(RenewingAuth[Keys]):
    """Signs with the keys that are found first: environment, profile file, ECS server, CCE pod.

    The look-around happens at the first request. The source that had keys stays; temporary keys
    are got from it again at a random moment between half and 80 % of their life.

    Args:
        sources: where to look, in this order; None means the four above.
        environ: environment variables; None means those of the scope it is bound to, or
            `os.environ`, read when needed.
        now: the wall clock, epoch seconds.
    """

    def __init__(
        self,
        sources: Sequence[Source] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        now: Clock = time.time,
    ) -> None:
        if sources is None:
            sources = (EnvironmentKeys(), ProfileKeys(), EcsMetadata(), PodIdentity())
        self._sources = tuple(sources)
        self._environ = environ
        super().__init__(now)

    def __repr__(self) -> str:
        names = ", ".join(type(source).__name__ for source in self._sources)
        return f"CredentialChain({names})"

    async def keys(self) -> Keys:
        """Return the keys that were found, renewed if it is time."""
        await self.prepare()
        assert self._held.value is not None
        return self._held.value

    def discard_keys(self, keys: Keys) -> None:
        """Forget keys that were refused, so that their source is asked again."""
        if keys.security_token:
            self._held.discard(keys)

    def describe(self) -> str:
        """Return the source that was chosen and the masked key; before that, what will be tried."""
        if self._source and self._held.value:
            return f"{self._source.describe()}: {self._held.value.describe()}"
        return "to be found: " + ", ".join(source.describe() for source in self._sources)

    def _reset(self) -> None:
        super()._reset()
        self._source: Source | None = None

    def _secrets(self) -> Sequence[str]:
        return self._held.value.secrets() if self._held.value else ()

    def _own_project(self) -> str | None:
        return self._held.value.project_id if self._held.value else None

    def _iam_endpoint(self) -> str:
        return self._scope.iam(self._held.value.iam_endpoint if self._held.value else None)

    def _steps(self, scope: Scope) -> Steps[tuple[Keys, float | None]]:
        environ = scope.variables() if self._environ is None else self._environ
        if self._source is None:
            self._source, keys = yield from first_keys(self._sources, environ, self.now())
            return keys, keys.life
        try:
            keys = yield from self._source.keys(environ, self.now())
        except NoKeys as reason:
            # It had keys before, so that it may have some again.
            raise RequestNotSent(f"{self._source.describe()}: {reason}") from None
        return keys, keys.life

    def _refuses(self, answer: LoginAnswer) -> bool:
        keys = self._held.value
        return bool(keys and keys.security_token and iam.key_refused(answer))

    def _unchanged(self, refused: Keys, held: Keys | None) -> bool:
        return refused == held

    def _apply(self, request: Request) -> None:
        super()._apply(request)
        if self._held.value:
            sign_request(request, self._held.value, self.now())


def bind(auth: Auth | None, scope: Scope, send: Send) -> ScopedAuth:
    """Bind any login to a client; see `ScopedAuth` for what the client may then ask of it.

    Args:
        auth: a login of ours, any other `httpx.Auth`, or None for `CredentialChain()`.
        scope: region, project and IAM as far as they are known.
        send: sends the login's own requests, past any limit that waiting requests hold.
    """
    if auth is None:
        auth = CredentialChain()
    login = auth if isinstance(auth, ScopedAuth) else ForeignAuth(auth)
    return login.bind(scope, send)
