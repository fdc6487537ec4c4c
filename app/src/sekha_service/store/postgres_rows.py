"""PostgreSQL: the columns that make up our types, and the conditions of lists."""

from typing import Any

from ..model import PINNED_SCORE, ListFilter
from .postgres_search import EVERYTHING, folder_condition, label_condition

CONVERSATION = (
    "id, label, folder, status, importance_score, word_count, message_count, session_count, metadata, "
    "created_at, updated_at"
)
MESSAGE = 'id, conversation_id, role, content, "timestamp", embedding_id, metadata'


def archived_condition(archived: bool) -> str:
    """Archived, or anything else."""
    return f"status {'=' if archived else '<>'} 'archived'"


def list_condition(where: ListFilter) -> tuple[str, list[Any]]:
    """The SQL condition of list and count, and its values."""
    parts: list[str] = [EVERYTHING]
    values: list[Any] = []
    for condition, more in (
        label_condition("label", where.label),
        folder_condition("folder", where.folder),
    ):
        if condition:
            parts.append(condition)
            values += more
    if where.folder_exact is not None:
        parts.append("folder = %s")
        values.append(where.folder_exact)
    if where.pinned is not None:
        parts.append(f"importance_score {'>=' if where.pinned else '<'} %s")
        values.append(PINNED_SCORE)
    if where.archived is not None:
        parts.append(archived_condition(where.archived))
    return " AND ".join(parts), values


def counting(where: ListFilter) -> tuple[str, list[Any]]:
    """The statement that counts the conversations that match, and its values.

    Stored figures without a filter, or by `archived` alone.
    """
    if where == ListFilter(archived=where.archived):
        kept = "" if where.archived is None else f" WHERE {archived_condition(where.archived)}"
        return f"SELECT coalesce(sum(conversations), 0)::bigint FROM counters{kept}", []  # noqa: S608 - fixed texts
    condition, values = list_condition(where)
    return f"SELECT count(*) FROM conversations WHERE {condition}", values  # noqa: S608 - conditions are fixed texts
