"""`make eval-retrieval`: recall@5 and @10 of words, meaning, and both fused, on a labelled set.

Asks the service's own parts (store, search, fusion) over PostgreSQL and Chroma: lexical and vector are what the
fusion is made of. Fails when the fused ranking isn't the best. SEED=5 makes another set: the fusion's weights were
chosen on the default one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from sekha_service.bell import Bell
from sekha_service.config_sources import load
from sekha_service.http.services import Services
from sekha_service.model import MessageFilter
from sekha_service.parts import make

from tests.service.databases import Database, Postgres
from tests.service.rig import API_KEY, Chroma, Service
from tests.support import wait_for

from .labelled import Labelled, labelled

_DEPTH = 10
_WAITING = "SELECT count(*) FROM vector_outbox"
_EVERYTHING = MessageFilter()


async def rankings(parts: Services, question: str) -> dict[str, list[str]]:
    """The texts found for a question by each way, best first."""
    words = await parts.store.lexical(question, _EVERYTHING, _DEPTH, 0)
    meaning = await parts.search.semantic(question, _EVERYTHING, _DEPTH)
    fused = await parts.recall.find(question, _EVERYTHING, _DEPTH)
    return {
        "lexical": [hit.message.content for hit in words],
        "vector": [hit.message.content for hit in meaning[:_DEPTH]],
        "fused": [it.hit.message.content for it in fused],
    }


async def evaluate(config: Path, chosen: Labelled) -> dict[str, dict[str, float]]:
    """Recall by way and depth, 0..1."""
    parts = make(load(config, os.environ, {})[0], Bell())
    await parts.store.open()
    found: dict[str, dict[str, int]] = {}
    for question in chosen.questions:
        for way, texts in (await rankings(parts, question.text)).items():
            counts = found.setdefault(way, {"recall@5": 0, "recall@10": 0})
            counts["recall@5"] += question.answer in texts[:5]
            counts["recall@10"] += question.answer in texts[:10]
    await parts.index.close()
    await parts.embedder.close()
    await parts.store.close()
    total = len(chosen.questions)
    return {way: {depth: round(n / total, 4) for depth, n in counts.items()} for way, counts in found.items()}


def main() -> int:
    """Print the table; 1 when the fused ranking isn't the best."""
    chosen = labelled(int(os.environ.get("SEED", "4")))
    os.environ["SEKHA_API_KEY"] = API_KEY
    with tempfile.TemporaryDirectory(prefix="sekha-eval-") as name:
        (Path(name) / "chroma").mkdir()
        postgres, chroma = Postgres(), Chroma(Path(name) / "chroma")
        service = Service(Path(name), postgres.url, chroma.port, "[rate_limiting]\nenabled = false\n")
        try:
            service.start()
            for label, messages in chosen.conversations:
                service.create(label, *messages)
            wait_for(lambda: Database(postgres.url).execute(_WAITING) == [(0,)], 600, "all messages are embedded")
            result = asyncio.run(evaluate(service.config, chosen))
        finally:
            service.stop()
            chroma.stop()
            postgres.close()
    print(f"{len(chosen.questions)} questions, {len(chosen.conversations)} conversations")
    for way, recall in result.items():
        print(f"{way:8} " + "  ".join(f"{depth} {value:6.1%}" for depth, value in recall.items()))
    best = all(
        result["fused"][depth] >= max(result[way][depth] for way in ("lexical", "vector")) for depth in result["fused"]
    )
    print("fused is the best of the three" if best else "FUSED IS NOT THE BEST")
    if os.environ.get("JSON") == "1":
        print(json.dumps(result))
    return 0 if best else 1


if __name__ == "__main__":
    sys.exit(main())
