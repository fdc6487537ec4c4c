"""SQLite: the stored vectors, as the embedded index reads them."""

from .sqlite_threads import Threads


class SqliteVectors:
    """The VectorTable protocol of index/embedded.py; methods as documented there."""

    _threads: Threads

    async def vectors_after(self, n: int, model: str, limit: int) -> list[tuple[int, str, bytes]]:
        sql = "SELECT n, message_id, vector FROM embeddings WHERE n > ? AND model = ? ORDER BY n LIMIT ?"
        return await self._threads.read(lambda db: db.execute(sql, [n, model, limit]).fetchall())

    async def vector_count(self, model: str) -> int:
        sql = "SELECT count(*) FROM embeddings WHERE model = ?"
        return await self._threads.read(lambda db: int(db.execute(sql, [model]).fetchone()[0]))

    async def vector_owners(self, model: str) -> set[str]:
        sql = "SELECT message_id FROM embeddings WHERE model = ?"
        return await self._threads.read(lambda db: {row[0] for row in db.execute(sql, [model])})
