"""IAM's token and project calls, and the two places that give temporary keys to machines."""

from __future__ import annotations

from typing import Any, Literal

from .._protocol.answers import Answer, Refused, iam_error
from .._protocol.bodies import parse_json
from .._protocol.callers import DOMAIN, PASSWORD, PROJECT_ID, USER, Gate, TemporaryKey, iso
from .._protocol.calls import Call, Guard, Route

Metadata = Literal["optional", "required", "tokenless"]

_DOMAIN_ID = "fedcba9876543210fedcba9876543210"
_USER_ID = "00112233445566778899aabbccddeeff"
_LONGEST_TTL = 21_600
_KEY_LIFE, _LONGEST_KEY_LIFE = 900, 86_400


class IamRoutes:
    """Answers the calls that give out credentials.

    `metadata` is how the metadata service treats its own token: `optional`, `required`, or
    `tokenless` where it knows of none (older machines).
    """

    def __init__(self, gate: Gate, region: str, metadata: Metadata) -> None:
        self._gate = gate
        self._region = region
        self._metadata = metadata
        self._metadata_tokens: dict[str, float] = {}

    def routes(self) -> list[Route]:
        """The routes of this file."""
        listed = {"name", "page", "per_page", "domain_id", "parent_id", "enabled", "is_domain"}
        nocatalog = frozenset({"nocatalog"})
        free = Guard.NOBODY
        key = "/openstack/latest/securitykey"
        return [
            Route("iam-token", "POST", "/v3/auth/tokens", self.token, nocatalog, free),
            Route(
                "iam-keys",
                "POST",
                "/v3.0/OS-CREDENTIAL/securitytokens",
                self.temporary_keys,
                guard=Guard.IAM,
            ),
            Route(
                "iam-projects",
                "GET",
                "/v3/projects",
                self.projects,
                frozenset(listed),
                Guard.IAM,
            ),
            Route("metadata", "PUT", "/meta-data/latest/api/token", self.visit, guard=free),
            Route("metadata", "GET", key, self.security_key, guard=free),
            Route("metadata", "POST", "/pod-identity", self.pod_identity, guard=free),
        ]

    def token(self, call: Call) -> Answer:
        """POST /v3/auth/tokens: password login, normally for one project."""
        try:
            auth = parse_json(call.body)["auth"]
            user = auth["identity"]["password"]["user"]
            login = (user["name"], user["password"], user["domain"]["name"])
            project = (auth.get("scope") or {}).get("project")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refused(iam_error(400, "The request body is invalid")) from None
        if login != (USER, PASSWORD, DOMAIN):
            raise Refused(iam_error(401, "The username or password is wrong."))
        token = self._gate.issue_token(call.now, self._scope(project))
        return Answer(
            {"token": self._describe(token.issued_at, token.expires_at, token.project)},
            status=201,
            headers={"X-Subject-Token": token.text},
        )

    def _scope(self, project: dict[str, str] | None) -> str | None:
        if not project:
            return None
        if project.get("id", PROJECT_ID) == PROJECT_ID and (
            project.get("name", self._region) == self._region
        ):
            return PROJECT_ID
        raise Refused(iam_error(401, "The project does not exist or is not the user's."))

    def _describe(self, issued_at: float, expires_at: float, project: str | None) -> dict[str, Any]:
        domain = {"id": _DOMAIN_ID, "name": DOMAIN}
        token: dict[str, Any] = {
            "methods": ["password"],
            "issued_at": iso(issued_at),
            "expires_at": iso(expires_at),
            "user": {"id": _USER_ID, "name": USER, "domain": domain, "password_expires_at": ""},
            "roles": [{"id": "0", "name": "dli_adm"}],
            "catalog": [],
        }
        if project:
            token["project"] = {"id": project, "name": self._region, "domain": domain}
        return token

    def projects(self, call: Call) -> Answer:
        """GET /v3/projects: the one project there is, if the name fits."""
        project = {
            "id": PROJECT_ID,
            "name": self._region,
            "domain_id": _DOMAIN_ID,
            "parent_id": _DOMAIN_ID,
            "enabled": True,
            "is_domain": False,
            "description": "",
            "links": {"self": f"/v3/projects/{PROJECT_ID}"},
        }
        found = [project] if call.arguments.get("name", self._region) == self._region else []
        return Answer({"projects": found, "links": {"self": "/v3/projects"}})

    def temporary_keys(self, call: Call) -> Answer:
        """POST /v3.0/OS-CREDENTIAL/securitytokens: a temporary key for who has a token."""
        try:
            identity = parse_json(call.body)["auth"]["identity"]
            methods, asked = identity["methods"], identity.get("token") or {}
            life = int(asked.get("duration_seconds", asked.get("duration-seconds", _KEY_LIFE)))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refused(iam_error(400, "The request body is invalid")) from None
        if methods != ["token"] or not _KEY_LIFE <= life <= _LONGEST_KEY_LIFE:
            text = f"methods is ['token'], duration_seconds {_KEY_LIFE} to {_LONGEST_KEY_LIFE}"
            raise Refused(iam_error(400, text))
        answer = _credential(self._gate.key_for(call.now, life))
        answer.status = 201
        return answer

    def visit(self, call: Call) -> Answer:
        """PUT /meta-data/latest/api/token: a session with the metadata service."""
        if self._metadata == "tokenless":
            return _text(404, "Not Found")
        ttl = call.headers.get("x-metadata-token-ttl-seconds", "")
        if not ttl.isdecimal() or not 1 <= int(ttl) <= _LONGEST_TTL:
            return _text(400, f"X-Metadata-Token-Ttl-Seconds must be 1 to {_LONGEST_TTL}")
        token = f"metadata-{len(self._metadata_tokens)}"
        self._metadata_tokens[token] = call.now + int(ttl)
        return _text(200, token)

    def security_key(self, call: Call) -> Answer:
        """GET /openstack/latest/securitykey: a temporary key for this machine."""
        token = call.headers.get("x-metadata-token")
        if token is None and self._metadata == "required":
            return _text(401, "Unauthorized: a metadata token is required")
        if token is not None and self._metadata_tokens.get(token, 0.0) <= call.now:
            return _text(401, "Unauthorized: the metadata token is unknown or has expired")
        return self._temporary_key(call)

    def pod_identity(self, call: Call) -> Answer:
        """POST /pod-identity: a temporary key for a pod.

        Any Authorization will do: the emulator knows no cluster that could have issued it.
        """
        if not call.headers.get("authorization"):
            return _text(401, "Unauthorized")
        return self._temporary_key(call)

    def _temporary_key(self, call: Call) -> Answer:
        return _credential(self._gate.temporary_key(call.now))


def _credential(key: TemporaryKey) -> Answer:
    fields = {
        "access": key.access,
        "secret": key.secret,
        "securitytoken": key.security_token,
        "expires_at": iso(key.expires_at),
    }
    return Answer({"credential": fields})


def _text(status: int, text: str) -> Answer:
    return Answer(status=status, raw=text.encode(), media="text/plain")
