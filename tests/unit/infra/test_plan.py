"""The planner: monotone, never below its own sizing, and what it gives a machine fits in it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import plan, sizing
from infra.plan import Choice
from infra.settings import SettingsError
from tests.unit.infra import samples
from tests.unit.infra.samples import HETZNER

CONVERSATIONS = st.integers(1, 99_999)
MESSAGES = st.integers(1, 60)


@given(CONVERSATIONS, CONVERSATIONS, MESSAGES)
def test_more_conversations_never_need_less(one: int, two: int, messages: int) -> None:
    small, large = (sizing.demand(number, messages) for number in sorted((one, two)))
    assert small.memory_mib <= large.memory_mib
    assert small.disk_gb <= large.disk_gb


@given(CONVERSATIONS, CONVERSATIONS, MESSAGES)
def test_more_conversations_never_get_a_cheaper_machine(one: int, two: int, messages: int) -> None:
    small, large = (
        plan.plan(samples.settings(conversations=number, messagesPerConversation=messages), HETZNER)
        for number in sorted((one, two))
    )
    assert _price(small.choices[0]) <= _price(large.choices[0])
    assert small.volume_gb <= large.volume_gb


@given(CONVERSATIONS, MESSAGES)
def test_every_choice_holds_what_is_needed_and_shares_out_no_more_than_it_has(number: int, messages: int) -> None:
    made = plan.plan(samples.settings(conversations=number, messagesPerConversation=messages), HETZNER)
    assert made.volume_gb >= made.demand.disk_gb
    assert made.volume_gb % 10 == 0
    for choice in made.choices:
        machine = HETZNER.server_types[choice.server_type]
        share = sizing.split(made.demand, machine.vcpus, machine.memory_gb)
        used = share.sekha_max + share.chroma_max + share.postgres_max + sizing.SYSTEM_MIB
        assert used <= sizing.usable_mib(machine.memory_gb) < machine.memory_gb * 1024
        assert share.chroma_max >= made.demand.chroma_mib
        assert share.postgres_max >= made.demand.postgres_mib
        assert sizing.MIN_WORKERS <= share.workers <= machine.vcpus
        assert share.shared_buffers + share.maintenance < share.postgres_max
        assert share.max_connections >= share.workers * share.db_pool


def _price(choice: Choice) -> Decimal:
    return HETZNER.server_types[choice.server_type].monthly[choice.location]


def test_demand_re_added_by_hand() -> None:
    need = sizing.demand(20_000, 10)
    assert need.vectors == 200_000
    assert need.chroma_mib == 64 + 668  # 200,000 x 3.5 kB = 700 MB = 667.6 MiB
    assert need.postgres_mib == 256 + 39  # a tenth of 400 MB = 38.1 MiB
    assert need.disk_gb == 6  # 4 + 2 x (0.40 + 0.44) GB = 5.68
    assert need.memory_mib == 732 + 295 + 600 + 1024


def test_the_guides_single_server_sizes_are_met() -> None:
    """The guide: 4 to 8 GB and 2 to 4 cores below 100,000 conversations."""
    for number in (100, 20_000, 99_999):
        first = plan.plan(samples.settings(conversations=number), HETZNER).choices[0]
        machine = HETZNER.server_types[first.server_type]
        assert 4 <= machine.memory_gb <= 8
        assert 2 <= machine.vcpus <= 4


def test_choices_are_regions_times_types_in_the_configured_order() -> None:
    made = plan.plan(samples.settings(regions=["nbg1", "fsn1"], serverTypes=["cx43", "cx33"]), HETZNER)
    assert [str(choice) for choice in made.choices] == [
        "cx43 in nbg1", "cx33 in nbg1", "cx43 in fsn1", "cx33 in fsn1",
    ]  # fmt: skip


def test_without_types_the_cheapest_comes_first() -> None:
    made = plan.plan(samples.settings(regions=["fsn1"]), HETZNER)
    prices = [HETZNER.server_types[choice.server_type].monthly["fsn1"] for choice in made.choices]
    assert prices == sorted(prices)
    assert made.choices[0] == Choice("fsn1", "cx23")


@pytest.mark.parametrize(
    ("changes", "key", "value", "remedy"),
    [
        ({"serverTypes": ["cax11"]}, "sekha:serverTypes", "cax11", "is arm"),
        ({"serverTypes": ["cpx11"]}, "sekha:serverTypes", "cpx11", "MiB are needed"),
        ({"serverTypes": ["cx23"], "regions": ["ash"]}, "sekha:regions", "ash", "none sells cx23"),
        ({"conversations": 99_999, "messagesPerConversation": 1000}, "x messages", "99999000", "lower conversations"),
    ],
)
def test_what_no_machine_can_do_is_refused(changes: dict[str, object], key: str, value: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plan.plan(samples.settings(**changes), HETZNER)
    (problem,) = caught.value.problems
    assert key in problem.key
    assert problem.value == value
    assert remedy in problem.remedy


def test_port_22_is_open_to_administrators_only() -> None:
    closed = plan.plan(samples.settings(), HETZNER)
    assert {(rule.protocol, rule.port) for rule in closed.firewall} == {("tcp", "443"), ("tcp", "80"), ("icmp", None)}
    opened = plan.plan(samples.settings(adminCidrs=["203.0.113.7/32"]), HETZNER)
    (ssh,) = (rule for rule in opened.firewall if rule.port == "22")
    assert ssh.sources == ("203.0.113.7/32",)


@pytest.mark.parametrize("database", ["postgres", "sqlite"])
def test_role_variables_cover_what_the_roles_declare(database: str) -> None:
    from infra.roles import CLOUD_INIT, _load  # the roles' own reading of their meta.yaml

    made = samples.settings(domain="sekha.example.com", adminCidrs=["203.0.113.7/32"], database=database)
    planned = plan.plan(made, HETZNER)
    variables = plan.role_variables(planned, made, HETZNER, planned.choices[0])
    later = {"public_ipv4", "data_device", "api_key_hashes", "service_version", "release_dir"}
    assert database in planned.node.roles
    for role in planned.node.roles:
        meta = CLOUD_INIT / role / "meta.yaml"
        declared = set(_load(meta, {"stage", "packages", "units", "check", "variables"}).get("variables") or {})
        assert declared <= set(variables) | later
    assert variables["tls_mode"] == "acme"
    assert variables["ssh_open"] is True
