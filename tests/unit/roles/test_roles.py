"""The renderer, and what must be true of every rendered role."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import roles
from infra.roles import CLOUD_INIT, ORDER, SQLITE_ORDER, RoleError, render, render_machine
from tests.unit.roles.user_data import render_user_data
from tests.unit.roles.variables import DOMAIN, SQLITE, VARIABLES

GOLDEN = Path(__file__).parent / "golden"


def role(folder: Path, **files: str) -> Path:
    """A small role; names of `files`: meta, role, or a path under files/ with __ for /."""
    contents = {
        "meta": "stage: service\nvariables: {size: how big}\n",
        "role": "#cloud-config\nruncmd: [[echo, '{{ size }}']]\n",
    }
    for name, text in {**contents, **files}.items():
        path = folder / (f"{name}.yaml" if name in ("meta", "role", "files") else "files/" + name.replace("__", "/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def files_of(config: str) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in yaml.safe_load(config)["write_files"]}


def test_render(tmp_path: Path) -> None:
    folder = role(
        tmp_path / "r",
        meta="stage: service\npackages: [p]\nunits: [u.service]\ncheck: /bin/true\nvariables: {size: how big}\n",
        etc__plain="{{ not rendered }}\n",
        files="/etc/sized: {owner: 'root:adm', permissions: '0640'}\n",
    )
    (folder / "files/etc/sized.j2").write_text("size={{ size }}\n")
    (folder / "files/etc/script").write_text("#!/bin/sh\n")
    (folder / "files/etc/script").chmod(0o755)
    rendered = render(folder, {"size": 3, "other": 1})
    assert (rendered.role, rendered.stage, rendered.packages) == ("r", "service", ("p",))
    assert (rendered.units, rendered.check) == (("u.service",), "/bin/true")
    assert rendered.config.startswith("#cloud-config\n")
    assert yaml.safe_load(rendered.config)["runcmd"] == [["echo", "3"]]
    assert files_of(rendered.config) == {
        "/etc/plain": {"path": "/etc/plain", "content": "{{ not rendered }}\n", "permissions": "0644"},
        "/etc/script": {"path": "/etc/script", "content": "#!/bin/sh\n", "permissions": "0755"},
        "/etc/sized": {"path": "/etc/sized", "content": "size=3\n", "permissions": "0640", "owner": "root:adm"},
    }


@pytest.mark.parametrize(
    ("files", "variables", "message"),
    [
        ({}, {}, "variables missing: size"),
        ({"role": "#cloud-config\nruncmd: [['{{ other }}']]\n"}, {"size": 1, "other": 2}, "'other' is undefined"),
        ({"meta": "stage: service\nvariables: {size: x}\nunit: []\n"}, {"size": 1}, "unknown keys unit"),
        ({"meta": "stage: dance\nvariables: {}\n"}, {}, "stage 'dance' is not one of packages, restore"),
        ({"role": "#cloud-config\npackages: [p]\n"}, {"size": 1}, "packages belong into meta.yaml"),
        ({"files": "/etc/none: {}\n", "etc__a": ""}, {"size": 1}, "no such file under files/: /etc/none"),
        ({"files": "/etc/a: {mode: '1'}\n", "etc__a": ""}, {"size": 1}, "/etc/a: unknown keys mode"),
        ({"files": "/etc/a: {when: other}\n", "etc__a": ""}, {"size": 1}, "'other' is undefined"),
        ({"role": "{% if %}"}, {"size": 1}, "role.yaml: "),
    ],
)
def test_refused(tmp_path: Path, files: dict[str, str], variables: dict[str, object], message: str) -> None:
    with pytest.raises(RoleError, match=re.escape(message)):
        render(role(tmp_path / "r", **files), variables)


def test_first_step_gets_packages_accounts_and_early_files() -> None:
    steps = render_machine(VARIABLES)
    assert [step.role for step in steps] == list(ORDER)
    assert [step.stage for step in steps] == ["packages", "restore", "database", "vectors", "service", "tls"]
    first = yaml.safe_load(steps[0].config)
    assert {"postgresql-17", "caddy", "unattended-upgrades"} <= set(first["packages"])
    assert first["package_update"] is True
    assert "/etc/postgresql-common/createcluster.conf" in files_of(steps[0].config)
    assert len({user["uid"] for user in first["users"]}) == len(first["users"]) == 4
    for step in steps[1:]:
        assert not {"packages", "users", "package_update"} & set(yaml.safe_load(step.config))


def test_a_file_with_a_condition_is_there_only_when_it_holds(tmp_path: Path) -> None:
    folder = role(tmp_path / "r", files="/etc/a: {when: size > 2}\n", etc__a="", etc__b="")
    assert set(files_of(render(folder, {"size": 3}).config)) == {"/etc/a", "/etc/b"}
    assert set(files_of(render(folder, {"size": 2}).config)) == {"/etc/b"}


def test_order_without_packages_first_is_refused() -> None:
    with pytest.raises(RoleError, match="the first role, and only that"):
        render_machine(VARIABLES, ("postgres", "base"))


@pytest.mark.parametrize("name", [*ORDER, "sqlite"])
def test_golden(name: str, pytestconfig: pytest.Config) -> None:
    """What a machine gets, reviewed as a whole. After a wanted change: python -m tests.unit.roles.golden"""
    variables, order = (VARIABLES, ORDER) if name in ORDER else (SQLITE, SQLITE_ORDER)
    step = next(step for step in render_machine(variables, order) if step.role == name)
    assert step.config == (GOLDEN / f"{name}.yaml").read_text()


def test_every_role_declares_what_it_uses_and_uses_what_it_declares() -> None:
    for name in {*ORDER, *SQLITE_ORDER}:
        folder = CLOUD_INIT / name
        declared = set(yaml.safe_load((folder / "meta.yaml").read_text()).get("variables") or {})
        templates = [folder / "role.yaml", *folder.rglob("*.j2")]
        unused = {v for v in declared if not any(re.search(rf"\b{v}\b.*[%}}]}}", t.read_text()) for t in templates)}
        assert not unused, f"{name} declares {unused} and does not use them"
        assert declared <= set(VARIABLES)


def test_a_sqlite_machine_has_nothing_of_postgresql() -> None:
    steps = render_machine(SQLITE, SQLITE_ORDER)
    first = yaml.safe_load(steps[0].config)
    assert [user["name"] for user in first["users"]] == ["sekha", "sekha-chroma", "caddy"]
    assert not [name for name in first["packages"] if "postgres" in name or "pgbackrest" in name]
    there = [path for step in steps for path in files_of(step.config)]
    assert len(set(there)) == len(there)  # what both kinds have under one name comes once
    assert not [path for path in there if "postgresql" in path or "pgbackrest" in path]
    service = files_of(next(step.config for step in steps if step.role == "sekha"))
    assert 'url = "sqlite:///srv/sekha/sqlite/sekha.db"' in service["/etc/sekha/config.toml"]["content"]
    assert "postgresql" not in service["/etc/systemd/system/sekha.service"]["content"]


@pytest.mark.parametrize(("variables", "order"), [(VARIABLES, ORDER), (SQLITE, SQLITE_ORDER)])
def test_scripts_and_checks_exist_on_the_machine(variables: dict[str, object], order: tuple[str, ...]) -> None:
    steps = render_machine(variables, order)
    there = {path: entry for step in steps for path, entry in files_of(step.config).items()}
    used = {line[0] for step in steps for line in yaml.safe_load(step.config)["runcmd"]} | {
        step.check for step in steps if step.check
    }
    for path in used:
        assert there[path]["permissions"] == "0755"


def test_metrics_closed_without_cidrs_and_acme_with_a_domain() -> None:
    caddy = {
        name: files_of(render(CLOUD_INIT / "caddy", {**VARIABLES, **more}).config)
        for name, more in {"ip": {}, "domain": DOMAIN}.items()
    }
    ip, domain = (caddy[name]["/etc/caddy/Caddyfile"]["content"] for name in ("ip", "domain"))
    assert "not remote_ip 10.0.0.0/16" in ip
    assert "https://198.51.100.10 {" in ip
    assert "issuer acme" not in ip
    assert "remote_ip" not in domain
    assert "https://sekha.example.com {" in domain
    assert domain.index("issuer acme") < domain.index("issuer internal")


def test_without_a_volume_there_is_no_mount() -> None:
    base = render(CLOUD_INIT / "base", {**VARIABLES, "data_device": ""})
    assert "/etc/systemd/system/srv-sekha.mount" not in files_of(base.config)
    assert yaml.safe_load(base.config)["runcmd"] == [["/usr/local/lib/sekha-deploy/apply-base", "", "1024"]]


def test_user_data_fits_every_cloud_and_holds_stage_0_as_it_is() -> None:
    text = render_user_data()
    assert len(text.encode()) < 31_000  # Hetzner takes 32,768
    assert len(gzip.compress(text.encode())) < 16_384  # AWS takes this, compressed or not
    document = yaml.safe_load(text)
    files = {entry["path"]: entry for entry in document["write_files"]}
    folder = "/usr/local/lib/sekha-deploy/stage0/"
    placed = {path.removeprefix(folder): entry["content"] for path, entry in files.items() if path.startswith(folder)}
    stage0 = CLOUD_INIT / "stage0"
    assert placed.pop("__main__.py") == "from sekha_stage0.launcher import main\nmain()\n"
    assert placed == {str(path.relative_to(stage0)): path.read_text() for path in stage0.glob("*/*.py")}
    secret = [
        path for path, entry in files.items() if "NODESECRETKEY" in entry["content"] or "ab" * 32 in entry["content"]
    ]
    assert secret == ["/etc/sekha-deploy/agent.json"]
    assert files[secret[0]]["permissions"] == "0600"


def test_roles_module_lists_stages_in_the_order_of_the_roles() -> None:
    assert [yaml.safe_load((CLOUD_INIT / name / "meta.yaml").read_text())["stage"] for name in ORDER] == list(
        roles.STAGES
    )
