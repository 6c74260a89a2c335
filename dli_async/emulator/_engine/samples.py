"""Sample tables, made by DuckDB and the same on every machine.

`sales` and `crm` hold what users export; `external` an EXTERNAL table and a VIEW, for trying what
happens with tables that are not stored in DLI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["SAMPLES", "Sample", "build"]

_MODULUS = 2_147_483_647

# Only whole numbers below 2**63 and no hash of DuckDB's own, which may change between versions.
_MACROS = f"""
create macro stir(x) as xor(x, x >> 13) * 48271 % {_MODULUS};
create macro rnd(i, salt) as
    stir(stir(((i + 1) * 1664525 + salt * 22695477 + $seed) % {_MODULUS}));
create macro pick(i, salt, choices) as choices[1 + rnd(i, salt) % len(choices)];
create macro cents(i, salt, most) as (rnd(i, salt) % (most * 100) / 100)::decimal(10, 2);
create macro day(i, salt) as date '2021-01-01' + (rnd(i, salt) % 1500)::integer;
create macro moment(i, salt) as
    make_timestamp(
        (1609459200 + rnd(i, salt) % 130000000) * 1000000 + rnd(i, salt + 1) % 1000000);
create macro maybe(i, salt, percent, x) as case when rnd(i, salt) % 100 >= percent then x end;
"""

_CITIES = "['北京', '上海', '深圳', 'Zürich', 'São Paulo', 'Reykjavík', 'New York, NY', 'Kraków']"
_NAMES = "['李雷', '韩梅梅', 'José', 'Zoë', 'Anna', 'O''Brien', 'Łukasz', 'Иван', 'نور', 'さくら']"
_NOTES = """['', 'ok', 'call back, please', 'says "urgent"', 'in C:\\temp\\new, "late"',
    'tab' || chr(9) || 'here', '已确认 😀', '#follow-up']"""
# In one table only, so that most can be counted by their lines.
_TRAPS = f"""{_NOTES} || ['  padded  ', '   ', 'line one' || chr(10) || 'line two',
    'line one' || chr(13) || chr(10) || 'line two', 'null', 'NULL']"""


@dataclass(frozen=True)
class Sample:
    """One table: `columns` is the select list over `i`, the row's number from 0."""

    database: str
    name: str
    rows: int
    columns: str
    comment: str
    kind: str = "MANAGED"


