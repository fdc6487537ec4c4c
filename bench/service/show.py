"""Figures for people."""

from __future__ import annotations

import sys
from typing import Any

_HEAD = (
    "operation                stored clients      /s     p50     p95     p99 errors"
    " |  floor/s  f.p50  ratio   aim         cpu ms floor    MB"
)


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"bench-service: {text}", file=sys.stderr, flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    """A line per row; latencies in milliseconds."""
    lines = [_HEAD]
    for row in rows:
        it, least, aim = row["service"], row["floor"], row["aim"]
        verdict = "" if aim is None else f"{aim:5.2f} {'ok' if row['ratio'] >= aim else 'SHORT'}"
        lines.append(
            f"{row['operation']:22} {row['stored']:8} {row['clients']:7} {it['rate']:7.0f} {it['p50']:7.2f} "
            f"{it['p95']:7.2f} {it['p99']:7.2f} {it['errors']:6.0f} | {least['rate']:8.0f} {least['p50']:6.2f} "
            f"{row['ratio']:6.2f} {verdict:11} {row['cpu_ms']:7.2f} {row['floor_cpu_ms']:5.2f} {row['memory_mb']:5}"
        )
    return "\n".join(lines)
