"""The command that serves the emulator."""

from __future__ import annotations

import ipaddress
import tempfile
from dataclasses import asdict
from pathlib import Path

from ..._values.errors import ConfigurationError
from .._shell.extras import need_extra
from .._shell.failures import Exit
from .._shell.output import Output, fields_text
from .._shell.run import guarded
from .options import EmulatorOptions


def serve(output: Output, host: str, port: int, options: EmulatorOptions) -> Exit:
    """Serves an emulator until SIGINT or SIGTERM."""

    def call() -> Exit:
        require("emulator")
        need_folder(options.obs_dir)
        from ...emulator import Emulator
        from ...emulator.server import run_server

        given = {name: value for name, value in asdict(options).items() if value is not None}
        try:
            emulator = Emulator(**given)
            run_server(
                emulator, host, port, lambda url: _announce(output, url, host, options.obs_dir)
            )
        except ValueError as error:  # no database, no zone or no call of that name
            raise ConfigurationError(str(error)) from error
        output.note("stopped")
        return Exit.FINISHED

    return guarded(output, call)


def require(*extras: str) -> None:
    """Raises `ConfigurationError` if packages of an extra are missing."""
    for extra in extras:
        if hint := need_extra(extra):
            raise ConfigurationError(hint)


def need_folder(path: Path) -> None:
    """Makes the folder of `--obs-dir`; raises `ConfigurationError` if it cannot be written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"--obs-dir {path}: cannot be written to: {error.strerror or error}"
        ) from error


def _announce(output: Output, url: str, host: str, obs_dir: Path) -> None:
    from ...emulator import PROJECT_ID, TOKEN

    settings = {"DLI_ENDPOINT": url, "DLI_PROJECT_ID": PROJECT_ID, "DLI_TOKEN": TOKEN}
    exports = " ".join(f"{name}={value}" for name, value in settings.items())
    document = {
        "url": url,
        "project_id": PROJECT_ID,
        "token": TOKEN,
        "obs_dir": obs_dir.absolute(),
    }
    text = fields_text({"url": url, "files": obs_dir.absolute(), "use": f"export {exports}"})
    output.result(document, text)
    output.note("ready; Ctrl-C stops it")
    if not _is_loopback(host):
        output.note(f"warning: {host} can be reached from other machines")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
