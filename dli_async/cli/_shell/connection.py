"""The options that say which service to talk to, and as whom."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ..._auth import StaticToken
from ..._client import DliClient
from ..._values.errors import ConfigurationError
from .option_groups import OptionGroup


@dataclass(frozen=True, kw_only=True)
class Connection(OptionGroup):
    """Which service to talk to and as whom; None leaves it to the environment."""

    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Base URL of DLI, such as https://dli.cn-north-4.myhuaweicloud.com. "
            "Default: DLI_ENDPOINT, or the endpoint of the region.",
        ),
    ] = None
    region: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Region, such as cn-north-4; it names the endpoint. Default: DLI_REGION.",
        ),
    ] = None
    project_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Project, 32 hexadecimal digits. Default: DLI_PROJECT_ID, "
            "HUAWEICLOUD_SDK_PROJECT_ID, or looked up at IAM by region.",
        ),
    ] = None
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="IAM token to log in with. Other users of the machine can see it in the list of "
            "processes, so better set DLI_TOKEN. Default: DLI_TOKEN, or access keys found where "
            "the vendor's SDK looks (HUAWEICLOUD_SDK_AK and _SK, profile file, ECS, CCE).",
        ),
    ] = None

    obs_endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Base URL of OBS without a bucket. Default: OBS_ENDPOINT, or that of the region; "
            "an emulator is its own.",
        ),
    ] = None

    def client(self, **options: Any) -> DliClient:
        """A client, not yet open; `options` are those of `DliClient`.

        Raises:
            ConfigurationError: a value breaks a rule, or no endpoint is known.
        """
        variables = ("DLI_ENDPOINT", "DLI_REGION")
        if not (self.endpoint or self.region or any(map(os.environ.get, variables))):
            raise ConfigurationError(
                "no endpoint: give --endpoint or --region, or set DLI_ENDPOINT or DLI_REGION"
            )
        return DliClient.from_env(
            endpoint=self.endpoint,
            region=self.region,
            project_id=self.project_id,
            obs_endpoint=self.obs_endpoint,
            auth=None if self.token is None else StaticToken(self.token),
            **options,
        )

    def token_source(self) -> str | None:
        """Where a given token comes from; None if there is none."""
        if self.token is not None:
            return "--token"
        return "DLI_TOKEN" if os.environ.get("DLI_TOKEN") else None
