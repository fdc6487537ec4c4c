"""One session with the real sekha-mcp over stdio: reads [[tool, arguments], ...] from stdin, prints {tools, answers}.

Runs in an environment of its own (see test_sekha_mcp.py), from an empty folder: a foreign .env would break the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters  # type: ignore[import-not-found]
from mcp.client.stdio import stdio_client  # type: ignore[import-not-found]


async def session(calls: list[tuple[str, dict[str, object]]]) -> dict[str, object]:
    """The server's tools, and the text of each call's answer."""
    server = StdioServerParameters(command=sys.executable, args=["-m", "sekha_mcp.server"], env=dict(os.environ))
    answers: list[str] = []
    with open(os.devnull, "w") as silence:  # noqa: PTH123 - the library wants a text file
        async with stdio_client(server, errlog=silence) as streams, ClientSession(*streams) as client:
            await client.initialize()
            tools = [tool.name for tool in (await client.list_tools()).tools]
            for name, arguments in calls:
                answer = await client.call_tool(name, arguments)
                answers.append("".join(part.text for part in answer.content))
    return {"tools": tools, "answers": answers}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(session(json.load(sys.stdin)))))
