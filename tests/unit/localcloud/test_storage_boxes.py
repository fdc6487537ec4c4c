"""Storage boxes, their snapshots and subaccounts, through the real hcloud-python client."""

from __future__ import annotations

import pytest
from hcloud import Client
from hcloud.locations import Location
from hcloud.storage_box_types import StorageBoxType
from hcloud.storage_boxes import (
    BoundStorageBox,
    StorageBoxAccessSettings,
    StorageBoxSnapshotPlan,
    StorageBoxSubaccountAccessSettings,
)

from tests.unit.localcloud.conftest import Json, Rig

PASSWORD = "Correct-horse-1"
BODY: Json = {"name": "box", "storage_box_type": "bx11", "location": "fsn1", "password": PASSWORD}


@pytest.fixture
def client(rig: Rig) -> Client:
    """It takes the storage boxes from an endpoint of their own: here the same."""
    return Client(rig.token, api_endpoint=rig.endpoint, api_endpoint_hetzner=rig.endpoint, poll_interval=0.02)


@pytest.fixture
def box(client: Client, key: str) -> BoundStorageBox:
    made = client.storage_boxes.create(
        name="box", storage_box_type=StorageBoxType(name="bx11"), location=Location(name="fsn1"), password=PASSWORD,
        ssh_keys=[key], access_settings=StorageBoxAccessSettings(ssh_enabled=True), labels={"a": "b"},
    )  # fmt: skip
    made.action.wait_until_finished()
    return made.storage_box


def test_the_life_of_a_storage_box(client: Client, box: BoundStorageBox, rig: Rig) -> None:
    assert client.storage_box_types.get_by_name("bx41").size == 20 * 1024**4  # type: ignore[union-attr]
    assert (box.status, box.location.name, box.storage_box_type.name) == ("active", "fsn1", "bx11")  # type: ignore[union-attr]
    assert str(box.server).startswith(str(box.username))
    settings = box.access_settings
    assert settings is not None
    assert (settings.ssh_enabled, settings.samba_enabled) == (True, False)
    box.update_access_settings(StorageBoxAccessSettings(samba_enabled=True)).wait_until_finished()
    box.enable_snapshot_plan(StorageBoxSnapshotPlan(max_snapshots=5, hour=3, minute=30, day_of_week=7))
    box.change_type(StorageBoxType(name="bx21"))
    box.reset_password(PASSWORD + "!")
    again = client.storage_boxes.get_by_id(box.id or 0)
    assert again.access_settings is not None
    assert (again.access_settings.ssh_enabled, again.access_settings.samba_enabled) == (True, True)
    assert again.snapshot_plan is not None
    assert (again.snapshot_plan.hour, again.snapshot_plan.day_of_month) == (3, None)
    assert again.storage_box_type is not None
    assert again.storage_box_type.name == "bx21"
    box.disable_snapshot_plan()
    assert client.storage_boxes.get_by_id(box.id or 0).snapshot_plan is None
    assert box.update(name="other", labels={}).name == "other"
    assert client.storage_boxes.get_all(label_selector="a=b") == []
    assert box.get_folders().folders == []
    box.change_protection(delete=True)
    assert rig.error("DELETE", f"/storage_boxes/{box.id}") == (423, "protected")
    box.change_protection(delete=False)
    assert "enable_snapshot_plan" in [row.command for row in box.get_actions()]
    box.create_snapshot()
    box.delete().action.wait_until_finished()
    assert client.storage_boxes.get_all() == []
    assert PASSWORD not in rig.cloud.store._db.execute("SELECT group_concat(data) FROM actions").fetchone()[0]


def test_snapshots(client: Client, box: BoundStorageBox, rig: Rig) -> None:
    made = box.create_snapshot(description="before", labels={"k": "v"})
    second = box.create_snapshot().snapshot
    name = client.storage_boxes.get_snapshot_by_id(box, made.snapshot.id or 0).name
    assert name
    assert box.get_snapshot_by_name(name) is not None
    assert len({row.name for row in box.get_snapshot_all()}) == 2
    assert [row.id for row in box.get_snapshot_all(label_selector="k")] == [made.snapshot.id]
    box.rollback_snapshot(made.snapshot).wait_until_finished()
    assert second.update(description="later", labels={"x": "y"}).description == "later"
    second.delete()
    assert [row.id for row in box.get_snapshot_all()] == [made.snapshot.id]
    for _ in range(9):
        box.create_snapshot()
    assert rig.error("POST", f"/storage_boxes/{box.id}/snapshots", {}) == (403, "resource_limit_exceeded")
    assert rig.error("GET", f"/storage_boxes/{box.id}/snapshots/{second.id}") == (404, "not_found")


def test_subaccounts(client: Client, box: BoundStorageBox, rig: Rig) -> None:
    access = StorageBoxSubaccountAccessSettings(readonly=True)
    made = box.create_subaccount(name="app", home_directory="app", password=PASSWORD, access_settings=access)
    assert made.action.command == "create_subaccount"
    account = box.get_subaccount_by_name("app")
    assert account is not None
    assert account.access_settings is not None
    assert (account.username, account.access_settings.readonly) == (f"{box.username}-sub1", True)
    account.change_home_directory("other/place").wait_until_finished()
    account.update_access_settings(StorageBoxSubaccountAccessSettings(readonly=False, ssh_enabled=True))
    account.reset_password(PASSWORD)
    assert account.update(name="new", description="d", labels={"a": "b"}).description == "d"
    second = box.create_subaccount(home_directory="b", password=PASSWORD).subaccount
    found = box.get_subaccount_by_username(f"{box.username}-sub2")
    assert found is not None
    assert found.id == second.id
    path = f"/storage_boxes/{box.id}/subaccounts"
    again = {"name": "new", "home_directory": "x", "password": PASSWORD}
    assert rig.error("POST", path, again) == (409, "uniqueness_error")
    assert rig.error("POST", path, {**again, "home_directory": "../x"}) == (422, "invalid_input")
    assert rig.error("POST", path, {**again, "password": "short"}) == (422, "invalid_input")
    account.delete()
    assert [row.id for row in box.get_subaccount_all()] == [second.id]


def test_refusals(rig: Rig, box: BoundStorageBox) -> None:
    wrong: list[tuple[Json, tuple[int, str]]] = [
        ({}, (409, "uniqueness_error")),
        ({"name": "b", "storage_box_type": "bx99"}, (422, "invalid_input")),
        ({"name": "b", "location": "ash"}, (422, "invalid_input")),
        ({"name": "b", "password": "all-lower-case-1"}, (422, "invalid_input")),
        ({"name": "b", "ssh_keys": ["no key"]}, (422, "invalid_input")),
        ({"name": "b", "access_settings": {"ssh_enabled": "yes"}}, (422, "invalid_input")),
    ]
    for change, expected in wrong:
        assert rig.error("POST", "/storage_boxes", {**BODY, **change}) == expected, change
    plan = {"max_snapshots": 5, "hour": 1, "minute": 1, "day_of_week": 1, "day_of_month": 1}
    path = f"/storage_boxes/{box.id}/actions"
    assert rig.error("POST", f"{path}/enable_snapshot_plan", plan) == (422, "invalid_input")
    assert rig.error("POST", f"{path}/rollback_snapshot", {"snapshot": 4711}) == (404, "not_found")
    assert rig.error("GET", "/storage_boxes/4711/snapshots") == (404, "not_found")
