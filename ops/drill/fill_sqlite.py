"""The same as fill.py for a SQLite database: filling it to a size, and a fingerprint of what is in it."""

from __future__ import annotations

import json
import shlex

from ops.drill.fill import BATCH, DIM, VARIETY, message_length
from ops.remote import Machine

FILE = "/srv/sekha/sqlite/sekha.db"
RESTORED = "/srv/sekha/sqlite/restored.json"
TOKEN = 32_768  # bytes of a word that FTS5 keeps (FTS5_MAX_TOKEN_SIZE); a message of the bulk is one word
PYTHON = "setpriv --reuid=sekha --regid=sekha --clear-groups python3 -"
ROOT = "env PYTHONPATH=/usr/local/lib/sekha-deploy:/usr/local/lib/sekha-deploy/stage0 python3 -B -"
# On the machine, as the service's account; the service's triggers keep full text and counters.
PROGRAM = """
import hashlib, random, sqlite3, struct, sys
first, last, size, chunks, dim = map(int, sys.argv[1:])
base = sqlite3.connect("file:{file}?mode=rw", uri=True, timeout=60)
base.execute("PRAGMA foreign_keys = ON")
now = base.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f000', 'now')").fetchone()[0]
model = base.execute("SELECT model FROM vector_index_state LIMIT 1").fetchone()[0]
letters = str.maketrans("0123456789", "ghijklmnop")
made = {{}}
def md5(text): return hashlib.md5(text.encode()).hexdigest()
def key(text): h = md5(text); return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
def chunk(n):
    if n not in made:
        made[n] = "".join(md5(f"{{first}}-{{n}}-{{i}}") for i in range(size // 32)).translate(letters)
    return made[n]
def vector(n):
    source = random.Random(n)
    values = [source.gauss(0, 1) for _ in range(dim)]
    length = sum(value * value for value in values) ** 0.5
    return struct.pack(f"<{{dim}}f", *(value / length for value in values))
with base:
    for n in range(first, last + 1):
        text, cut = chunk(n % chunks), n % (size * 9 // 16)
        base.execute("INSERT INTO conversations (id, label, label_lower, folder, message_count, word_count, created_at,"
            " updated_at) VALUES (?, 'bulk', 'bulk', '/bulk', 1, 1, ?, ?)", (key(f"c{{n}}"), now, now))
        base.execute('INSERT INTO messages (id, conversation_id, seq, role, content, "timestamp") VALUES'
            " (?, ?, 0, 'user', ?, ?)", (key(f"m{{n}}"), key(f"c{{n}}"), text[cut:] + text[:cut], now))
        base.execute("INSERT INTO embeddings (message_id, model, dim, vector) VALUES (?, ?, ?, ?)",
            (key(f"m{{n}}"), model, dim, vector(n)))
        base.execute("INSERT INTO vector_outbox (message_id, action, created_at) VALUES (?, 'upsert', ?)",
            (key(f"m{{n}}"), now))
"""
ASK = """
import json, sqlite3, sys
base = sqlite3.connect("file:{file}?mode=rw", uri=True, timeout=60)
print(json.dumps(base.execute(sys.argv[1]).fetchall()))
"""
FINGERPRINT = """
import hashlib, sqlite3
base = sqlite3.connect("file:{file}?mode=rw", uri=True, timeout=60)
rows, total = 0, 0
for key, text in base.execute("SELECT m.id, m.content FROM messages m JOIN conversations c ON c.id = m.conversation_id"
        " WHERE c.folder = '/bulk'"):
    rows, total = rows + 1, (total + int.from_bytes(hashlib.sha256((key + text).encode()).digest()[:8], "big")) % 2**64
print(f"{{rows}} rows, {{total}}")
"""


def _run(machine: Machine, program: str, *arguments: object, timeout: float = 1200) -> str:
    words = " ".join(shlex.quote(str(argument)) for argument in arguments)
    return machine.run(f"{PYTHON} {words}", stdin=program.format(file=FILE), timeout=timeout).strip()


def query(machine: Machine, sql: str) -> list[list[object]]:
    """The rows that a query answers with."""
    found: list[list[object]] = json.loads(_run(machine, ASK, sql))
    return found


def execute(machine: Machine, sql: str) -> None:
    """One statement that changes rows, as the service would."""
    program = 'import sqlite3, sys\nbase = sqlite3.connect("{file}", timeout=60)\n'
    _run(machine, f'{program}base.execute("PRAGMA foreign_keys = ON")\nwith base: base.execute(sys.argv[1])\n', sql)


def fill(machine: Machine, megabytes: int) -> int:
    """Add rows until the database has about this size (MB, 10^6 bytes); how many there are."""
    message = message_length(megabytes)
    rows = max(1, round(megabytes * 1e6 / (message + min(message, TOKEN) + 5000)))  # with its vector; measured
    batch, chunks = BATCH // message, VARIETY // message + 1
    for first in range(1, rows + 1, batch):
        _run(machine, PROGRAM, first, min(first + batch - 1, rows), message, chunks, DIM)
    return rows


def size(machine: Machine) -> float:
    """The database's size in MB."""
    ((pages,),), ((each,),) = query(machine, "PRAGMA page_count"), query(machine, "PRAGMA page_size")
    return int(str(pages)) * int(str(each)) / 1e6


def fingerprint(machine: Machine) -> str:
    """Count and checksum of the bulk."""
    return _run(machine, FINGERPRINT)


def count(machine: Machine) -> int:
    """How many conversations came through the SDK."""
    return len(written(machine))


def forget(machine: Machine) -> None:
    """Delete them behind the service's back, as by mistake."""
    execute(machine, "DELETE FROM conversations WHERE folder = '/drill'")


def written(machine: Machine) -> set[str]:
    """Ids of the conversations that came through the SDK."""
    return {str(row[0]) for row in query(machine, "SELECT id FROM conversations WHERE folder = '/drill'")}


def indexed_within(machine: Machine, seconds: int) -> float:
    """Seconds until the vector index has learnt all that the database holds. Raises OperatorError after `seconds`."""
    program = (
        'import sqlite3, sys, time\nbase, began = sqlite3.connect("{file}", timeout=60), time.time()\n'
        'while base.execute("SELECT count(*) FROM (SELECT 1 FROM vector_outbox LIMIT 1)").fetchone()[0]:\n'
        "    time.sleep(0.5)\n"
        "    assert time.time() - began < float(sys.argv[1]), 'the index is not complete'\n"
        "print(time.time() - began)\n"
    )
    return float(_run(machine, program, seconds, timeout=seconds + 60))


def archived_within(machine: Machine, seconds: int = 90, mark: bool = True) -> float:
    """Seconds until all that is written now is in the bucket; without `mark`, from when the newest row was written.

    Raises OperatorError after `seconds`.
    """
    program = f"from sekha_backup import stream\n{'stream.mark()' if mark else ''}\nprint(stream.wait({seconds}))\n"
    if not mark:
        program += (
            "import time\nfrom sekha_backup.verify_sqlite import DATABASE, content\n"
            "print(time.time() - content(DATABASE).newest.timestamp())\n"
        )
    return float(machine.run(ROOT, stdin=program, timeout=seconds + 60).split()[-1])
