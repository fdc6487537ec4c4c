"""The nameserver that pebble asks when it validates: ACME challenges, and the records of the cloud's DNS zones."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

Find = Callable[[str, str], list[str]]  # (name in lower case without a dot at its end, type) -> values, of any zone


def answer(wire: bytes, find: Find) -> bytes | None:
    """The answer to a query as bytes; None for what is no query. A name without records is empty, not unknown."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return None
    if not query.question or query.flags & dns.flags.QR:
        return None
    question = query.question[0]
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    name = question.name.to_text(omit_final_dot=True).lower()
    values = find(name, dns.rdatatype.to_text(question.rdtype))
    if values:
        reply.answer.append(dns.rrset.from_text_list(question.name, 60, question.rdclass, question.rdtype, values))
    return reply.to_wire()


@contextmanager
def serving(find: Find) -> Iterator[int]:
    """Answer on a free TCP port of 127.0.0.1 (pebble asks by TCP), which is given, until the block ends."""

    class Query(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            """Each message comes after its length, two bytes (RFC 1035, 4.2.2)."""
            while len(size := self.rfile.read(2)) == 2:
                reply = answer(self.rfile.read(int.from_bytes(size, "big")), find)
                if reply is None:
                    return
                self.wfile.write(len(reply).to_bytes(2, "big") + reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Query) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="acme-dns", daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
