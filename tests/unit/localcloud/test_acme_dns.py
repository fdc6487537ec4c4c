"""The nameserver for ACME challenges: what it answers, and where it finds the records of zones."""

from __future__ import annotations

import dns.message
import dns.query
import dns.rcode

from localcloud import acme_dns, zonefile

ZONES = [{"name": "example.com", "rrsets": [zonefile.rrset("www", "A", ["203.0.113.1"]), *zonefile.initial()]}]


def find(name: str, kind: str) -> list[str]:
    return zonefile.values(ZONES, name, kind)


def test_values_by_the_whole_name() -> None:
    assert find("www.example.com", "A") == ["203.0.113.1"]
    assert len(find("example.com", "NS")) == 3
    assert find("www.example.com", "AAAA") == find("badexample.com", "NS") == find("other.test", "A") == []


def test_answers_over_tcp() -> None:
    with acme_dns.serving(find) as port:
        for name, kind, number in [
            ("WWW.example.com.", "A", 1),
            ("example.com.", "NS", 3),
            ("none.example.com.", "A", 0),
        ]:
            reply = dns.query.tcp(dns.message.make_query(name, kind), "127.0.0.1", timeout=5, port=port)
            assert reply.rcode() == dns.rcode.NOERROR
            assert sum(len(rrset) for rrset in reply.answer) == number
    assert acme_dns.answer(b"junk", find) is None
