"""DNS data as the zones API has them: names, record values, zone files. Pure functions; errors are ValueErrors.

A record set is {"name", "type", "ttl", "labels", "protection", "records": [{"value", "comment"}]}; names are relative
to the zone, "@" is the zone itself.
"""

from __future__ import annotations

import re
import time
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone

TYPES = (
    "A", "AAAA", "CAA", "CNAME", "DS", "HINFO", "HTTPS", "MX", "NS", "PTR", "RP", "SOA", "SRV", "SVCB", "TLSA", "TXT",
)  # fmt: skip
NAMESERVERS = ("hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de.")
MIN_TTL, MAX_TTL, DEFAULT_TTL = 60, 2**31 - 1, 3600
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ZONE_NAME = re.compile(rf"(?=.{{1,253}}$){LABEL}(?:\.{LABEL})+")
OWNER = re.compile(r"@|(?:\*|[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")

RRSet = dict[str, Any]


def rrset(name: str, kind: str, values: list[str], ttl: int | None = None) -> RRSet:
    """A new record set without labels, comments or protection."""
    records = [{"value": value, "comment": ""} for value in values]
    return {"name": name, "type": kind, "ttl": ttl, "labels": {}, "protection": {"change": False}, "records": records}


def initial() -> list[RRSet]:
    """What every primary zone has from the start."""
    return [rrset("@", "NS", list(NAMESERVERS)), rrset("@", "SOA", [soa(0)])]


def soa(last: int) -> str:
    """The value of a zone's SOA record with a serial above `last`: unix seconds, or one more."""
    return f"{NAMESERVERS[0]} dns.hetzner.com. {max(int(time.time()), last + 1)} 86400 10800 3600000 3600"


def next_serial(rrsets: list[RRSet]) -> None:
    """Give the SOA record a higher serial, in place."""
    for row in rrsets:
        if row["type"] == "SOA":
            words = row["records"][0]["value"].split()
            row["records"][0]["value"] = soa(int(words[2]))


def check_owner(zone: str, name: str) -> None:
    """Raises ValueError unless the name can be a record set's in that zone."""
    if not OWNER.fullmatch(name) or len(name) > 253:
        raise ValueError(f"{name!r} is no name relative to the zone (lower case, no dot at its end, @ is the zone)")
    if name == zone or name.endswith(f".{zone}"):
        raise ValueError(f"{name!r} must not end with the zone's name")


def check_value(kind: str, value: str) -> None:
    """Raises ValueError unless the text is the data of a record of that type."""
    if kind == "TXT" and not re.fullmatch(r'\s*("(?:[^"\\]|\\.){0,255}"\s*)+', value):
        raise ValueError("a TXT value is one or more quoted strings of at most 255 characters")
    try:
        dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), value, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{value!r} is no value of a {kind} record: {error}") from None


def check_together(rrsets: list[RRSet]) -> None:
    """Raises ValueError if a CNAME has company, or an alias is the zone itself."""
    aliases = {row["name"] for row in rrsets if row["type"] == "CNAME"}
    for row in rrsets:
        if row["name"] in aliases and (row["type"] != "CNAME" or len(row["records"]) > 1 or row["name"] == "@"):
            raise ValueError(f"a CNAME at {row['name']!r} must be the only record there, and not the zone's own")


def parse(zone: str, text: str, ttl: int) -> list[RRSet]:
    """The record sets of a zone file (RFC 1035); its SOA is left out. `ttl` is the zone's default."""
    try:
        found = dns.zone.from_text(
            f"$TTL {ttl}\n{text}", origin=zone + ".", relativize=False, check_origin=False, allow_include=False
        )
    except (dns.exception.DNSException, ValueError, KeyError) as error:
        raise ValueError(f"is no zone file of {zone}: {error}") from None
    origin, rows = dns.name.from_text(zone + "."), []
    for name, node in found.nodes.items():
        owner = name.relativize(origin).to_text().lower()
        for data in node:
            kind = dns.rdatatype.to_text(data.rdtype)
            if kind == "SOA":
                continue
            if kind not in TYPES:
                raise ValueError(f"has records of type {kind}, which zones can't have")
            check_owner(zone, owner)
            values = [record.to_text(origin, relativize=False) for record in data]
            rows.append(rrset(owner, kind, values, None if data.ttl == ttl else int(data.ttl)))
    check_together(rows)
    return rows


def write(zone: str, ttl: int, rrsets: list[RRSet]) -> str:
    """The zone as a zone file, SOA first."""
    lines = [f"$ORIGIN\t{zone}.", f"$TTL\t{ttl}", ""]
    for row in sorted(rrsets, key=lambda row: (row["type"] != "SOA", row["name"] != "@", row["name"], row["type"])):
        for record in row["records"]:
            comment = f" ; {record['comment']}" if record["comment"] else ""
            time_to_live = "" if row["ttl"] is None else f"{row['ttl']}\t"
            lines.append(f"{row['name']}\t{time_to_live}IN\t{row['type']}\t{record['value']}{comment}")
    return "\n".join(lines) + "\n"


def values(zones: list[dict[str, Any]], name: str, kind: str) -> list[str]:
    """The values of a record set in any of these zones, by its whole name; empty if there is none."""
    for zone in zones:
        if name == zone["name"] or name.endswith(f".{zone['name']}"):
            owner = name.removesuffix(zone["name"]).removesuffix(".") or "@"
            for row in zone["rrsets"]:
                if (row["name"], row["type"]) == (owner, kind):
                    return [record["value"] for record in row["records"]]
    return []
