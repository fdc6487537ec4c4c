"""Debian's `hcloud` through the life of every resource it knows: its command lines, and how each must end.

A line that ends in ` ! WORD` must be refused with that word in what hcloud prints; ` ~ WORD` must print it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from proof.hetzner_clients.world import KEY, World
from tools.toolchain_build import cache_folder

PACKAGE = "hcloud-cli"
LINES = {
    "catalogue": """
        location list ~ fsn1
        location describe hel1 ~ Helsinki
        datacenter describe fsn1-dc14 ~ fsn1
        server-type describe cx23 ~ CX23
        load-balancer-type list ~ lb31
        image list --type system ~ debian-13
        iso list ~ debian-13
        server describe none ! not found
    """,
    "ssh keys": """
        ssh-key create --name k --public-key-from-file {folder}/key.pub --label a=b
        ssh-key create --name k2 --public-key-from-file {folder}/key.pub ! uniqueness_error
        ssh-key add-label k c=d
        ssh-key list --selector c=d ~ k
        ssh-key remove-label k c
        ssh-key update k --name n
        ssh-key describe n ~ Fingerprint
        ssh-key delete n
        ssh-key describe n ! not found
    """,
    "placement groups": """
        placement-group create --name g --type spread
        placement-group add-label g a=b
        placement-group create --name g --type spread ! uniqueness_error
        placement-group update g --name h
        placement-group list ~ h
        placement-group describe h ~ spread
        placement-group delete h
    """,
    "networks": """
        network create --name n --ip-range 10.0.0.0/16
        network create --name m --ip-range 8.8.8.0/24 ! invalid_input
        network add-subnet n --type cloud --network-zone eu-central --ip-range 10.0.1.0/24
        network add-route n --destination 10.100.0.0/16 --gateway 10.0.1.5
        network describe n ~ 10.100.0.0/16
        network remove-route n --destination 10.100.0.0/16 --gateway 10.0.1.5
        network change-ip-range n --ip-range 10.0.0.0/15
        network remove-subnet n --ip-range 10.0.1.0/24
        network enable-protection n delete
        network delete n ! protected
        network disable-protection n delete
        network add-label n a=b
        network update n --name o
        network list --selector a=b ~ o
        network delete o
    """,
    "firewalls": """
        firewall create --name f
        firewall add-rule f --direction in --protocol tcp --port 22 --source-ips 0.0.0.0/0 --description shell
        firewall add-rule f --direction in --protocol tcp --port 99999 --source-ips 0.0.0.0/0 ! invalid_input
        server create --name s --type cx23 --image debian-13 --location fsn1
        firewall apply-to-resource f --type server --server s
        firewall delete f ! resource_in_use
        firewall replace-rules f --rules-file {folder}/rules.json
        firewall describe f ~ 443
        firewall remove-from-resource f --type server --server s
        firewall add-label f a=b
        firewall update f --name g
        firewall delete g
        server delete s
    """,
    "servers": """
        network create --name n --ip-range 10.0.0.0/16
        network add-subnet n --type cloud --network-zone eu-central --ip-range 10.0.1.0/24
        ssh-key create --name k --public-key-from-file {folder}/key.pub
        placement-group create --name g --type spread
        server create --name s --type cx23 --image debian-13 --location fsn1 --ssh-key k --network n --label a=b ~ IPv4
        server create --name s --type cx23 --image debian-13 ! uniqueness_error
        server create --name t --type cpx11 --image debian-13 --location fsn1 ! resource_unavailable
        server list --selector a=b ~ running
        server describe s ~ 10.0.1.
        server ip s ~ 198.51.100.
        server change-type s cx33 ! server_not_stopped
        server shutdown s
        server poweron s
        server poweroff s
        server change-type s cx33
        server reboot s
        server reset s
        server reset-password s ~ assword
        server enable-rescue s --type linux64
        server disable-rescue s
        server attach-iso s debian-13.0.0-amd64-netinst.iso
        server detach-iso s
        server enable-backup s
        server disable-backup s
        server change-alias-ips s --network n --alias-ips 10.0.1.20
        server detach-from-network s --network n
        server attach-to-network s --network n --ip 10.0.1.30
        server set-rdns s --hostname a.example.com
        server request-console s ~ wss://
        server metrics s --type cpu
        server enable-protection s delete rebuild
        server delete s ! protected
        server rebuild s --image debian-12 ! protected
        server disable-protection s delete rebuild
        server rebuild s --image debian-12
        server poweroff s
        server add-to-placement-group s --placement-group g
        server remove-from-placement-group s
        server add-label s c=d
        server remove-label s c
        server update s --name t
        server describe t ~ debian-12
        server delete t
    """,
    "images": """
        server create --name s --type cx23 --image debian-13 --location fsn1
        server create-image s --type snapshot --description one --label a=b
        image list --type snapshot --selector a=b -o noheader -o columns=description ~ one
        image update {image} --description two
        image enable-protection {image} delete
        image delete {image} ! protected
        image disable-protection {image} delete
        image add-label {image} c=d
        image describe {image} ~ two
        server create --name copy --type cx23 --image {image} --location fsn1
        image delete {image}
        server delete copy
        server delete s
    """,
    "volumes": """
        server create --name s --type cx23 --image debian-13 --location fsn1
        volume create --name v --size 10 --location fsn1
        volume create --name v --size 10 --location fsn1 ! uniqueness_error
        volume attach v --server s
        volume attach v --server s ! volume_already_attached
        volume delete v ! service_error
        volume resize v --size 20
        volume resize v --size 10 ! invalid_input
        volume describe v ~ 20 GB
        volume detach v
        volume enable-protection v delete
        volume delete v ! protected
        volume disable-protection v delete
        volume add-label v a=b
        volume update v --name w
        volume create --name x --size 10 --server s --automount --format ext4
        volume list ~ x
        volume delete w
        volume detach x
        server delete s
        volume delete x
    """,
    "primary IPs": """
        primary-ip create --name four --type ipv4 --datacenter fsn1-dc14
        primary-ip create --name six --type ipv6 --datacenter fsn1-dc14
        primary-ip create --name four --type ipv4 --datacenter fsn1-dc14 ! uniqueness_error
        server create --name s --type cx23 --image debian-13 --location fsn1 --primary-ipv4 four
        primary-ip delete four ! must_be_unassigned
        primary-ip unassign four ! server_not_stopped
        server poweroff s
        primary-ip unassign four
        primary-ip assign four --server s
        primary-ip set-rdns four --ip {address} --hostname a.example.com
        primary-ip enable-protection four
        primary-ip describe four ~ a.example.com
        primary-ip update four --name new
        server delete s
        primary-ip delete new ! protected
        primary-ip disable-protection new
        primary-ip delete new
        primary-ip delete six
    """,
    "floating IPs": """
        server create --name s --type cx23 --image debian-13 --location fsn1
        floating-ip create --type ipv4 --home-location fsn1 --name f --description way
        floating-ip create --type ipv4 --home-location fsn1 --name f ! uniqueness_error
        floating-ip assign f s
        floating-ip delete f ! must_be_unassigned
        floating-ip set-rdns f --hostname f.example.com
        floating-ip describe f ~ f.example.com
        floating-ip unassign f
        floating-ip enable-protection f delete
        floating-ip delete f ! protected
        floating-ip disable-protection f delete
        floating-ip add-label f a=b
        floating-ip update f --name g
        floating-ip delete g
        server delete s
    """,
    "certificates": """
        certificate create --name c --type uploaded --cert-file {folder}/chain.pem --key-file {folder}/chain.key
        certificate create --name c --cert-file {folder}/chain.pem --key-file {folder}/chain.key ! uniqueness_error
        certificate create --name d --cert-file {folder}/key.pub --key-file {folder}/chain.key ! invalid_input
        certificate create --name m --type managed --domain www.example.com
        certificate describe m ~ completed
        certificate add-label c a=b
        certificate update c --name e
        certificate list ~ e
        certificate delete e
        certificate delete m
    """,
    "load balancers": """
        network create --name n --ip-range 10.0.0.0/16
        network add-subnet n --type cloud --network-zone eu-central --ip-range 10.0.1.0/24
        server create --name s --type cx23 --image debian-13 --location fsn1 --network n --label app=x
        load-balancer create --name lb --type lb11 --location fsn1
        load-balancer create --name lb --type lb11 --location fsn1 ! uniqueness_error
        load-balancer add-service lb --protocol http
        load-balancer add-service lb --protocol http ! source_port_already_used
        load-balancer update-service lb --listen-port 80 --health-check-interval 5s --health-check-http-path /up
        load-balancer describe lb ~ /up
        load-balancer add-target lb --server s
        load-balancer add-target lb --server s ! target_already_defined
        load-balancer remove-target lb --server s
        load-balancer add-target lb --server s --use-private-ip ! load_balancer_not_attached_to_network
        load-balancer attach-to-network lb --network n
        load-balancer add-target lb --server s --use-private-ip
        load-balancer disable-public-interface lb
        load-balancer enable-public-interface lb
        load-balancer add-target lb --label-selector app=x
        load-balancer add-target lb --ip 203.0.113.7
        load-balancer remove-target lb --ip 203.0.113.7
        load-balancer change-algorithm lb --algorithm-type least_connections
        load-balancer change-type lb lb21
        load-balancer metrics lb --type open_connections
        load-balancer set-rdns lb --hostname lb.example.com
        load-balancer enable-protection lb delete
        load-balancer delete lb ! protected
        load-balancer disable-protection lb delete
        load-balancer delete-service lb --listen-port 80
        load-balancer detach-from-network lb --network n
        load-balancer add-label lb a=b
        load-balancer update lb --name lc
        load-balancer delete lc
        server delete s
        network delete n
    """,
}
RULES = '[{"direction": "in", "protocol": "tcp", "port": "443", "source_ips": ["0.0.0.0/0", "::/0"]}]'


def program() -> str:
    """The hcloud on PATH, else Debian's package, unpacked into the cache folder and not installed."""
    if found := shutil.which("hcloud"):
        return found
    folder = cache_folder() / PACKAGE
    if not (folder / "usr/bin/hcloud").exists():
        with tempfile.TemporaryDirectory() as name:
            download = ["apt-get", "download", "-q", PACKAGE]
            if subprocess.run(download, cwd=name, check=False, capture_output=True).returncode:  # no lists yet
                subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True)
                subprocess.run(download, cwd=name, check=True, capture_output=True)
            (package,) = Path(name).glob("*.deb")
            subprocess.run(["dpkg", "-x", package, folder], check=True)
    return str(folder / "usr/bin/hcloud")


