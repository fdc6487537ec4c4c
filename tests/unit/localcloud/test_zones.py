"""DNS zones and their record sets, through the real hcloud-python client; refusals as plain requests."""

from __future__ import annotations

import pytest
from hcloud.zones import BoundZone, ZonePrimaryNameserver, ZoneRecord, ZoneRRSet

from localcloud import zonefile
from tests.unit.localcloud.conftest import Json, Rig

FILE = """\
$ORIGIN example.com.
$TTL 300
@ IN SOA ns.other.test. admin.other.test. 1 2 3 4 5
www IN A 203.0.113.1
www IN A 203.0.113.2
@ 3600 IN MX 10 mail
txt IN TXT "two" "strings"
_sip._tcp IN SRV 1 2 5060 sip.example.com.
"""


def records(*values: str) -> Json:
    """The part of a body that names these values."""
    return {"records": [{"value": value} for value in values]}


A = records("203.0.113.1")


def types_of(zone: BoundZone) -> set[str]:
    return {str(row.id) for row in zone.get_rrset_all()}


def test_the_life_of_a_zone(rig: Rig) -> None:
    client = rig.client()
    made = client.zones.create(name="example.com", mode="primary", labels={"a": "b"})
    assert made.action.command == "create_zone"
    assert made.action.resources == [{"id": made.zone.id, "type": "zone"}]
    zone = client.zones.get("example.com")
    assert (zone.id, zone.mode, zone.ttl, zone.status, zone.record_count) == (made.zone.id, "primary", 3600, "ok", 4)
    assert zone.authoritative_nameservers is not None
    assert len(zone.authoritative_nameservers.assigned or []) == 3
    assert types_of(zone) == {"@/SOA", "@/NS"}
    serial = str((zone.get_rrset("@", "SOA").records or [])[0].value).split()[2]

    created = zone.create_rrset(name="www", type="A", ttl=60, records=[ZoneRecord("203.0.113.1", "web")])
    rrset = created.rrset
    assert (rrset.id, rrset.ttl, rrset.protection) == ("www/A", 60, {"change": False})
    rrset.add_rrset_records([ZoneRecord("203.0.113.2")]).wait_until_finished()
    rrset.update_rrset_records([ZoneRecord("203.0.113.2", "second")])
    rrset.remove_rrset_records([ZoneRecord("203.0.113.1")])
    again = zone.get_rrset("www", "A")
    assert [(record.value, record.comment) for record in again.records or []] == [("203.0.113.2", "second")]
    again.change_rrset_ttl(None)
    again.change_rrset_protection(change=True)
    assert zone.get_rrset("www", "A").ttl is None
    path = f"/zones/{zone.id}/rrsets/www/A"
    assert rig.error("POST", f"{path}/actions/set_records", {"records": [{"value": "203.0.113.9"}]}) == (
        423,
        "protected",
    )
    assert rig.error("DELETE", path) == (423, "protected")
    zonefile_text = {"zonefile": FILE}
    assert rig.error("POST", "/zones/example.com/actions/import_zonefile", zonefile_text) == (423, "protected")
    again.change_rrset_protection(change=False)
    assert client.zones.update_rrset(again, labels={"x": "y"}).labels == {"x": "y"}
    assert [row.id for row in zone.get_rrset_all(label_selector="x=y")] == ["www/A"]
    assert [row.id for row in zone.get_rrset_all(type=["NS", "A"], name="@")] == ["@/NS"]
    again.remove_rrset_records([ZoneRecord("203.0.113.2")])  # the last one
    assert types_of(zone) == {"@/SOA", "@/NS"}
    assert str((zone.get_rrset("@", "SOA").records or [])[0].value).split()[2] > serial

    zone.change_ttl(7200)
    assert zone.update(labels={}).labels == {}
    assert client.zones.get_all(name="example.com", mode="primary")[0].ttl == 7200
    assert client.zones.get_all(mode="secondary") == []
    zone.change_protection(delete=True)
    assert rig.error("DELETE", "/zones/example.com") == (423, "protected")
    zone.change_protection(delete=False)
    assert [row.command for row in client.zones.actions.get_all()][-1] == "change_protection"
    assert {row.status for row in zone.get_actions()} == {"success"}
    assert zone.delete().action.command == "delete_zone"
    assert client.zones.get_all() == []


def test_zone_files(rig: Rig) -> None:
    client = rig.client()
    zone = client.zones.create(name="example.com", mode="primary", ttl=300, zonefile=FILE).zone
    assert types_of(zone) == {"@/SOA", "@/NS", "www/A", "@/MX", "txt/TXT", "_sip._tcp/SRV"}
    assert (zone.get_rrset("@", "MX").ttl, zone.get_rrset("www", "A").ttl) == (3600, None)
    assert [record.value for record in zone.get_rrset("@", "MX").records or []] == ["10 mail.example.com."]
    assert "hydrogen" in str((zone.get_rrset("@", "SOA").records or [])[0].value)  # the file's own is left out
    text = zone.export_zonefile().zonefile
    assert text.splitlines()[0] == "$ORIGIN\texample.com."
    zone.create_rrset(name="more", type="AAAA", records=[ZoneRecord("2001:db8::1")])
    zone.import_zonefile(text).wait_until_finished()
    assert types_of(zone) == {"@/SOA", "@/NS", "www/A", "@/MX", "txt/TXT", "_sip._tcp/SRV"}
    assert sorted(zonefile.parse("example.com", text, 300), key=lambda row: str(row["name"])) == sorted(
        zonefile.parse("example.com", zone.export_zonefile().zonefile, 300), key=lambda row: str(row["name"])
    )


