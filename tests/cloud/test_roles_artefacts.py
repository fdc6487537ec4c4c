"""Every artefact of the roles before its own real tool, in the Debian 13 image of the local cloud."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from infra.roles import CLOUD_INIT, ORDER, SQLITE_ORDER, render, render_machine
from tests.unit.roles.user_data import render_user_data
from tests.unit.roles.variables import DOMAIN, SQLITE, VARIABLES

CACHE = Path(os.environ.get("SEKHA_CACHE", Path.home() / ".cache" / "sekha-deploy"))
PACKAGES = "caddy postgresql-17 pgbackrest unattended-upgrades"  # their own units and tools, next to what the image has
UNITS = (
    "sekha", "sekha-chroma", "caddy", "postgresql@17-main", "sekha-firewall", "sekha-agent", "sekha-lease",
    "sekha-backup@full", "sekha-first-backup", "sekha-files", "sekha-verify", "sekha-backup-check",
)  # fmt: skip
TIMERS = ("sekha-backup-full", "sekha-backup-diff", "sekha-files", "sekha-verify", "sekha-backup-check")


class Debian:
    """A Debian 13 with the roles' packages and files: an overlay over the image, in a mount namespace of its own."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.upper, self.root = folder / "upper", folder / "root"
        for path in (self.upper, self.root, folder / "work"):
            path.mkdir(parents=True, exist_ok=True)
        overlay = f"lowerdir={image},upperdir={self.upper},workdir={folder / 'work'}"
        self.mounts = (
            f"mount -t overlay overlay -o {overlay} {self.root}",
            f"mount -t proc proc {self.root}/proc",
            f"mount --bind /dev {self.root}/dev",
        )

    def run(self, command: str, network: bool = False) -> subprocess.CompletedProcess[str]:
        """A shell command in it, alone with its processes and, unless `network`, without the host's network."""
        clean = "env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive"
        script = " && ".join([*self.mounts, f"exec chroot {self.root} {clean} sh -c {shlex.quote(command)}"])
        unshare = ["unshare", "-mpf", *([] if network else ["-n"]), "sh", "-c", script]
        return subprocess.run(unshare, capture_output=True, text=True, timeout=300, check=False)

    def write(self, path: str, content: str, mode: str = "0644") -> None:
        target = self.upper / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        target.chmod(int(mode, 8))

    def install(self, packages: str) -> str:
        """Install packages from where the host gets its own; returns what went wrong, "" = nothing."""
        ask = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
        sites = set(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split())
        main = next((site for site in sites if site.rstrip("/").endswith("/debian")), None)
        if main is None:
            return f"no Debian mirror among the host's apt sources: {sites}"
        self.write("/root/sources.list", f"deb {main} trixie main\n")
        self.write("/etc/resolv.conf", Path("/etc/resolv.conf").read_text())
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", "0755")
        apt = "apt-get -qq -o Dir::Etc::sourcelist=/root/sources.list -o Dir::Etc::sourceparts=-"
        done = self.run(f"{apt} update && {apt} install -y --no-install-recommends {packages}", network=True)
        return done.stderr.strip()[-300:] if done.returncode else ""


@pytest.fixture(scope="module")
def debian() -> Debian:
    images = sorted((CACHE / "image").glob("*/rootfs/usr/bin/cloud-init"))
    if os.geteuid() != 0 or not images:
        pytest.skip("needs root and the local cloud's image: bin/localcloud up")
    image = images[-1].parents[2]
    folder = CACHE / "role-tools" / image.parent.name
    machine = Debian(image, folder)
    installed = folder / "installed"
    if not installed.exists() or installed.read_text() != PACKAGES:
        if trouble := machine.install(PACKAGES):
            shutil.rmtree(folder)
            pytest.skip(f"can't install {PACKAGES}: {trouble}")
        installed.write_text(PACKAGES)
    documents = [render_user_data(), *(step.config for step in render_machine(VARIABLES))]
    for entry in [entry for document in documents for entry in yaml.safe_load(document).get("write_files", [])]:
        machine.write(entry["path"], entry["content"], entry.get("permissions", "0644"))
    for path in ("/opt/sekha/current/venv/bin/sekha-controller", "/opt/sekha-chroma/current/venv/bin/python"):
        machine.write(path, "#!/bin/sh\n", "0755")  # in place of what the release installs
    return machine


