"""What a bulk run makes of the files of its exports, with real files, in real time."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from dli_async import (
    ConfigurationError,
    DliClient,
    FilesError,
    InvalidExport,
    RequestError,
    TableExport,
    VerificationFailed,
)
from dli_async._journal.entries import ExportState
from dli_async.bulk import ExportOutcome
from dli_async.emulator import Emulator
from tests.conftest import REAL
from tests.journal.support import entries_of, quick_client
from tests.support import Service

pytestmark = pytest.mark.anyio

TABLES = ("orders", "stores")
WANTED: dict[str, Any] = {"verify": True, "fetch": "out"}


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: files are read in threads."""
    return request.param


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run is at home: relative folders lie in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
async def emulator(home: Path) -> AsyncGenerator[Emulator]:
    """An emulator that writes files, whose jobs take no time."""
    async with Emulator(obs_dir=home / "obs", launch=0, run=0) as one:
        yield one


@pytest.fixture
async def client(emulator: Emulator) -> AsyncGenerator[DliClient]:
    """A client of the emulator that looks often."""
    async with quick_client(emulator) as one:
        yield one


def spec(table: str = "orders", bucket: str = "lake", **fields: Any) -> TableExport:
    """A table of the emulator, to a folder of its name."""
    path = f"obs://{bucket}/day/{table}"
    given = {"database_name": "sales", "table_name": table, "data_path": path, "compress": "gzip"}
    return TableExport(**(given | fields))


def part_of(table: str = "orders", root: str = "obs/lake") -> Path:
    """The only part file of an export."""
    [part] = Path(root, "day", table).glob("part-*")
    return part


def at(path: str) -> bool:
    """Whether something is there."""
    return Path(path).exists()


def remove(folder: str) -> None:
    """Removes a folder and the files in it."""
    shutil.rmtree(folder)


def block(path: str) -> None:
    """Puts a file where a folder shall be."""
    Path(path).parent.mkdir(parents=True)
    Path(path).write_text("a file")


def arrived(folder: str) -> list[Path]:
    """The files that are whole, wherever they lie in a folder."""
    return list(Path(folder).rglob("part-*.gz"))


async def run(client: DliClient, *specs: TableExport, **options: Any) -> list[ExportOutcome]:
    """The outcomes of a run with a journal, in the order of the specs."""
    async with client.export_many(specs, **({"journal": "run.db"} | options)) as outcomes:
        found = {outcome.spec: outcome async for outcome in outcomes}
    return [found[one] for one in specs]


async def test_each_export_is_verified_and_comes_into_a_folder_of_its_own(
    client: DliClient, home: Path
) -> None:
    """Named by its folder below the bucket; outcome and journal tell it."""
    found = await run(client, *map(spec, TABLES), **WANTED)

    for table, outcome in zip(TABLES, found, strict=True):
        assert (outcome.ok, outcome.error, outcome.verified) == (True, None, True)
        assert outcome.fetched_to == home / "out" / "day" / table
        assert outcome.result is not None
        assert outcome.result.verification is not None
        assert outcome.result.verification.rows == outcome.result.row_count
        assert outcome.result.fetched is not None
        assert outcome.result.fetched.files == (home / part_of(table, "out"),)
        assert part_of(table, "out").read_bytes() == part_of(table).read_bytes()
    for entry in await entries_of(Path("run.db")):
        assert not entry.lacks(verify=True, fetch=Path("out"))
        assert entry.files_error is None


@pytest.mark.parametrize("journal", [None, "run.db"])
async def test_files_are_looked_at_only_if_that_is_wanted(
    client: DliClient, emulator: Emulator, journal: str | None
) -> None:
    """With and without a journal, and the one without the other."""
    [plain] = await run(client, spec(), journal=journal)
    assert (plain.ok, plain.verified, plain.fetched_to) == (True, False, None)
    assert emulator.ledger.requests["obs-list"] == 0

    other = spec("stores")
    [fetched] = await run(client, other, journal=journal, fetch="out")
    assert (fetched.ok, fetched.verified, fetched.fetched_to) == (
        True,
        False,
        Path.cwd() / "out/day/stores",
    )


async def test_a_check_that_fails_is_an_outcome_of_its_own_until_it_is_well(
    client: DliClient, emulator: Emulator
) -> None:
    """The result is told, the others are not concerned, and nothing is fetched or sent again."""
    await run(client, *map(spec, TABLES))
    part = part_of()
    whole = part.read_bytes()
    part.write_bytes(whole[:-100])

    failed, well = await run(client, *map(spec, TABLES), **WANTED)

    assert isinstance(failed.error, VerificationFailed)
    assert failed.result is not None
    assert failed.result.verification is failed.error.verification
    assert (failed.ok, failed.resumed, failed.verified, failed.fetched_to) == (
        *(False, True, False),
        None,
    )
    assert well.ok
    assert not at("out/day/orders")
    [entry] = [one for one in await entries_of(Path("run.db")) if one.table_name == "orders"]
    assert (entry.state, entry.files_error) == (ExportState.FINISHED, str(failed.error))

    part.write_bytes(whole)
    [mended] = await run(client, spec(), **WANTED)
    assert (mended.ok, mended.verified) == (True, True)
    assert part_of(root="out").read_bytes() == whole
    assert {one.files_error for one in await entries_of(Path("run.db"))} == {None}
    assert len(emulator.ledger.jobs) == 2


