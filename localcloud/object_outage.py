"""In front of the object store during an outage: each connection is led through, or gets what the fault says.

`python -m localcloud.object_outage STATE_DB CERTIFICATE KEY`, in the router namespace. Which fault hits is drawn and
counted in the state file, as for the API's requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import sys
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET

from localcloud import fault_store
from localcloud.faults import Fault
from localcloud.machines import addresses as a
from localcloud.store import Store

BODY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>ServiceUnavailable</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nConnection: close\r\n"
ANSWER += f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
LIMIT = 60.0  # s for a client to send its request


class Outage:
    """Where connections to the object store come in."""

    def __init__(self, store: Store, context: ssl.SSLContext) -> None:
        self.store, self.context = store, context

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            fault = fault_store.for_object_store(self.store)
            if fault is None:
                await _through(reader, writer)
            else:
                await self._hit(fault, reader, writer)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _hit(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if fault.kind == "object_store_unavailable":
            await writer.start_tls(self.context)
            async with asyncio.timeout(LIMIT):
                await _request(reader)
            writer.write(ANSWER)
            await writer.drain()
            return
        if fault.kind == "object_store_hang":
            await asyncio.sleep(fault.seconds)
        # Without data in flight and without waiting: the client's kernel says "connection reset".
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> None:
    """Read one request: an answer sent before its body would be lost with the connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if "expect: 100-continue" in head:
        return
    for line in head.splitlines():
        name, _, value = line.partition(":")
        left = int(value) if name == "content-length" else 0
        while left > 0:
            left -= len(await reader.readexactly(min(left, 65536)))


async def _through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lead the connection to the real object store."""
    far_reader, far_writer = await asyncio.open_connection(a.OBJECTS_IP, a.OBJECTS_PORT)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
            target.write_eof()

    try:
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
    finally:
        far_writer.close()


async def main(database: Path, certificate: str, key: str) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(Outage(Store(database), context).serve, a.OBJECTS_IP, a.OUTAGE_PORT)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
