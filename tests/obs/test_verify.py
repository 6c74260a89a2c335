"""Whether an export is complete: what is missing, cut off or changed is named."""

from __future__ import annotations

from typing import Any

import pytest

from dli_async import ConfigurationError, DliClient, DliError, RequestError, VerificationFailed
from dli_async.emulator import Emulator, ObsStore

from .conftest import COMPRESS, DATA_PATH, Lake, result

pytestmark = pytest.mark.anyio

TEXT = b'1,"two\nlines"\n2,"a \\" quote\n"\n3,plain\\\n'


async def differences(client: DliClient, source: Any, **options: Any) -> tuple[str, ...]:
    with pytest.raises(VerificationFailed) as failed:
        await client.files.verify(source, **options)
    assert not failed.value.verification.ok
    return failed.value.verification.differences


@pytest.mark.parametrize("ending", COMPRESS)
async def test_rows_are_counted_whatever_the_codec(
    lake: Lake, client: DliClient, ending: str
) -> None:
    """Line ends within quotes are none; sizes are those of the objects."""
    for number in range(3):
        lake.write(f"part-0000{number}-x-c000.csv{ending}", COMPRESS[ending](TEXT))

    found = await client.files.verify(result(9))

    assert (found.rows, found.expected_rows, len(found.files)) == (9, 9, 3)
    assert found.size == sum(path.stat().st_size for path in lake.folder.iterdir())
    assert found.ok
    assert not found.has_success


async def test_the_header_of_each_file_is_no_row(lake: Lake, client: DliClient) -> None:
    """Of csv only; a file may be empty."""
    lake.write("part-00000.csv", b"a,b\n1,2\n")
    lake.write("part-00001.csv", b"a,b\n")
    lake.write("part-00002.csv", b"")
    assert (await client.files.verify(result(1, with_column_header=True))).rows == 1
    assert (await client.files.verify(result(3), header=False)).rows == 3

    lake.write("part-00003.json", b'{"a":1}\n')
    assert (await client.files.verify(result(2, with_column_header=True))).rows == 2


async def test_a_large_file_is_read_in_pieces(lake: Lake, client: DliClient) -> None:
    """Each from the version that was listed; a quote may be open where one ends."""
    line = b'1,"' + b"x\n" * 700_000 + b'"\n'
    lake.write("part-00000.csv", line * 4)

    assert (await client.files.verify(result(4))).rows == 4
    assert lake.gets() == 3


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".deflate"])
async def test_files_that_are_cut_off_or_changed_are_named(
    lake: Lake, client: DliClient, ending: str
) -> None:
    """Each with what is wrong with it, in the order of the files; the others are well."""
    squeezed = COMPRESS[ending](TEXT * 100)
    lake.write(f"part-00000.csv{ending}", squeezed)
    lake.write(f"part-00001.csv{ending}", squeezed[:-9])
    lake.write(f"part-00002.csv{ending}", squeezed[:20] + b"?" + squeezed[21:])
    lake.write("_SUCCESS", b"")

    cut_off, changed = await differences(client, result(900))

    assert cut_off.startswith(f"part-00001.csv{ending} ends in the middle")
    assert changed.startswith(f"part-00002.csv{ending} ")


async def test_missing_rows_and_files_are_told(lake: Lake, client: DliClient) -> None:
    """By the sum, and by the numbers that are left out."""
    lake.write("part-00000.json", b'{"a":1}\n{"a":2}\n')
    lake.write("part-00003.json", b'{"a":3}\n')

    assert await differences(client, result(9)) == (
        "3 rows were counted, the job tells 9; missing: part-00001, part-00002",
    )


async def test_what_a_job_left_behind_is_told(lake: Lake, client: DliClient) -> None:
    """A writer's folder, an empty folder, and no mark of success where nothing else tells."""
    assert "there are no part files" in await differences(client, DATA_PATH)
    lake.write("part-00000.csv", b"1\n")
    assert await differences(client, DATA_PATH) == (
        "_SUCCESS is missing, and there are no rows to compare",
    )
    lake.write("_temporary/0/part-00000.csv", b"1\n")
    assert "_temporary is there: a job still writes, or has been broken off" in await differences(
        client, result(1)
    )