def _filled(line: str, w: World) -> str:
    """The line with what it asks for: the walk's folder, the id of the snapshot, the address called four."""
    line = line.replace("{folder}", str(w.folder))
    if w.real:
        line = line.replace("debian-12", "debian-13")
    for word, path, kind, key in (
        ("{image}", "/images?type=snapshot", "images", "id"),
        ("{address}", "/primary_ips?name=four", "primary_ips", "ip"),
    ):
        if word in line:
            line = line.replace(word, str(w.api.ask("GET", path)[kind][0][key]))
    return line


def walk(hcloud: str, kind: str, w: World) -> None:
    """Run the command lines of a kind in a fresh project. Raises AssertionError at the first that ends otherwise."""
    chain, key = w.certificate("c.example.com")
    for name, text in {"key.pub": KEY, "rules.json": RULES, "chain.pem": chain, "chain.key": key}.items():
        (w.folder / name).write_text(text)
    env = {**os.environ, "HCLOUD_ENDPOINT": w.api.endpoint, "HCLOUD_TOKEN": w.api.token, "HOME": str(w.folder)}
    for line in filter(None, map(str.strip, LINES[kind].splitlines())):
        command, refused, code = _filled(line, w).partition(" ! ")
        command, _, printed = command.partition(" ~ ")
        run = subprocess.run(
            [hcloud, "--poll-interval", "20ms", *command.split()], env=env, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        said = run.stdout + run.stderr
        w.checks += 1
        if (run.returncode != 0) != bool(refused) or code not in said or printed not in said:
            raise AssertionError(f"hcloud {command}: expected {code or printed or 'success'}, got: {said.strip()}")