@pytest.mark.parametrize("name", ["user-data", *ORDER])
def test_cloud_init_schema(debian: Debian, name: str) -> None:
    configs = {step.role: step.config for step in render_machine(VARIABLES)}
    debian.write("/root/config.yaml", configs.get(name) or render_user_data())
    done = debian.run("cloud-init schema --config-file /root/config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Valid schema" in done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_units(debian: Debian, unit: str) -> None:
    accounts = "; ".join(
        f"id {name} >/dev/null 2>&1 || useradd -r {name}" for name in ("sekha", "sekha-chroma", "caddy", "postgres")
    )
    done = debian.run(f"{accounts}; systemd-analyze verify --man=no --recursive-errors=one {unit}.service")
    assert (done.returncode, done.stderr) == (0, "")


SQLITE_UNITS = (
    "sekha.service", "sekha-litestream.service", "sekha-backup@copy.service", "sekha-first-backup.service",
    "sekha-verify.service", "sekha-backup-check.service", "sekha-backup-copy.timer",
)  # fmt: skip


def test_units_of_a_sqlite_machine(debian: Debian) -> None:
    """In a folder that precedes the one of the other kind's units."""
    folder = "/root/sqlite"
    for step in render_machine(SQLITE, SQLITE_ORDER):
        for entry in yaml.safe_load(step.config)["write_files"]:
            where = folder if entry["path"].startswith("/etc/systemd/system/") else ""
            if where or step.role == "sqlite":
                debian.write(where + entry["path"], entry["content"], entry.get("permissions", "0644"))
    debian.write("/usr/local/lib/sekha-deploy/litestream", "#!/bin/sh\n", "0755")  # in place of the release's
    verify = f"SYSTEMD_UNIT_PATH={folder}/etc/systemd/system: systemd-analyze verify --man=no --recursive-errors=one"
    done = debian.run(f"id sekha >/dev/null 2>&1 || useradd -r sekha; {verify} {' '.join(SQLITE_UNITS)}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("timer", TIMERS)
def test_timers(debian: Debian, timer: str) -> None:
    done = debian.run(f"systemd-analyze verify --man=no --recursive-errors=one {timer}.timer")
    assert (done.returncode, done.stderr) == (0, "")


def test_pgbackrest_takes_its_configuration(debian: Debian) -> None:
    repository = "[global]\nrepo1-type=posix\nrepo1-path=/root/repo\n"
    debian.write("/etc/pgbackrest/conf.d/repository.conf", repository)
    done = debian.run("pgbackrest --stanza=sekha --lock-path=/tmp/lock info")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout
    assert "missing stanza path" in done.stdout


def test_mount_unit(debian: Debian) -> None:
    done = debian.run("systemd-analyze verify --man=no --recursive-errors=no srv-sekha.mount")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("variables", [{}, {"metrics_cidrs": []}, DOMAIN], ids=["address", "no metrics", "domain"])
def test_caddyfile(debian: Debian, variables: dict[str, object]) -> None:
    config = yaml.safe_load(render(CLOUD_INIT / "caddy", {**VARIABLES, **variables}).config)
    text = next(entry["content"] for entry in config["write_files"] if entry["path"] == "/etc/caddy/Caddyfile")
    debian.write("/root/Caddyfile", text)
    done = debian.run("caddy validate --adapter caddyfile --config /root/Caddyfile && caddy fmt --diff /root/Caddyfile")
    assert done.returncode == 0, done.stderr[-1000:]


@pytest.mark.parametrize(
    ("cidrs", "answer"), [("127.0.0.0/8", "200 text/plain; version=0.0.4"), ("10.0.0.0/16", "403")]
)
def test_metrics_of_the_backups_are_served_to_those_who_may_read_them(debian: Debian, cidrs: str, answer: str) -> None:
    config = yaml.safe_load(render(CLOUD_INIT / "caddy", {**VARIABLES, "metrics_cidrs": [cidrs]}).config)
    text = next(entry["content"] for entry in config["write_files"] if entry["path"] == "/etc/caddy/Caddyfile")
    debian.write("/root/Caddyfile", text)
    debian.write("/run/sekha-metrics/backup.prom", "sekha_backup_problems 0\n")
    ask = f"curl -sk --connect-to {VARIABLES['public_ipv4']}:443:127.0.0.1:443 --retry 20 --retry-delay 1"
    ask += f" --retry-all-errors -w '\\n%{{http_code}} %{{content_type}}' https://{VARIABLES['public_ipv4']}/metrics/backup"
    folders = "mkdir -p /run/caddy /srv/sekha/caddy /var/log/caddy"
    serve = "caddy run --adapter caddyfile --config /root/Caddyfile >/root/caddy.log 2>&1 &"
    done = debian.run(f"ip link set lo up; {folders}; {serve} {ask}; kill $!")
    assert answer in done.stdout, done.stdout + done.stderr
    assert ("sekha_backup_problems 0" in done.stdout) == answer.startswith("200")


@pytest.mark.parametrize("cidrs", [[], ["198.51.100.7/32", "2001:db8::/32"]])
def test_firewall(debian: Debian, cidrs: list[str]) -> None:
    config = yaml.safe_load(render(CLOUD_INIT / "base", {**VARIABLES, "admin_cidrs": cidrs}).config)
    rules = next(entry["content"] for entry in config["write_files"] if entry["path"].endswith("admin.nft"))
    debian.write("/etc/sekha-deploy/firewall.d/admin.nft", rules)
    done = debian.run(
        "cd /etc/sekha-deploy && nft -c -f firewall.nft && nft -f firewall.nft && nft list chain inet sekha_host admin"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accept") == len(cidrs)


def test_sshd(debian: Debian) -> None:
    done = debian.run("mkdir -p /run/sshd; ssh-keygen -A >/dev/null; sshd -t && sshd -T")
    assert done.returncode == 0, done.stderr
    assert {"passwordauthentication no", "permitrootlogin without-password", "allowusers root"} <= set(
        done.stdout.splitlines()
    )


def test_postgresql_takes_its_configuration(debian: Debian) -> None:
    ask = "setpriv --reuid=postgres --regid=postgres --clear-groups /usr/lib/postgresql/17/bin/postgres -C"
    arguments = "-c config_file=/etc/postgresql/17/main/postgresql.conf -D /srv/sekha/postgresql/17/main"
    data = "/srv/sekha/postgresql/17/main"
    folder = f"install -d -m 755 /srv/sekha; install -d -o postgres -m 700 {data}; echo 17 >{data}/PG_VERSION"
    done = debian.run(f"{folder}; {ask} shared_buffers {arguments} && {ask} listen_addresses {arguments}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [str(1024 * 128), ""]


def test_apt_and_upgrades(debian: Debian) -> None:
    done = debian.run("apt-config dump")
    assert done.returncode == 0, done.stderr
    origins = [line for line in done.stdout.splitlines() if line.startswith("Unattended-Upgrade::Origins-Pattern::")]
    assert [line.count("-security") for line in origins] == [1]
    assert 'APT::Install-Recommends "false"' in done.stdout
