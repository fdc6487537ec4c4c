"""Rows that are shared by readers: always what is in the file, and nobody changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.api.app import MODULES
from localcloud.store import Store
from localcloud.web.state import state
from tests.browser.scene import shop
from tests.unit.localcloud.conftest import Rig

KINDS = (
    "server", "network", "firewall", "load_balancer", "volume", "primary_ip", "floating_ip", "image", "certificate",
    "ssh_key", "placement_group", "zone", "storage_box",
)  # fmt: skip


def differences(store: Store, project: int | None) -> list[str]:
    """The kinds of which the shared rows are not those of the file."""
    return [kind for kind in KINDS if store.look(project, kind) != store.all(project, kind)]


def test_no_get_changes_what_it_reads(rig: Rig) -> None:
    """Every GET of the API and the web console's whole state, over one of nearly everything."""
    shop(rig, rig.backend)
    (project, _), *_ = rig.cloud.store.projects()
    paths = [path for module in MODULES for method, path, _ in module.ROUTES if method == "GET"]
    for path in paths:
        if "{" not in path:
            rig.ask("GET", path)
            continue
        kind = path.split("/")[1]
        listed = rig.ask("GET", f"/{kind}")
        rows = listed.get(kind, [])
        if rows and path.count("{") == 1:
            rig.ask("GET", path.replace("{id}", str(rows[0]["id"])))
    state(rig.cloud, project)
    assert differences(rig.cloud.store, project) == []
    assert differences(rig.cloud.store, None) == []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "state.db")
    store.add_project("p")
    return store


def test_changes_are_seen_at_once(store: Store) -> None:
    for project in (1, None):
        assert store.look(project, "network") == []
    made = [store.add(1, "network", {"name": name}) for name in "abc"]
    early = store.add(1, "network", {"name": "early", "id": 1_000_000})
    late = store.add(1, "network", {"name": "late", "id": 999_999})
    other = store.add(2, "network", {"name": "other's"})
    assert differences(store, 1) == []
    assert store.look(None, "network") == [*made, other, late, early]
    store.save("network", {**made[1], "name": "changed"})
    store.delete("network", made[0]["id"])
    assert differences(store, 1) == []
    assert differences(store, None) == []
    assert store.look_at(1, "network", made[1]["id"]) == {**made[1], "name": "changed"}
    assert store.look_at(1, "network", made[0]["id"]) is None
    assert store.look_at(1, "network", other["id"]) is None
    assert (store.id_named(1, "network", "changed"), store.id_named(1, "network", "b")) == (made[1]["id"], None)


def test_what_was_rolled_back_is_forgotten(store: Store) -> None:
    store.add(1, "network", {"name": "kept"})
    store.look(1, "network")
    action = {"status": "running", "command": "c", "resources": []}

    def fail() -> None:
        with store.transaction():
            store.add(1, "network", {"name": "undone"})
            assert len(store.look(1, "network")) == 2
            store.add_action(1, action, {"operation": "undone", "keys": []})
            assert len(store.running_jobs()) == 1
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert [row["name"] for row in store.look(1, "network")] == ["kept"]
    assert store.running_jobs() == []
    store.add(1, "network", {"name": "another"})
    again = store.add_action(1, action, {"operation": "again", "keys": []})  # has the id of the one undone
    assert [job[3]["operation"] for job in store.running_jobs()] == ["again"]
    store.finish_action(again["id"], None)
    assert store.running_jobs() == []


def test_what_another_process_writes_is_seen(store: Store, tmp_path: Path) -> None:
    assert store.look(1, "network") == []
    Store(tmp_path / "state.db").add(1, "network", {"name": "from elsewhere"})
    assert [row["name"] for row in store.look(1, "network")] == ["from elsewhere"]
