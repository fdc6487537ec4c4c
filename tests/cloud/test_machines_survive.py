"""What outlives what: machines the daemon, data a `down`, and nothing of ours on the host after it."""

from __future__ import annotations

import os
import signal

import pytest
from hcloud import Client
from hcloud.server_types import ServerType

from localcloud.machines import cleanup, process
from tests.cloud.conftest import LocalCloud, id_of
from tests.cloud.test_machines import connects, ip_of
from tests.support import wait_for

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(300)]


def test_machines_outlive_a_killed_daemon(local_cloud: LocalCloud, project: Client) -> None:
    server = local_cloud.boot(project, "survivor")
    boot = local_cloud.inside(id_of(server), "stat -c %Y /proc/1")
    daemon = process.load(local_cloud.paths.run / "daemon.pid")
    assert daemon is not None
    os.kill(daemon.pid, signal.SIGKILL)
    assert daemon.wait_gone(5)
    assert connects(ip_of(server), 22)
    local_cloud.up()
    assert project.servers.get_by_id(id_of(server)).status == "running"
    assert local_cloud.inside(id_of(server), "stat -c %Y /proc/1") == boot, "taken over, not started again"


def test_a_daemon_of_other_code_is_replaced_under_running_machines(local_cloud: LocalCloud, project: Client) -> None:
    server = local_cloud.boot(project, "upgraded")
    boot = local_cloud.inside(id_of(server), "stat -c %Y /proc/1")
    before = process.load(local_cloud.paths.run / "daemon.pid")
    assert "already up" in local_cloud.cli("up").stderr
    (local_cloud.paths.run / "code").write_text("of an older release")
    local_cloud.up()
    after = process.load(local_cloud.paths.run / "daemon.pid")
    assert before is not None
    assert after is not None
    assert before.pid != after.pid
    assert local_cloud.inside(id_of(server), "stat -c %Y /proc/1") == boot


def test_down_leaves_nothing_and_up_starts_the_servers_again(local_cloud: LocalCloud, project: Client) -> None:
    server = local_cloud.boot(project, "again")
    off = local_cloud.boot(project, "stays-off")
    off.power_off().wait_until_finished(60)
    local_cloud.inside(id_of(server), "echo kept > /root/kept; sync")
    local_cloud.cli("down")
    assert cleanup.leftovers(local_cloud.paths) == []
    assert local_cloud.cli("status", check=False).returncode == 3
    local_cloud.up()
    wait_for(lambda: connects(ip_of(server), 22), 60, "the server is back")
    assert local_cloud.ssh(ip_of(server), "cat /root/kept") == "kept\n"
    assert project.servers.get_by_id(id_of(server)).status == "running"
    assert project.servers.get_by_id(id_of(off)).status == "off"


def test_a_disk_grows_though_another_machine_booted_while_it_was_in_use(
    local_cloud: LocalCloud, project: Client
) -> None:
    """systemd-nspawn keeps a copy of all mounts there are when it starts: the disk stayed in use in it."""
    server = local_cloud.boot(project, "grows", wait=False)
    local_cloud.boot(project, "neighbour", wait=False)
    local_cloud.inside(id_of(server), "echo kept > /root/kept; sync")
    server.power_off().wait_until_finished(60)
    server.change_type(ServerType(name="cx33"), upgrade_disk=True).wait_until_finished(120)
    size, _, kept = local_cloud.inside(id_of(server), "df --output=size -BG / | tail -1; cat /root/kept").partition(
        "\n"
    )
    assert (75 < int(size.strip().rstrip("G")) <= 80, kept) == (True, "kept\n")


def test_a_second_local_cloud_is_refused_by_name(local_cloud: LocalCloud, project: Client) -> None:
    second = LocalCloud(local_cloud.paths.__class__(local_cloud.paths.cache, local_cloud.paths.cache / "cloud-second"), local_cloud.key)  # fmt: skip # noqa: E501
    done = second.cli("up", check=False)
    assert done.returncode == 1
    assert f"another local cloud runs on this machine, there is room for one: its state is in {local_cloud.paths.cloud}" in done.stderr  # fmt: skip # noqa: E501
    assert not second.paths.cloud.exists()


def test_object_store_over_tls(local_cloud: LocalCloud, project: Client) -> None:
    import boto3
    from botocore.exceptions import ClientError

    env = local_cloud.env

    def s3(access: str, secret: str):  # type: ignore[no-untyped-def]
        return boto3.client(
            "s3", endpoint_url=env["S3_ENDPOINT"], region_name=env["S3_REGION"], aws_access_key_id=env[access],
            aws_secret_access_key=env[secret], verify=env["S3_CA_FILE"],
        )  # fmt: skip

    operator, node = s3("S3_ACCESS_KEY", "S3_SECRET_KEY"), s3("S3_NODE_ACCESS_KEY", "S3_NODE_SECRET_KEY")
    operator.create_bucket(Bucket="proof")
    operator.put_bucket_versioning(Bucket="proof", VersioningConfiguration={"Status": "Enabled"})
    operator.put_object(Bucket="proof", Key="a", Body=b"1")
    operator.put_object(Bucket="proof", Key="a", Body=b"2")
    assert len(operator.list_object_versions(Bucket="proof")["Versions"]) == 2
    with pytest.raises(ClientError, match="AccessDenied"):
        node.get_object(Bucket="proof", Key="a")
    local_cloud.cli("fault", "add", "object_store_unavailable", "--count", "50")
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        operator.list_buckets()
    local_cloud.cli("fault", "clear")
    assert operator.list_buckets()["Buckets"]
    server = local_cloud.boot(project, "s3-client")
    code = local_cloud.inside(id_of(server), f"curl -s -o /dev/null -w '%{{http_code}}' {env['S3_ENDPOINT']}/proof/a")
    assert code == "403", "the machine trusts the store's certificate"
