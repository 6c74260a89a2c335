"""What the demo tells when all its exports have ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group

from ..._values.spec import TableExport
from .._shell.failures import Exit
from .._shell.output import Output, counted, plain_table, table_of
from .verify import FolderContent


@dataclass(frozen=True, kw_only=True)
class DemoExport:
    """What became of one export; `error` is None if its files hold what the table holds."""

    spec: TableExport
    folder: Path
    job_id: str | None
    found: FolderContent | None
    seconds: float
    error: str | None

    @property
    def name(self) -> str:
        """Database and table."""
        return table_of(self.spec)

    @property
    def rows(self) -> int:
        """Rows that were read back."""
        return self.found.rows if self.found else 0

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.found.size if self.found else 0

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the part files."""
        return self.found.files if self.found else ()

    @property
    def amounts(self) -> str:
        """How much it was, in words."""
        rows, size = counted(self.rows, "row"), counted(self.size, "byte")
        return f"{rows}, {size} in {counted(len(self.files), 'file')}, {self.seconds:.1f} s"

    def shape(self) -> str:
        """What kind of files it wrote."""
        header = " header" if self.spec.with_column_header else ""
        compress = "" if self.spec.compress == "none" else f" {self.spec.compress}"
        return f"{self.spec.data_type}{compress}{header}"

    def document(self) -> dict[str, Any]:
        """The export as `--json` prints it."""
        return {
            **self.spec.body(),
            "job_id": self.job_id,
            "folder": self.folder,
            "files": self.files,
            "rows": self.rows,
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "verified": self.error is None,
            "error": self.error,
        }


def show_summary(
    output: Output, exports: Sequence[DemoExport], folder: Path, seconds: float
) -> Exit:
    """Prints the summary; returns the exit code."""
    failed = [export for export in exports if export.error is not None]
    totals = {
        "rows": sum(export.rows for export in exports),
        "bytes": sum(export.size for export in exports),
        "seconds": round(seconds, 3),
    }
    documents = [export.document() for export in exports]
    document = {"exports": documents, "failed": len(failed), **totals, "folder": folder}
    output.result(document, _table(exports, folder, seconds))
    if not failed:
        return Exit.FINISHED
    reasons = "; ".join(f"{export.name}: {export.error}" for export in failed)
    output.note(
        f"dli-async: error: {len(failed)} of {counted(len(exports), 'export')} failed: {reasons}"
    )
    return Exit.JOB_FAILED


def _table(exports: Sequence[DemoExport], folder: Path, seconds: float) -> Group:
    table = plain_table("table", "format", "rows", "bytes", "seconds", "")
    for column in table.columns[2:5]:
        column.justify = "right"
    for export in exports:
        table.add_row(
            export.name,
            export.shape(),
            f"{export.rows:,}",
            f"{export.size:,}",
            f"{export.seconds:.1f}",
            "failed" if export.error else "verified",
        )
    rows, size = sum(export.rows for export in exports), sum(export.size for export in exports)
    table.add_row(counted(len(exports), "table"), "", f"{rows:,}", f"{size:,}", f"{seconds:.1f}")
    return Group(table, "", f"files: {folder / 'DATABASE' / 'TABLE'}")
