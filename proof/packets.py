"""Packets for `make proof-firewall`; needs only the standard library, and runs in a machine's network namespace.

`packets.py listen`: answers TCP, UDP and raw protocols on every address until it is killed; prints `ready`.
`packets.py send`: reads [[protocol, address, port or null], ...] as JSON, sends all at once, prints for each whether it
was answered: "open", "refused" or "dropped".
`packets.py hold PROTOCOL ADDRESS PORT`: keeps one connection; for each line on its input says if it still works.
`packets.py forget`, in the router's namespace: no connection counts as established any more.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

TCP_PORTS, UDP_PORTS = (2222, 8080, 8081, 8082), (5000, 5001)
RAW = {"gre": 47, "esp": 50}
WAIT = 1.2  # s until a packet without an answer counts as dropped

Packet = tuple[str, str, "int | None"]


def listen() -> None:
    """Answer everything."""
    for port in TCP_PORTS:
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
    for port in UDP_PORTS:
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.bind(("::", port))
        threading.Thread(target=_echo, args=(udp, 0), daemon=True).start()
    for number in RAW.values():
        for family, header in ((socket.AF_INET, 20), (socket.AF_INET6, 0)):
            raw = socket.socket(family, socket.SOCK_RAW, number)
            threading.Thread(target=_echo, args=(raw, header), daemon=True).start()
    print("ready", flush=True)
    while True:
        time.sleep(3600)


def _accept(server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=_echo_stream, args=(connection,), daemon=True).start()


def _echo_stream(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        while data := connection.recv(100):
            connection.sendall(data)


def _echo(link: socket.socket, header: int) -> None:
    """Send each datagram back; `header` bytes of IPv4 header come before a raw one. Answers are not answered again."""
    while True:
        data, sender = link.recvfrom(2000)
        if data[header + 8 :].startswith(b"ask"):
            with suppress(OSError):
                link.sendto(data[header:].replace(b"ask", b"ans", 1), sender)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _send(number: int, packet: Packet) -> socket.socket | None:
    """A socket on which an answer would come; None if the packet is refused at once."""
    protocol, address, port = packet
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        if protocol == "tcp":
            link = socket.socket(family, socket.SOCK_STREAM)
            link.setblocking(False)
            link.connect_ex((address, port or 0))
            return link
        if protocol == "udp":
            link = socket.socket(family, socket.SOCK_DGRAM)
            link.connect((address, port or 0))
            link.send(b"8 bytes.ask")
        elif protocol == "ping":
            v6 = family == socket.AF_INET6
            link = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
            head = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, os.getpid() & 0xFFFF, number)
            if not v6:
                head = head[:2] + struct.pack("!H", checksum(head)) + head[4:]
            link.connect((address, 0))
            link.send(head)
        else:
            link = socket.socket(family, socket.SOCK_RAW, RAW[protocol])
            link.connect((address, 0))
            link.send(b"\0\0\x88\xb5\0\0\0\0ask")  # a GRE header without options (RFC 2784), then the payload
        link.setblocking(False)
    except OSError:
        return None
    return link


def _verdict(number: int, protocol: str, link: socket.socket) -> str | None:
    """What has come on the socket: "open" or "refused"; None if it is not about this packet."""
    if protocol == "tcp":
        return "refused" if link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else "open"
    try:
        data = link.recv(2000)
    except OSError:
        return "refused"
    if protocol == "ping":
        head = data if link.family == socket.AF_INET6 else data[20:]
        fits = head[0] in (0, 129) and struct.unpack("!HH", head[4:8]) == (os.getpid() & 0xFFFF, number)
        return "open" if fits else None
    return "open" if b"ans" in data else None


def send(packets: list[Packet]) -> list[str]:
    """The fate of each packet."""
    links = {n: link for n, packet in enumerate(packets) if (link := _send(n, packet)) is not None}
    found = {n: "refused" for n in range(len(packets)) if n not in links}
    end = time.monotonic() + WAIT
    while len(found) < len(packets) and (left := end - time.monotonic()) > 0:
        waiting = [n for n in links if n not in found]
        reading = [links[n] for n in waiting if packets[n][0] != "tcp"]
        writing = [links[n] for n in waiting if packets[n][0] == "tcp"]
        readable, writable, _ = select.select(reading, writing, [], left)
        for n in waiting:
            if links[n] in (*readable, *writable) and (verdict := _verdict(n, packets[n][0], links[n])):
                found[n] = verdict
    return [found.get(n, "dropped") for n in range(len(packets))]


def hold(protocol: str, address: str, port: int) -> None:
    """Keep one connection."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    link = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    link.settimeout(WAIT)
    link.connect((address, port))
    print("held", flush=True)
    for _ in sys.stdin:
        try:
            link.send(b"8 bytes.ask")
            print("open" if link.recv(100) else "closed", flush=True)
        except OSError:
            print("dropped", flush=True)


def forget() -> None:
    """Let the kernel forget all connections of the namespace (IPCTNL_MSG_CT_DELETE of nfnetlink_conntrack.h)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:  # NETLINK_NETFILTER
        link.bind((0, 0))
        link.send(struct.pack("=IHHIIBBH", 20, 0x0102, 5, 1, 0, 0, 0, 0))
        (error,) = struct.unpack_from("=i", link.recv(4096), 16)
        if error:
            raise OSError(-error, os.strerror(-error))


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen()
    elif sys.argv[1] == "hold":
        hold(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif sys.argv[1] == "forget":
        forget()
    else:
        print(json.dumps(send([(a, b, c) for a, b, c in json.load(sys.stdin)])))
