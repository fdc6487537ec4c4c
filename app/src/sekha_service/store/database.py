"""Which database a URL means: what is done to either of them from outside the service."""

import sqlite3

import psycopg

from . import migrate, sqlite_migrate
from .api_keys import open_keys
from .migrate import SchemaError
from .sqlite_file import is_sqlite, path_of

# What goes wrong with a database as a whole; the message says what.
DATABASE_ERRORS = (psycopg.Error, sqlite3.Error, SchemaError)

__all__ = ["DATABASE_ERRORS", "exists", "has_keys", "migrate_schema"]


def migrate_schema(url: str) -> int:
    """Bring the schema up to date; returns its version. Raises OSError and DATABASE_ERRORS."""
    return sqlite_migrate.migrate(path_of(url)) if is_sqlite(url) else migrate.migrate(url)


def exists(url: str) -> bool:
    """False for a SQLite file that would have to be made."""
    return not is_sqlite(url) or path_of(url).exists()


def has_keys(url: str) -> bool:
    """Whether a key in the database lets anybody in, now or ever again. The schema is up to date."""
    with open_keys(url) as keys:
        return any(key.revoked_at is None for key in keys.all())