SAMPLES = (
    Sample(
        "sales",
        "events",
        200_000,
        """(i + 1)::bigint as id, moment(i, 1) as at, (rnd(i, 3) % 5000)::integer as customer_id,
        pick(i, 4, ['view', 'cart', 'pay', 'refund']) as kind, cents(i, 5, 5000) as amount,
        maybe(i, 6, 10, rnd(i, 7) / 1e6) as score, rnd(i, 8) % 2 = 0 as ok,
        maybe(i, 9, 60, pick(i, 10, {notes})) as note""",
        "clicks and payments, the large one",
    ),
    Sample(
        "sales",
        "orders",
        12_000,
        """(i + 1)::bigint as order_id, (rnd(i, 11) % 5000)::integer as customer_id,
        day(i, 12) as ordered_on, maybe(i, 13, 20, moment(i, 14)) as shipped_at,
        cents(i, 16, 9000) as total, pick(i, 17, ['new', 'paid', 'sent', 'done']) as status""",
        "订单",
    ),
    Sample(
        "sales",
        "order_items",
        30_000,
        """(i // 3 + 1)::bigint as order_id, (i % 3)::tinyint as line,
        (rnd(i, 18) % 800)::smallint as product_id, (1 + rnd(i, 19) % 9)::integer as quantity,
        cents(i, 20, 300) as price""",
        "lines of the orders",
    ),
    Sample(
        "sales",
        "products",
        800,
        """i::smallint as product_id, 'Product ' || i as name, cents(i, 21, 300) as price,
        (rnd(i, 22) % 4000 / 100)::float as weight, rnd(i, 23) % 10 > 0 as in_stock,
        maybe(i, 24, 30, pick(i, 25, {notes})) as description""",
        "what is sold",
    ),
    Sample(
        "sales",
        "stores",
        40,
        """i::integer as store_id, pick(i, 26, {cities}) as city, day(i, 27) as opened_on,
        round(rnd(i, 28) % 180000 / 1000.0 - 90, 3)::double as latitude""",
        "门店",
    ),
    Sample(
        "sales",
        "prices",
        5_000,
        """(i % 800)::smallint as product_id, day(i, 29) as valid_from,
        (rnd(i, 30) / 1e4)::decimal(18, 6) as price,
        pick(i, 31, ['CNY', 'EUR', 'USD']) as currency""",
        "history of prices",
    ),
    Sample(
        "sales",
        "rates",
        365,
        """date '2024-01-01' + i::integer as day, 7 + rnd(i, 32) % 10000 / 12345.0::double as cny,
        (0.9 + rnd(i, 33) % 100 / 1000)::float as eur""",
        "exchange rates",
    ),
    Sample(
        "sales",
        "measurements",
        1_000,
        """i::bigint as id,
        (rnd(i, 34) - 1000000000 || 'e' || rnd(i, 35) % 40 - 20)::double as value,
        (rnd(i, 36) - 1000000000 || 'e' || rnd(i, 37) % 12 - 9)::float as error,
        case i % 50 when 0 then 'nan'::double when 1 then 'inf'::double when 2 then '-inf'::double
            else rnd(i, 38)::double end as raw""",
        "doubles of every size",
    ),
    Sample("sales", "returns", 0, "i::bigint as id, '' as reason", "nothing came back yet"),
    Sample(
        "sales",
        "notes",
        500,
        """i::integer as id, maybe(i, 39, 25, pick(i, 40, {traps})) as note,
        pick(i, 41, {names}) as author""",
        "text with quotes, commas, line breaks and blanks",
    ),
    Sample(
        "sales",
        "flags",
        64,
        """i::tinyint as id, maybe(i, 42, 30, i % 2 = 0) as a, maybe(i, 43, 30, i % 3 = 0) as b,
        maybe(i, 44, 90, 'rare') as c""",
        "mostly null",
    ),
    Sample(
        "crm",
        "customers",
        5_000,
        """i::integer as customer_id, pick(i, 51, {names}) as name, pick(i, 52, {cities}) as city,
        maybe(i, 53, 15, 'user' || i || '@example.com') as email, day(i, 54) as since,
        rnd(i, 55) % 5 = 0 as vip, maybe(i, 56, 5, cents(i, 57, 10000)) as credit""",
        "客户",
    ),
    Sample(
        "crm",
        "contacts",
        8_000,
        """i::bigint as id, (rnd(i, 58) % 5000)::integer as customer_id, moment(i, 59) as at,
        pick(i, 61, ['mail', 'phone', '微信']) as channel, pick(i, 62, {notes}) as text""",
        "every talk",
    ),
    Sample(
        "crm",
        "leads",
        1_500,
        """i::integer as id, pick(i, 63, {names}) as name, (rnd(i, 64) % 101)::tinyint as score,
        maybe(i, 65, 40, day(i, 66)) as closed_on""",
        "may become customers",
    ),
    Sample(
        "crm",
        "campaigns",
        60,
        """i::integer as id, 'Campaign ' || (2020 + i % 5) || '/' || i as title,
        cents(i, 67, 90000) as budget, day(i, 68) as starts_on""",
        "mailings",
    ),
    Sample(
        "crm",
        "tickets",
        9_000,
        """i::bigint as id, moment(i, 69) as opened_at,
        maybe(i, 71, 35, moment(i, 72)) as closed_at,
        (rnd(i, 74) % 4)::tinyint as priority, maybe(i, 75, 10, pick(i, 76, {notes})) as subject""",
        "support",
    ),
    Sample(
        "crm",
        "logins",
        25_000,
        """i::bigint as id, (rnd(i, 77) % 5000)::integer as customer_id, moment(i, 78) as at,
        rnd(i, 80) % 256 || '.' || rnd(i, 81) % 256 || '.0.1' as address""",
        "who was there",
    ),
    Sample(
        "crm",
        "regions",
        8,
        "i::integer as id, ({cities})[i + 1] as name, i % 3 = 0 as active",
        "地区",
    ),
    Sample(
        "crm",
        "birthdays",
        2_000,
        """i::integer as customer_id, date '1930-01-01' + (rnd(i, 82) % 30000)::integer as born_on,
        make_timestamp(rnd(i, 83)::bigint * 1000000 - 1000000000999999) as recorded_at""",
        "dates before 1970",
    ),
    Sample(
        "crm",
        "balances",
        3_000,
        """i::integer as customer_id, ((rnd(i, 84) - 1e9) / 1e5)::decimal(38, 10) as balance,
        (rnd(i, 85)::bigint * 4000000000)::bigint as points""",
        "decimals with many digits",
    ),
    Sample(
        "crm",
        "words",
        300,
        """i::integer as id, chr((19968 + rnd(i, 86) % 20000)::integer)
            || chr((128512 + i % 60)::integer) as word,
        chr((33 + i % 59)::integer) as single""",
        "one character at a time",
    ),
    Sample(
        "external",
        "landing",
        100,
        "i::integer as id, pick(i, 91, {names}) as name, day(i, 92) as loaded_on",
        "lies in OBS, not in DLI",
        "EXTERNAL",
    ),
    Sample(
        "external",
        "vip_customers",
        -1,
        "* from crm.customers where vip order by customer_id",
        "a view of crm.customers",
        "VIEW",
    ),
)


def build(connection: Any, seed: int) -> None:
    """Make all sample tables in an empty DuckDB database."""
    connection.execute(_MACROS.replace("$seed", str(seed % _MODULUS)))
    for database in dict.fromkeys(sample.database for sample in SAMPLES):
        connection.execute(f"create schema {database}")
    for sample in SAMPLES:
        connection.execute(_statement(sample))


def _statement(sample: Sample) -> str:
    kind = "view" if sample.kind == "VIEW" else "table"
    columns = sample.columns.format(cities=_CITIES, names=_NAMES, notes=_NOTES, traps=_TRAPS)
    source = "" if sample.kind == "VIEW" else f" from range({sample.rows}) as rows(i) order by i"
    return f"create {kind} {sample.database}.{sample.name} as select {columns}{source}"
