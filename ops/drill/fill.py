"""Filling the machine's database to a size, and a fingerprint of what is in it."""

from __future__ import annotations

import random
import shlex
import struct

from ops.remote import Machine

RESTORED = "/srv/sekha/postgresql/17/restored.json"
SHORTEST, LONGEST, ROWS = (
    16_000,
    500_000,
    2000,
)  # characters of a message: as long as makes so few rows, for vectors cost
PSQL = (
    "setpriv --reuid=sekha --regid=sekha --clear-groups psql -X -q -At -v ON_ERROR_STOP=1 "
    '"postgresql:///sekha?host=/var/run/postgresql"'
)
SQL = """
SET client_min_messages = warning;  -- a word of 16,000 letters is not indexed, and that is fine
SET default_toast_compression = lz4;  -- the letters don't compress, and this sees that sooner
BEGIN;
CREATE TEMP TABLE vectors (n int PRIMARY KEY, vector bytea);
COPY vectors FROM STDIN;
{vectors}
\\.
-- Letters that don't compress much, each used again only far beyond what a compressor remembers.
CREATE TEMP TABLE chunks AS SELECT n, (
    SELECT string_agg(translate(md5({first} || '-' || n || '-' || i), '0123456789', 'ghijklmnop'), '')
    FROM generate_series(1, {blocks}) i) AS text FROM generate_series(0, {chunks} - 1) n;
INSERT INTO conversations (id, label, folder, message_count, word_count)
  SELECT md5('c' || n)::uuid, 'bulk', '/bulk', 1, 1 FROM generate_series({first}, {last}) n;
INSERT INTO messages (id, conversation_id, seq, role, content, "timestamp")
  SELECT md5('m' || n)::uuid, md5('c' || n)::uuid, 0, 'user',
    substr(text, 1 + n % 9000) || substr(text, 1, n % 9000), now()
  FROM (SELECT m.n, text FROM generate_series({first}, {last}) m (n) JOIN chunks ON chunks.n = m.n % {chunks}
        ORDER BY m.n OFFSET 0) ordered;
INSERT INTO embeddings (message_id, model, dim, vector)
  SELECT md5('m' || n)::uuid, (SELECT model FROM vector_index_state LIMIT 1), {dim}, vector FROM vectors;
INSERT INTO vector_outbox (message_id, action)
  SELECT md5('m' || n)::uuid, 'upsert' FROM generate_series({first}, {last}) n;
COMMIT;
"""
FINGERPRINT = (
    "SELECT count(*) || ' rows, ' || coalesce(sum(hashtextextended(id::text || content, 0)), 0) FROM messages "
    "WHERE conversation_id IN (SELECT id FROM conversations WHERE folder = '/bulk')"
)
ARCHIVED = """
p='setpriv --reuid=postgres --regid=postgres --init-groups /usr/lib/postgresql/17/bin/psql -X -q -At -h /run/postgresql'
[[ -z "${2:-}" ]] || $p -c "select pg_logical_emit_message(true, 'drill', 'here')" >/dev/null
began=$(date +%s.%N) end=$((SECONDS + $1)) want=$($p -c 'select pg_walfile_name(pg_current_wal_lsn())')
while ((SECONDS < end)); do
  have=$($p -c 'select last_archived_wal from pg_stat_archiver')
  [[ "${have:0:24}" < "$want" ]] || { echo "$(date +%s.%N) $began"; exit 0; }
  sleep 0.1
done
echo "$want is not in the archive yet" >&2
exit 1
"""
DIM = 384
BATCH = 100_000_000  # characters of one transaction
VARIETY = 8_000_000  # characters before any is used again: far beyond what a compressor remembers


def vector(number: int) -> str:
    """A random direction for row `number`, float32 little-endian, as COPY's text of a bytea."""
    source = random.Random(number)  # noqa: S311 - the same each time, and no secret
    values = [source.gauss(0, 1) for _ in range(DIM)]
    length = sum(value * value for value in values) ** 0.5
    return "\\\\x" + struct.pack(f"<{DIM}f", *(value / length for value in values)).hex()


def message_length(megabytes: int) -> int:
    """Characters of each message of a fill of this size."""
    return min(LONGEST, max(SHORTEST, round(megabytes * 1e6 / ROWS / 1.03 / 32) * 32))


def fill(machine: Machine, megabytes: int) -> int:
    """Add rows until the database has about this size (MB, 10^6 bytes); how many there are."""
    message = message_length(megabytes)
    rows = max(1, round(megabytes * 1e6 / (message * 1.03 + 2800)))  # with its vector and indexes; measured
    batch, chunks = BATCH // message, VARIETY // message + 1
    for first in range(1, rows + 1, batch):
        last = min(first + batch - 1, rows)
        vectors = "\n".join(f"{number}\t{vector(number)}" for number in range(first, last + 1))
        sql = SQL.format(vectors=vectors, first=first, last=last, blocks=message // 32, dim=DIM, chunks=chunks)
        machine.run(PSQL, stdin=sql, timeout=1200)
    return rows


def size(machine: Machine) -> float:
    """The database's size in MB."""
    return int(machine.run(f"{PSQL} -c 'SELECT pg_database_size(current_database())'")) / 1e6


def fingerprint(machine: Machine) -> str:
    """Count and checksum of the bulk."""
    return machine.run(PSQL, stdin=FINGERPRINT + ";").strip()


def count(machine: Machine) -> int:
    """How many conversations came through the SDK."""
    return len(written(machine))


def forget(machine: Machine) -> None:
    """Delete them behind the service's back, as by mistake."""
    machine.run(PSQL, stdin="DELETE FROM conversations WHERE folder = '/drill';")


def written(machine: Machine) -> set[str]:
    """Ids of the conversations that came through the SDK."""
    return set(machine.run(PSQL, stdin="SELECT id FROM conversations WHERE folder = '/drill';").split())


def indexed_within(machine: Machine, seconds: int) -> float:
    """Seconds until the vector index has learnt all that the database holds. Raises OperatorError after `seconds`."""
    left = "SELECT count(*) FROM (SELECT 1 FROM vector_outbox LIMIT 1) one"
    ask = f"n=$({PSQL} -c '{left}'); [ $n = 0 ] && {{ echo $i; exit 0; }}"
    loop = f"for i in $(seq {seconds * 2}); do {ask}; sleep 0.5; done; exit 1"
    return int(machine.run(loop, timeout=seconds * 2 + 60)) / 2


def archived_within(machine: Machine, seconds: int = 90, mark: bool = True) -> float:
    """Seconds until all that is written now is in the bucket's archive. Raises OperatorError after `seconds`.

    Without `mark` something has to have been written just before: a segment without news is not archived.
    """
    command = f"bash -c {shlex.quote(ARCHIVED)} - {seconds} {'mark' if mark else ''}"
    end, began = (float(part) for part in machine.run(command, timeout=seconds + 60).split())
    return end - began
