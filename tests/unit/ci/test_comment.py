"""Comments on previews recorded from the real engine (proof/preview.py), and on hostile and huge ones."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci import parse
from ci.__main__ import comment, main
from ci.assess import OVERRIDE, assess
from ci.redact import SECRET, SIGNATURE, redact, secrets_in
from ci.render import LIMIT
from infra import resource_prices
from proof.preview import EXPECTED

SAMPLES = Path(__file__).parent / "samples"
STACK = "urn:pulumi:prod::sekha::"


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.json").read_text()


@pytest.mark.parametrize("name", EXPECTED)
def test_recorded_previews(name: str) -> None:
    body, blocks = comment(sample(name), "local")
    expected, part = EXPECTED[name]
    assert blocks == expected
    assert part in body
    assert body.startswith("<!-- sekha-preview: local -->\n")
    assert len(body) < LIMIT


def test_the_label_lets_a_loss_of_data_pass_and_nothing_else() -> None:
    body, blocks = comment(sample("volume-removed"), "local", labels=(OVERRIDE,))
    assert blocks == []
    assert "data loss (approved by label)" in body
    assert comment(sample("volume-removed-protected"), "local", labels=(OVERRIDE,))[1] == ["protected"]
    assert comment(sample("budget"), "local", labels=(OVERRIDE,))[1] == ["budget"]


def test_costs_of_recorded_previews() -> None:
    made = assess(parse.parse(sample("resize")))
    assert (str(made.now.totals["EUR"]), str(made.after.totals["EUR"])) == ("5.06", "7.56")
    assert parse.parse(sample("budget")).cost_before == "5.06 EUR"
    assert "| | 5.06 EUR | unknown | unknown |" in comment(sample("budget"), "local")[0]


def test_a_replaced_machine_says_downtime_and_price() -> None:
    body, _ = comment(sample("user-data"), "local")
    assert "downtime: Server sekha-local-1 is replaced" in body
    assert "a lower one of its time is lost" in body
    assert "userData" in body
    assert "\\[secret\\]" not in body  # not even the mask: of userData only the name is shown


def step(op: str, kind: str, name: str, old: Any = None, new: Any = None, **more: Any) -> dict[str, Any]:
    urn = f"{STACK}{kind}::{name}"
    made: dict[str, Any] = {"op": op, "urn": urn}
    protect = more.pop("protect", (False, False))
    for key, inputs, kept in (("oldState", old, protect[0]), ("newState", new, protect[1])):
        if inputs is not None:
            made[key] = {"urn": urn, "type": kind, "inputs": inputs, "protect": kept}
    return made | more


def document(*steps: dict[str, Any], config: dict[str, str] | None = None, errors: tuple[str, ...] = ()) -> str:
    said = [{"severity": "error", "message": error} for error in errors]
    on_local = {"hcloud:endpoint": "http://127.0.0.1:8580/v1", **(config or {})}
    kept = step("same", "docker:index/volume:Volume", "kept", {}, {})
    return json.dumps({"config": on_local, "steps": [*steps, kept], "diagnostics": said})


VOLUME, SERVER, FIREWALL = (
    "hcloud:index/volume:Volume", "hcloud:index/server:Server", "hcloud:index/firewall:Firewall",
)  # fmt: skip
DROPLET, GROUP = "digitalocean:index/droplet:Droplet", "aws:ec2/securityGroup:SecurityGroup"


def rules(*sources: str, port: str = "22") -> dict[str, Any]:
    return {"rules": [{"direction": "in", "protocol": "tcp", "port": port, "sourceIps": list(sources)}]}


def aws(port: float, source: str) -> dict[str, Any]:
    return {"ingress": [{"protocol": "tcp", "fromPort": port, "toPort": port, "cidrBlocks": [source]}]}


@pytest.mark.parametrize(
    ("made", "blocks", "text"),
    [
        (step("replace", VOLUME, "data", {"size": 10}, {"size": 10}), ["data loss"], "replaced by an empty one"),
        (step("create-replacement", VOLUME, "d", {"size": 10}, {"size": 10}), ["data loss"], "replaced"),
        (step("update", VOLUME, "data", {"size": 20}, {"size": 10}), ["data loss"], "shrinks"),
        (step("update", VOLUME, "data", {"size": 10}, {"size": 20}), [], "**+0.57**"),
        (step("delete", "aws:s3/bucket:Bucket", "b", {}), ["data loss"], "bucket with the backups b is deleted"),
        (step("delete", "docker:index/volume:Volume", "d", {}), ["data loss"], "what it holds is lost"),
        (step("update", FIREWALL, "f", rules("10.0.0.0/8"), rules("0.0.0.0/0")), ["guard rail"], "narrow sources"),
        (step("create", FIREWALL, "f", None, rules("::/0")), ["guard rail"], "SSH must have narrow sources"),
        (step("update", FIREWALL, "f", rules(), rules("10.1.0.0/16", port="5432")), ["guard rail"], "only 22, 80"),
        (step("update", FIREWALL, "f", rules(), rules("0.0.0.0/0", port="443")), [], "to the whole world"),
        (step("update", GROUP, "g", aws(22.0, "10.0.0.0/16"), aws(22.0, "0.0.0.0/0")), ["guard rail"], "narrow"),
        (step("same", VOLUME, "data", {}, {}, protect=(True, False)), [], "protection removed: Volume data"),
        (step("delete", SERVER, "s", {"serverType": "cx23", "location": "fsn1"}), [], "**-3.99**"),
        (step("create", SERVER, "s", None, {"serverType": "cx99", "location": "fsn1"}), [], "Without a price"),
        (step("update", DROPLET, "d", {"size": "s-2vcpu-4gb"}, {"size": "s-4vcpu-8gb"}), [], "| USD | 24.00 | 48.00 |"),
        (step("delete", "hcloud:index/primaryIp:PrimaryIp", "a", {"type": "ipv4"}), [], "DNS records"),
    ],
)
def test_risks(made: dict[str, Any], blocks: list[str], text: str) -> None:
    body, found = comment(document(made), "prod")
    assert found == blocks
    assert text in body


def test_guard_rails_hold_for_all_resources_not_only_changed_ones() -> None:
    open_ = step("same", FIREWALL, "f", rules("0.0.0.0/0"), rules("0.0.0.0/0"))
    volume = step("same", VOLUME, "data", {"size": 10}, {"size": 10})
    real = {"hcloud:endpoint": "https://api.hetzner.cloud/v1"}
    assert comment(document(open_), "prod")[1] == ["guard rail"]
    assert comment(document(volume, config=real), "prod")[1] == ["guard rail"]  # holds data and is not protected
    assert comment(document(volume), "prod")[1] == []


def test_the_budget_counts_by_what_the_resources_cost() -> None:
    server = step("create", SERVER, "s", None, {"serverType": "ccx63", "location": "fsn1"})
    assert comment(document(server, config={"sekha:monthlyBudget": "40"}), "prod")[1] == ["budget"]
    assert comment(document(server, config={"sekha:monthlyBudget": "400"}), "prod")[1] == []


def test_a_bill_names_what_it_has_no_price_for() -> None:
    nowhere = (SERVER, {"serverType": "cx23", "location": "mars"})
    assert resource_prices.bill([nowhere]) == resource_prices.Bill({}, ("server cx23",))


def test_bills_of_other_clouds() -> None:
    root = {"volumeSize": 20}
    instance = {"instanceType": "t3a.medium", "availabilityZone": "eu-central-1b", "rootBlockDevice": root}
    made = resource_prices.bill(
        [
            ("aws:ec2/instance:Instance", instance),  # 0.0432 an hour, 730 hours; 0.0952 a GB
            ("aws:ebs/volume:Volume", {"size": 10.0, "availabilityZone": "eu-central-1b"}),
            ("aws:ec2/eip:Eip", {}),
            ("digitalocean:index/droplet:Droplet", {"size": "s-2vcpu-4gb", "region": "ams3"}),
            ("digitalocean:index/volume:Volume", {"size": 10, "region": "ams3"}),
            ("digitalocean:index/reservedIp:ReservedIp", {"region": "ams3"}),
        ]
    )
    assert made == resource_prices.Bill({"USD": Decimal("31.54") + Decimal("1.90") + Decimal("0.95") + Decimal("3.65")
                                         + Decimal(24) + Decimal(1)}, ())  # fmt: skip
    assert made.euros() == (made.totals["USD"] / Decimal("1.1637")).quantize(Decimal("0.01"))


@pytest.mark.parametrize("text", ["", "error: no stack named 'prod' found", "[1]", '{"a": 1}'])
def test_no_preview_is_a_blocked_comment(text: str) -> None:
    body, blocks = comment(text, "prod")
    assert blocks == ["preview failed"]
    assert body.startswith("<!-- sekha-preview: prod -->")


PASSWORD = "hunter2-hunter2-hunter2"


def test_secrets_are_never_shown_even_where_the_json_holds_them() -> None:
    marked = {SIGNATURE: SECRET, "plaintext": json.dumps(PASSWORD)}
    text = document(
        step("update", SERVER, PASSWORD, {"serverType": "cx23"}, {"serverType": marked}, diffReasons=["serverType"]),
        step("update", SERVER, "b", {"location": PASSWORD}, {"location": "x"}, diffReasons=["location", PASSWORD]),
        step("create", SERVER, "c", None, {"userData": marked}),
        config={
            "sekha:apiKey": "sk-sekha-" + "b" * 40, "sekha:stackKey": "stack-key-in-clear",
            "hcloud:token": "tok-1234567",
        },
        errors=(f"it failed: {PASSWORD} {'a1' * 32} stack-key-in-clear", "tok-1234567 https://u:pass@host/"),
    )  # fmt: skip
    body, _ = comment(text, "prod")
    for secret in (PASSWORD, "sk-sekha-b", "stack-key-in-clear", "tok-1234567", "a1a1a1", "u:pass"):
        assert secret not in body


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=6, max_size=40))
def test_any_marked_secret_is_found_wherever_it_is_repeated(secret: str) -> None:
    document_ = {"a": [{"b": {SIGNATURE: SECRET, "plaintext": json.dumps({"inner": secret})}}], "c": secret}
    found = secrets_in(document_)
    shown = redact(f"error with {secret} and {json.dumps(secret)}", found)
    assert secret not in shown or secret in "[secret]"


names = st.text(max_size=300)
kinds = st.sampled_from([VOLUME, SERVER, FIREWALL, DROPLET, "x:y:z", "a"])
ops = st.sampled_from(["create", "update", "replace", "delete", "same", "read", "delete-replaced", "strange"])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(ops, kinds, names, st.lists(names, max_size=30)), max_size=12),
    st.integers(1, 100),
    st.lists(names, max_size=60),
)
def test_a_comment_is_never_longer_than_github_takes(
    rows: list[tuple[str, str, str, list[str]]], times: int, errors: list[str]
) -> None:
    steps = [
        step(op, kind, f"{name}{number}", {"size": 10, name: 1}, {"size": 20}, diffReasons=reasons)
        for number in range(times)
        for op, kind, name, reasons in rows
    ]
    body, _ = comment(document(*steps, errors=tuple(errors)), "prod")
    assert len(body.encode()) <= LIMIT
    assert body.startswith("<!-- sekha-preview: prod -->\n## Preview")


def test_thousands_of_resources_are_counted_and_the_dangerous_come_first() -> None:
    steps = [
        step("create", SERVER, f"server-{n}", None, {"serverType": "cx23", "location": "fsn1"}) for n in range(5000)
    ]
    body, _ = comment(document(*steps, step("delete", VOLUME, "data", {"size": 10})), "prod")
    assert len(body.encode()) <= LIMIT
    assert "5000 created" in body
    assert body.index("| Volume | data |") < body.index("| Server | server-0 |")
    assert "more, for which a comment has no room" in body
    assert "| EUR | 0.57 | 19950.00 |" in body


def test_names_are_not_markup() -> None:
    body, _ = comment(document(step("create", "x:y:z", "a|b](http://evil) @everyone <img> `x`", None, {})), "prod")
    for bad in ("http://", "@everyone", "<img>", "a|b", "b](", " `x`"):
        assert bad not in body


def test_the_command_writes_the_comment_and_exits_by_the_verdict(tmp_path: Path) -> None:
    for name, code in (("resize", 0), ("volume-removed", 1)):
        out = tmp_path / f"{name}.md"
        assert main(["--file", str(SAMPLES / f"{name}.json"), "--out", str(out)], {}) == code
        assert out.read_text().startswith("<!-- sekha-preview: local -->")
    assert main(["--file", str(SAMPLES / "volume-removed.json"), "--out", str(out)], {"LABELS": OVERRIDE}) == 0
    assert main(["--file", str(tmp_path / "none")], {}) == 2