async def test_other_formats_are_read_and_not_counted(lake: Lake, client: DliClient) -> None:
    """Then the mark of success is what tells."""
    lake.write("part-00000.snappy.parquet", b"PAR1")
    lake.write("_SUCCESS", b"")

    found = await client.files.verify(result(5))

    assert (found.rows, found.has_success, lake.gets()) == (None, True, 1)


async def test_a_file_that_is_replaced_meanwhile_is_named(
    lake: Lake, client: DliClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of two versions are never put together."""
    lake.write("part-00000.csv", b"1\n" * 1_500_000)
    read = client.files._store.read

    async def replacing(part: Any, start: int, length: int) -> bytes:
        block = await read(part, start, length)
        lake.write("part-00000.csv", b"2\n" * 1_500_000)
        return block

    monkeypatch.setattr(client.files._store, "read", replacing)

    assert await differences(client, result(1_500_000)) == (
        "part-00000.csv was replaced after it was listed",
    )


@pytest.mark.parametrize("kind", ["truncate", "wrong-length", "ignored-range", "reset"])
async def test_trouble_on_the_way_is_no_verdict_about_files(
    lake: Lake, client: DliClient, kind: str
) -> None:
    """It is tried again, and an error of its own where it goes on."""
    lake.write("part-00000.csv", b"1\n" * 2_000_000)
    fault: dict[str, Any] = {"route": "obs-get", "kind": kind}
    if kind in ("truncate", "reset"):
        fault["when"] = "after"
    lake.emulator.faults.set([fault | {"times": 1}])

    assert (await client.files.verify(result(2_000_000))).ok
    lake.emulator.faults.set([fault])
    with pytest.raises(RequestError):
        await client.files.verify(result(2_000_000))


async def test_an_etag_that_is_no_md5_is_as_good(lake: Lake, client: DliClient) -> None:
    """Only whether it stays the same matters."""
    lake.write("part-00000.csv", b"1\n")
    lake.emulator.faults.set([{"route": "*", "kind": "etag-not-md5"}])

    assert (await client.files.verify(result(1))).files[0].etag.endswith("-2")


async def test_an_export_is_verified_and_fetched_in_one_breath(tmp_path: Any) -> None:
    """The emulator's own tables, with the token of its client; the result tells both."""
    emulator = Emulator(run=0.01, launch=0, obs_dir=tmp_path / "obs")
    async with emulator, emulator.client() as client:
        spec = result(0, "obs://lake/orders", compress="gzip").spec
        assert spec is not None
        spec = spec.model_copy(update={"database_name": "sales", "table_name": "orders"})
        done = await client.export(spec, verify=True, fetch=tmp_path / "out")
        assert done.verification is not None
        assert done.verification.rows == done.row_count == 12_000
        assert done.fetched is not None
        assert [path.stat().st_size for path in done.fetched.files] == [
            part.size for part in done.verification.files
        ]
        attached = await client.job(done.job_id)
        assert (await client.files.verify(attached)).rows == 12_000
        for path in ObsStore(tmp_path / "obs").folder("obs://lake/orders").glob("part-*"):
            path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(VerificationFailed, match="in the middle of its gzip stream"):
            await client.files.verify(done)


async def test_a_failed_verification_can_be_caught_and_sent(lake: Lake, client: DliClient) -> None:
    """As any error of the library; it survives pickling."""
    import pickle

    lake.write("part-00000.csv", b"1\n")
    with pytest.raises(DliError) as failed:
        await client.files.verify(result(2))
    again = pickle.loads(pickle.dumps(failed.value))
    assert again.verification == failed.value.verification
    assert str(again) == f"{DATA_PATH}: 1 rows were counted, the job tells 2"


async def test_a_source_is_a_result_or_a_path(client: DliClient) -> None:
    """Anything else, and a limit that is none, is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="ExportResult"):
        await client.files.verify(7)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="max_parallel"):
        await client.files.verify(DATA_PATH, max_parallel=0)