@pytest.mark.parametrize("wanted", ["verify", "fetch"])
async def test_trouble_with_obs_is_made_up_for_by_the_next_run(
    client: DliClient, emulator: Emulator, wanted: str
) -> None:
    """The export has finished all the same, and is not exported again."""
    emulator.faults.set([{"route": "obs-get", "when": "after", "kind": "reset"}])
    [outcome] = await run(client, spec(), **{wanted: WANTED[wanted]})
    assert isinstance(outcome.error, RequestError)
    assert outcome.result is not None
    [entry] = await entries_of(Path("run.db"))
    assert (entry.state, entry.files_error) == (ExportState.FINISHED, str(outcome.error))

    emulator.faults.set([])
    [outcome] = await run(client, spec(), **WANTED)
    assert (outcome.ok, outcome.resumed, outcome.verified) == (True, True, True)
    assert part_of(root="out").exists()
    assert len(emulator.ledger.jobs) == 1


async def test_what_was_done_is_not_done_again(client: DliClient, emulator: Emulator) -> None:
    """Unless somebody has removed the folder, or another one is asked for."""
    [first] = await run(client, spec(), **WANTED)
    asked = dict(emulator.ledger.requests)

    [again] = await run(client, spec(), **WANTED)
    assert dict(emulator.ledger.requests) == asked
    assert (again.ok, again.verified, again.fetched_to) == (True, True, first.fetched_to)

    remove("out/day/orders")
    for folder in ("out", "elsewhere"):
        [again] = await run(client, spec(), fetch=folder)
        assert again.fetched_to == Path.cwd() / folder / "day/orders"
        assert part_of(root=folder).exists()
    assert len(emulator.ledger.jobs) == 1


async def test_a_run_that_was_left_while_it_fetched_goes_on(
    client: DliClient, emulator: Emulator
) -> None:
    """The export has finished, and its files have not come."""
    emulator.faults.set([{"route": "obs-get", "kind": "slow-headers:0.2"}])
    async with client.export_many([spec()], journal="run.db", fetch="out"):
        while not emulator.ledger.requests["obs-get"]:
            await anyio.lowlevel.checkpoint()
    [entry] = await entries_of(Path("run.db"))
    assert (entry.state, entry.fetched_at) == (ExportState.FINISHED, None)
    assert arrived("out") == []

    emulator.faults.set([])
    [outcome] = await run(client, spec(), fetch="out")
    assert (outcome.ok, outcome.resumed) == (True, True)
    assert part_of(root="out").read_bytes() == part_of().read_bytes()
    assert len(emulator.ledger.jobs) == 1


async def test_two_exports_never_share_a_local_folder(
    client: DliClient, emulator: Emulator
) -> None:
    """Folders of one path in two buckets would be one here: the second is not even submitted."""
    first, second = spec(), spec(bucket="other")
    well, refused = await run(client, first, second, fetch="out", journal=None)
    assert well.ok
    assert isinstance(refused.error, InvalidExport)
    assert "the local folder of another export of this run" in str(refused.error)
    assert len(emulator.ledger.jobs) == 1
    assert all(outcome.ok for outcome in await run(client, spec("stores"), fetch="out"))


async def test_nor_do_exports_of_two_runs_with_one_journal(client: DliClient) -> None:
    """What the first has brought stays as it is."""
    await run(client, spec(), fetch="out")
    before = part_of(root="out").read_bytes()
    [refused] = await run(client, spec(bucket="other"), fetch="out")
    assert isinstance(refused.error, FilesError)
    assert "has the files of sales.orders from obs://lake/day/orders" in str(refused.error)
    assert part_of(root="out").read_bytes() == before
    [elsewhere] = await run(client, spec(bucket="other"), fetch="other")
    assert elsewhere.ok


async def test_a_folder_that_cannot_be_written_concerns_its_export_alone(
    client: DliClient,
) -> None:
    """The reason is the system's own."""
    block("out/day/orders")
    failed, well = await run(client, *map(spec, TABLES), **WANTED)
    assert isinstance(failed.error, OSError)
    assert (failed.verified, failed.fetched_to, well.ok) == (True, None, True)


async def test_where_obs_is_must_be_known_before_anything_is_sent() -> None:
    """A run whose files nobody could look at does not begin."""
    service = Service()
    async with service.client() as client:
        with pytest.raises(ConfigurationError, match="nothing tells where OBS is"):
            await run(client, spec(), verify=True)
    assert service.calls == []
