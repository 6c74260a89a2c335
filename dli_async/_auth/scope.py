"""What a login is used for: region, project, IAM."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .regions import iam_endpoint, region_of

__all__ = ["Scope"]

_PROJECT_IN_PATH = re.compile(r"/v\d[^/]*/([0-9a-f]{32})(/|$)")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a client knows when it binds a login.

    Attributes:
        region: such as `cn-north-4`; None where only an endpoint was given.
        project_id: as the user gave it; None means: from the environment, from the token, or
            looked up at IAM by region.
        iam_endpoint: URL of IAM; None means `HUAWEICLOUD_SDK_IAM_ENDPOINT`, the region's, or the
            global one.
        local: URL of an emulator on this machine, which then is IAM too; None for the cloud.
        environ: None means `os.environ`, read when it is needed.
    """

    region: str | None = None
    project_id: str | None = None
    iam_endpoint: str | None = None
    local: str | None = None
    environ: Mapping[str, str] | None = field(default=None, repr=False)

    @classmethod
    def of_request(cls, url: str, path: str, project_id: str | None) -> Scope:
        """Return what a single request tells about its scope, for a login that is not bound."""
        match = _PROJECT_IN_PATH.match(path)
        in_path = match[1] if match else None
        return cls(region=region_of(url), project_id=project_id or in_path)

    def variables(self) -> Mapping[str, str]:
        """Return the environment to look into."""
        return os.environ if self.environ is None else self.environ

    def given_project_id(self) -> str | None:
        """Return the project that the user or the environment names, or None."""
        variables = self.variables()
        return (
            self.project_id
            or variables.get("DLI_PROJECT_ID")
            or variables.get("HUAWEICLOUD_SDK_PROJECT_ID")
            or None
        )

    def iam(self, preferred: str | None = None) -> str:
        """Return the URL of IAM; `preferred` is what the login itself names, and wins."""
        given = preferred or self.iam_endpoint
        if not given and self.local and not self.variables().get("HUAWEICLOUD_SDK_IAM_ENDPOINT"):
            return self.local
        return given or iam_endpoint(self.region, self.environ)
