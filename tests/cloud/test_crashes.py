"""After a crash or a loss the next `up` completes and cloud and state are equal: real engine, provider and API.

`make proof-crashes` does the same with booted machines, at many more points.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cloud.story import record

REPO = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(500)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One life of a stack that is struck again and again (crash_story.main), as the records it left."""
    return record("tests.cloud.crash_story", tmp_path_factory.mktemp("rig"), 480)


@pytest.mark.parametrize(
    "name",
    [
        "killed while it made the server", "killed while it destroyed", "volume detached", "state lost",
        "server lost", "volume lost, accepted", "sold out at first",
    ],
)  # fmt: skip
def test_the_next_up_completes_and_cloud_and_state_are_equal(story: dict[str, Any], name: str) -> None:
    step = story[name]
    assert step["error"] == ""
    assert (step["orphans"], step["missing"], step["pending"]) == (0, 0, 0)
    assert [len(step[kind]) for kind in ("servers", "volumes", "primary_ips")] == [1, 1, 1]


def test_what_was_made_and_not_recorded_is_adopted_by_name(story: dict[str, Any]) -> None:
    said = story["killed while it made the server"]["said"]
    assert "sekha-local-1 (Server " in said
    assert "is in the cloud and not in the state: adopting it" in said


def test_a_detached_volume_is_attached_again(story: dict[str, Any]) -> None:
    assert [story["attached to"]] == story["volume detached"]["servers"]


def test_a_lost_state_costs_neither_data_nor_address(story: dict[str, Any]) -> None:
    before, after = story["before the state was lost"], story["state lost"]
    assert (before["volumes"], before["primary_ips"]) == (after["volumes"], after["primary_ips"])


def test_a_lost_server_comes_back_with_its_volume(story: dict[str, Any]) -> None:
    before, after = story["state lost"], story["server lost"]
    assert (before["volumes"], before["primary_ips"]) == (after["volumes"], after["primary_ips"])
    assert before["servers"] != after["servers"]
    assert "is gone from the cloud" in after["said"]


def test_a_lost_volume_is_told_and_nothing_is_touched(story: dict[str, Any]) -> None:
    step = story["volume lost"]
    (volume,) = story["server lost"]["volumes"]
    assert f"the volume {volume} with this stack's data is gone from the cloud" in step["error"]
    assert "ACCEPT_DATA_LOSS=local make up STACK=local" in step["error"]
    assert (step["servers"], step["volumes"]) == ([], [])


def test_without_the_operators_command_the_release_refuses(story: dict[str, Any]) -> None:
    (volume,) = story["server lost"]["volumes"]
    assert f"the data were on volume {volume}" in story["past the operator's command"]
    assert "not starting with an empty database" in story["past the operator's command"]


def test_a_type_sold_out_later_is_no_diff_and_at_first_the_next_is_taken(story: dict[str, Any]) -> None:
    assert story["sold out later"] == 0
    assert story["destroyed"] == 0
    assert "not orderable: cx23 in fsn1" in story["sold out at first, preview"]
    assert "not orderable: cx23 in fsn1" in story["sold out at first"]["text"]
