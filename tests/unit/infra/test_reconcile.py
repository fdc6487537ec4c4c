"""What is decided between state, cloud and bucket, case by case; and the bucket's memory of the data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra import data_record
from infra.clouds import hetzner_inventory
from infra.reconcile import DataRecord, Decision, Found, Known, decide

SERVER, VOLUME, NETWORK = "t:Server", "t:Volume", "t:Network"


def row(type_: str, name: str, number: str) -> Known:
    return Known(f"urn::{name}", type_, name, number, data=type_ == VOLUME)


def thing(type_: str, name: str, number: str, *, off: bool = False) -> Found:
    return Found(type_, name, number, f"sekha-s-{name}", data=type_ == VOLUME, off=off)


KNOWN = (row(SERVER, "one", "1"), row(VOLUME, "data", "2"), row(NETWORK, "net", "3"))
FOUND = (thing(SERVER, "one", "1"), thing(VOLUME, "data", "2"), thing(NETWORK, "net", "3"))
SERVED = DataRecord(volume="2", conversations=41, as_of="2026-01-02", newest_backup="2026-01-01 03:00 UTC")


@pytest.mark.parametrize(
    ("known", "found", "decision"),
    [
        pytest.param(KNOWN, FOUND, Decision(), id="all is well"),
        pytest.param((), (), Decision(), id="nothing anywhere"),
        pytest.param(KNOWN[1:], FOUND, Decision(adopt=FOUND[:1]), id="killed before it was recorded"),
        pytest.param((), FOUND, Decision(adopt=FOUND), id="the state is lost"),
        pytest.param(KNOWN, FOUND[1:], Decision(missing=KNOWN[:1]), id="deleted behind our back"),
        pytest.param(
            KNOWN, (thing(SERVER, "one", "9"), *FOUND[1:]),
            Decision(adopt=(thing(SERVER, "one", "9"),), replaced=KNOWN[:1], missing=KNOWN[:1]),
            id="killed between the deletion and the record of the successor",
        ),
        pytest.param(
            KNOWN, (thing(SERVER, "one", "1", off=True), *FOUND[1:]),
            Decision(start=(thing(SERVER, "one", "1", off=True),)), id="powered off",
        ),
        pytest.param(
            (KNOWN[0], replace(KNOWN[1], server="1")), FOUND[:2], Decision(reattach=((FOUND[1], "1"),)),
            id="the volume pulled from its server",
        ),
        pytest.param(
            (KNOWN[0], replace(KNOWN[1], server="1")), (FOUND[0], replace(FOUND[1], server="1")), Decision(),
            id="the volume where it belongs",
        ),
        pytest.param(
            (KNOWN[0], replace(KNOWN[1], server="1")), FOUND[1:2], Decision(missing=KNOWN[:1]),
            id="its server gone too: the engine attaches it to the next one",
        ),
        pytest.param(
            KNOWN, (*FOUND, thing(VOLUME, "data", "8")), Decision(strangers=(thing(VOLUME, "data", "8"),)),
            id="a second one of the same name is nobody's",
        ),
        pytest.param(
            KNOWN, (*FOUND, thing(NETWORK, "", "8")), Decision(strangers=(thing(NETWORK, "", "8"),)),
            id="without our second label",
        ),
    ],
)  # fmt: skip
def test_what_is_done(known: tuple[Known, ...], found: tuple[Found, ...], decision: Decision) -> None:
    assert decide(known, found, SERVED if found else DataRecord()) == decision


def test_lost_data_are_told_with_all_that_is_known() -> None:
    lost = decide(KNOWN, (FOUND[0], FOUND[2]), SERVED).lost
    assert lost == (
        "the volume 2 with this stack's data is gone from the cloud; it held 41 conversations on 2026-01-02; "
        "the newest backup is of 2026-01-01 03:00 UTC"
    )
    assert "no backup of it is known" in decide(KNOWN, (), DataRecord("2")).lost


@pytest.mark.parametrize(
    ("found", "record"),
    [
        pytest.param((FOUND[0], FOUND[2]), DataRecord(volume="2", ended=True), id="given up on purpose"),
        pytest.param((FOUND[0], FOUND[2]), DataRecord(), id="never served"),
        pytest.param(FOUND, SERVED, id="there"),
    ],
)
def test_nothing_is_lost(found: tuple[Found, ...], record: DataRecord) -> None:
    assert decide(KNOWN, found, record).lost == ""


def test_another_volume_does_not_stand_in_for_the_lost_one() -> None:
    assert "volume 2" in decide((), (thing(VOLUME, "data", "7"),), SERVED).lost


def test_the_apis_rows_become_the_programs_names() -> None:
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in hetzner_inventory.TYPES}
    labels = {"sekha-stack": "s", "sekha-urn": "server.sekha-s-1"}
    nic = {"network": 3, "ip": "10.0.1.10"}
    rows["servers"] = [{"id": 5, "name": "sekha-s-1", "labels": labels, "status": "off", "private_net": [nic]}]
    rows["networks"] = [{"id": 3, "name": "n", "labels": {}, "subnets": [{"ip_range": "10.0.1.0/24"}]}]
    found = hetzner_inventory.found(rows)
    assert [(f.name, f.id, f.off) for f in found] == [
        ("", "3", False), ("sekha-s-1", "5", True), ("subnet", "3-10.0.1.0/24", False), ("private", "5-3", False),
    ]  # fmt: skip


DEVICE, OTHER = "/dev/disk/by-id/scsi-0HC_Volume_7", "/dev/disk/by-id/scsi-0HC_Volume_8"


def test_the_bucket_remembers_from_the_first_serving_to_the_end() -> None:
    record = data_record.published({}, 1)
    assert data_record.expects(record, DEVICE) == "new", (
        "a first release that failed may be tried again on a blank volume"
    )
    record = data_record.served(record, 1, DEVICE)
    assert data_record.expects(record, DEVICE) == "expected"
    assert data_record.expects(record, OTHER, restorable=True) == "restore"
    with pytest.raises(data_record.LostDataError, match=r"on volume 7 \(generation 1\), and this machine has volume 8"):
        data_record.expects(record, OTHER)
    assert data_record.expects(data_record.ended(record), OTHER, restorable=True) == "new"
    again = data_record.served(data_record.published(data_record.ended(record), 2), 2, OTHER)
    assert again == {"generation": 2, "device": OTHER, "served": 2, "database": "postgres"}


def test_the_kind_of_database_is_for_good() -> None:
    record = data_record.served({}, 1, DEVICE, "sqlite")
    data_record.refuse_other_kind(record, "sqlite")
    data_record.refuse_other_kind({}, "sqlite")
    data_record.refuse_other_kind(data_record.ended(record), "postgres")
    with pytest.raises(data_record.LostDataError, match="sekha:database is postgres, and this stack's data are in sql"):
        data_record.refuse_other_kind(record, "postgres")
    with pytest.raises(data_record.LostDataError, match="in postgres: nothing was changed"):
        data_record.refuse_other_kind({"device": DEVICE}, "sqlite")  # of a version that knew no other