def test_a_secondary_zone(rig: Rig) -> None:
    client = rig.client()
    servers = [ZonePrimaryNameserver("198.51.100.1"), ZonePrimaryNameserver("2001:db8::1", 5353, "hmac-sha256", "a2V5")]
    zone = client.zones.create(name="example.org", mode="secondary", primary_nameservers=servers).zone
    shown = [(row.address, row.port, row.tsig_algorithm) for row in zone.primary_nameservers or []]
    assert shown == [("198.51.100.1", 53, None), ("2001:db8::1", 5353, "hmac-sha256")]
    zone.change_primary_nameservers(servers[:1])
    assert len(client.zones.get("example.org").primary_nameservers or []) == 1
    for method, path, body in [
        ("POST", "/zones/example.org/actions/change_ttl", {"ttl": 60}),
        ("GET", "/zones/example.org/zonefile", None),
        ("POST", "/zones/example.org/actions/import_zonefile", {"zonefile": FILE}),
        ("POST", "/zones/example.org/rrsets", {"name": "a", "type": "A", "records": [{"value": "203.0.113.1"}]}),
    ]:
        assert rig.error(method, path, body) == (422, "incorrect_zone_mode"), path


def test_a_zone_made_with_record_sets(rig: Rig) -> None:
    rrsets = [ZoneRRSet(name="*", type="TXT", records=[ZoneRecord('"x"')], labels={"k": "v"})]
    zone = rig.client().zones.create(name="example.com", mode="primary", rrsets=rrsets).zone
    assert types_of(zone) == {"@/SOA", "@/NS", "*/TXT"}
    assert zone.get_rrset("*", "TXT").labels == {"k": "v"}


REFUSED = [  # method, path below /zones, body, answer
    ("POST", "", {"name": "example.com", "mode": "primary"}, (409, "uniqueness_error")),
    ("POST", "", {"name": "Example.net", "mode": "primary"}, (422, "invalid_input")),
    ("POST", "", {"name": "example", "mode": "primary"}, (422, "invalid_input")),
    ("POST", "", {"name": "a.test", "mode": "third"}, (422, "invalid_input")),
    ("POST", "", {"name": "a.test", "mode": "secondary"}, (422, "invalid_input")),
    ("POST", "", {"name": "a.test", "mode": "primary", "ttl": 5}, (422, "invalid_input")),
    ("POST", "", {"name": "a.test", "mode": "primary", "zonefile": "a b c d"}, (422, "invalid_input")),
    ("POST", "", {"name": "a.test", "mode": "primary", "zonefile": "$INCLUDE /etc/passwd"}, (422, "invalid_input")),
    ("GET", "/other.test", None, (404, "not_found")),
    ("GET", "/4711", None, (404, "not_found")),
    ("GET", "/example.com/rrsets/www/AAAA", None, (404, "not_found")),
    ("POST", "/example.com/rrsets", {"name": "www", "type": "A", **A}, (409, "uniqueness_error")),
    ("POST", "/example.com/rrsets", {"name": "@", "type": "SOA", **A}, (422, "invalid_input")),
    ("POST", "/example.com/rrsets", {"name": "www", "type": "CNAME", **records("a.test.")}, (422, "invalid_input")),
    ("POST", "/example.com/rrsets", {"name": "x.example.com", "type": "A", **A}, (422, "invalid_input")),
    ("POST", "/example.com/rrsets", {"name": "X", "type": "A", **A}, (422, "invalid_input")),
    ("POST", "/example.com/rrsets", {"name": "x", "type": "A", "records": []}, (422, "invalid_input")),
    ("POST", "/example.com/rrsets", {"name": "x", "type": "A", **records("::1")}, (422, "invalid_input")),
    ("POST", "/example.com/rrsets", {"name": "x", "type": "TXT", **records("bare")}, (422, "invalid_input")),
    ("POST", "/example.com/rrsets", {"name": "x", "type": "AAAA", **records("::", "::")}, (422, "invalid_input")),
    ("POST", "/example.com/rrsets/www/A/actions/add_records", A, (409, "uniqueness_error")),
    ("POST", "/example.com/rrsets/www/A/actions/remove_records", records("203.0.113.7"), (404, "not_found")),
    ("POST", "/example.com/rrsets/www/A/actions/change_ttl", {"ttl": 1}, (422, "invalid_input")),
    ("DELETE", "/example.com/rrsets/@/SOA", None, (422, "unsupported_error")),
    ("POST", "/example.com/actions/change_primary_nameservers", {}, (422, "incorrect_zone_mode")),
    ("GET", "/example.com/actions/1", None, (404, "not_found")),
    ("PATCH", "/example.com", None, (405, "method_not_allowed")),
]  # fmt: skip


@pytest.fixture
def zone(rig: Rig) -> int:
    number = rig.ask("POST", "/zones", {"name": "example.com", "mode": "primary"}, 201)["zone"]["id"]
    rig.ask("POST", "/zones/example.com/rrsets/www/A/actions/add_records", A, 201)  # makes the record set
    return int(number)


def test_refusals(rig: Rig, zone: int) -> None:
    for method, path, body, expected in REFUSED:
        assert rig.error(method, f"/zones{path}", body) == expected, (path, body)
    assert rig.ask("GET", f"/zones/{zone}")["zone"]["record_count"] == 5
