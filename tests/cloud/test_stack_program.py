"""The whole program with the real engine and provider, the local cloud's API and object store, no machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.__main__ import comment
from tests.cloud.story import record

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One life of a stack, step by step (see program_story.main), as the records it left."""
    return record("tests.cloud.program_story", tmp_path_factory.mktemp("rig"), 400)


pytestmark = pytest.mark.timeout(450)


def test_bad_config_is_refused_before_anything_is_touched(story: dict[str, Any]) -> None:
    step = story["refused"]
    assert step["code"] != 0
    assert "sekha:conversations = -5: must be at least 1" in step["text"]
    assert "sekha:domain = nowhere:" in step["text"]
    assert "Traceback" not in step["text"]
    assert step["objects"] == 0


def test_a_refused_token_is_named(story: dict[str, Any]) -> None:
    step = story["wrong token"]
    assert step["code"] != 0
    assert "refused the token (401)" in step["text"]
    assert step["objects"] == 0


def test_up_builds_and_shows_where_and_for_how_much(story: dict[str, Any]) -> None:
    step = story["up"]
    assert step["code"] == 0, step["text"]
    assert "cx23 in fsn1 (first orderable of the configured list)" in step["text"]
    assert "5.06 EUR a month" in step["text"]
    assert "serving done" in step["text"]


def test_outputs(story: dict[str, Any]) -> None:
    outputs = story["outputs"]
    assert outputs["url"].startswith("https://198.51.100.")
    assert outputs["apiKey"].startswith("sk-sekha-")
    assert Path(outputs["caFile"]).name == "ca.pem"
    assert outputs["monthlyCost"] == "5.06 EUR"
    assert outputs["ssh"].startswith("closed: set sekha:sshPublicKeys")
    assert len(outputs["release"]) == 12


def test_a_refreshed_preview_right_after_has_no_diff(story: dict[str, Any]) -> None:
    assert story["clean"]["code"] == 0, story["clean"]["text"]


def test_no_secret_is_plain_in_the_state_or_on_the_screen(story: dict[str, Any]) -> None:
    for name in ("state", "screen"):
        for secret in story["secrets"].values():
            assert secret not in story[name]
            assert json.dumps(secret)[1:-1] not in story[name]


def test_a_machine_that_does_not_fit_any_more_grows_in_place(story: dict[str, Any]) -> None:
    step = story["grow"]
    assert step["code"] == 0, step["text"]
    assert "in place of cx23" in step["text"]
    assert "replaced" not in step["text"]


def test_a_failed_release_tells_why_and_the_next_up_tries_again(story: dict[str, Any]) -> None:
    step = story["failed release"]
    assert step["code"] != 0
    assert "failed at stage service: as told to" in step["text"]
    assert "| line two" in step["text"]
    assert story["again"]["code"] == 0, story["again"]["text"]
    assert "serving done" in story["again"]["text"]


def test_a_replaced_machine_keeps_address_and_volume_and_is_served_again(story: dict[str, Any]) -> None:
    step = story["replace"]
    assert step["code"] == 0, step["text"]
    assert "created replacement" in step["text"]
    assert story["before"] == story["after"] | {"server": story["before"]["server"]}
    assert story["before"]["server"] != story["after"]["server"]
    assert "serving done" in step["text"]


def test_the_volume_is_not_pulled_from_a_running_machine(story: dict[str, Any]) -> None:
    calls = story["replace"]["calls"]
    assert calls.index("stop_server") < calls.index("detach_volume") < calls.index("delete_server")


def test_the_nodes_key_may_do_its_work_and_nothing_else(story: dict[str, Any]) -> None:
    assert story["node rights"] == {
        "read desired": True, "read file": True, "write status": True, "write backup": True, "read backup": True,
        "write desired": False, "write file": False, "delete file": False, "write other status": False,
        "read operator's counter": False, "change policy": False, "delete version": False,
    }  # fmt: skip


def test_destroy_leaves_nothing_but_the_bucket(story: dict[str, Any]) -> None:
    step = story["destroy"]
    assert step["code"] == 0, step["text"]
    assert step["objects"] == 0
    assert "stays, with all backups in it" in step["text"]


def test_prod_previews_against_the_local_cloud_protected(story: dict[str, Any]) -> None:
    step = story["prod"]
    assert step["code"] == 0, step["text"]
    raw = yaml.safe_load((REPO / "Pulumi.prod.yaml").read_text())["config"]
    assert raw["sekha:domain"] in step["text"]
    protected = {row["urn"].split("::")[-1] for row in story["prod plan"] if row.get("protect")}
    assert protected == {"data", "address", "bucket"}


def test_the_policy_pack_passes_our_program_and_stops_one_that_drops_the_guards(story: dict[str, Any]) -> None:
    assert story["prod"]["code"] == 0
    assert "[mandatory]" not in story["prod"]["text"]
    step = story["pull request"]
    assert step["code"] != 0
    assert "opens tcp/5432 from 0.0.0.0/0: only 22, 80 and 443 may be open" in step["text"]
    assert "there are machines and no volume or database" in step["text"]


def test_a_comparing_stack_creates_nothing_and_says_what_is_cheapest(story: dict[str, Any]) -> None:
    step = story["compare"]
    assert step["code"] == 0, step["text"]
    assert step["objects"] == 0
    assert 'cheapest  : "hetzner: 231.13 EUR a month"' in step["text"]
    assert "+ 1 created" in step["text"]  # the stack itself


def test_a_preview_says_the_difference_in_cost_and_that_prices_are_old(story: dict[str, Any]) -> None:
    assert "cost: 7.56 EUR a month" in story["grow"]["text"]
    assert "+2.50 EUR to before" in story["grow"]["text"]
    assert "(catalogMaxAgeDays: 90)" in story["grow"]["text"]


def test_an_upgrade_from_any_release_loses_nothing_that_holds_data(story: dict[str, Any]) -> None:
    assert story["upgrades"]
    for release, text in story["upgrades"].items():
        body, blocks = comment(text, "upgrade")
        assert blocks == [], f"from {release}: {body}"
        kept = {row["urn"].rsplit("::", 1)[-1]: row["op"] for row in json.loads(text)["steps"]}
        assert kept["address"] in ("same", "update"), f"from {release}: the public address is replaced"


def test_a_volume_that_an_upgrade_renames_is_caught(story: dict[str, Any]) -> None:
    body, blocks = comment(story["renamed volume"], "upgrade")
    assert "data loss" in blocks
    assert "volume data is deleted: what it holds is lost" in body
