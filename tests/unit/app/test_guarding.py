"""Keys, token buckets, client addresses."""

from __future__ import annotations

import hashlib
import ipaddress
import os

import pytest
from sekha_service.config_keys import PRIVATE_NETWORKS
from sekha_service.http.edge import bucket_of, client_ip
from sekha_service.keys import KeyRing, presented_key
from sekha_service.ratelimit import RateLimiter

TRUSTED = tuple(ipaddress.ip_network(text) for text in PRIVATE_NETWORKS)


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        ("Bearer abc", None, "abc"),
        ("bearer  abc ", None, "abc"),
        ("Basic abc", None, None),
        ("Basic abc", "xyz", None),
        ("Bearer", None, None),
        ("Bearer ", None, None),
        (None, " xyz ", "xyz"),
        ("", "xyz", "xyz"),
        (None, None, None),
    ],
)
def test_presented_key(authorization: str | None, x_api_key: str | None, key: str | None) -> None:
    assert presented_key(authorization, x_api_key) == key


def test_key_ring() -> None:
    digest = hashlib.sha256(b"hashed").hexdigest()
    ring = KeyRing(["plain"], [f"sha256:{digest.upper()}"])
    assert ring.identify("plain") == hashlib.sha256(b"plain").digest()
    assert ring.identify("hashed") == bytes.fromhex(digest)
    assert [ring.identify(key) for key in ("", "Plain", digest, "clé")] == [None] * 4


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_bucket_fills_at_its_rate() -> None:
    clock = Clock()
    limiter = RateLimiter(rate=2.0, burst=4, clock=clock)
    assert [limiter.take(b"a").remaining for _ in range(4)] == [3, 2, 1, 0]
    refused = limiter.take(b"a")
    assert (refused.allowed, refused.limit, refused.retry_after) == (False, 4, 1)
    assert limiter.take(b"b").allowed
    clock.now += 0.5
    assert [limiter.take(b"a").allowed for _ in range(2)] == [True, False]
    clock.now += 100
    assert [limiter.take(b"a").allowed for _ in range(5)] == [True] * 4 + [False]


def test_bucket_is_shared_by_forked_processes() -> None:
    limiter = RateLimiter(rate=0.001, burst=100)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            taken = sum(limiter.take(b"key").allowed for _ in range(50))
            os._exit(taken)
        children.append(child)
    taken = sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    assert taken == 100


def test_full_table_forgets_the_one_idle_for_longest() -> None:
    clock = Clock()
    limiter = RateLimiter(rate=0.001, burst=1, slots=4, clock=clock)
    for name in (b"a", b"b", b"c", b"d"):
        clock.now += 1
        assert limiter.take(name).allowed
    clock.now += 1
    assert limiter.take(b"e").allowed, "takes the slot of a"
    assert not limiter.take(b"d").allowed, "the others are kept"


@pytest.mark.parametrize(
    ("peer", "forwarded", "ip"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),  # a stranger's header means nothing
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.5", "203.0.113.9"),
        ("10.0.0.2", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9, nonsense", "127.0.0.1"),
        ("127.0.0.1", "10.1.1.1", "127.0.0.1"),
    ],
)
def test_client_ip(peer: str, forwarded: str | None, ip: str) -> None:
    assert client_ip({"client": (peer, 1)}, forwarded, TRUSTED) == ip


def test_ipv6_addresses_share_a_bucket_per_64() -> None:
    assert bucket_of("2001:db8:1:2::1") == bucket_of("2001:db8:1:2:ffff::9")
    assert bucket_of("2001:db8:1:2::1") != bucket_of("2001:db8:1:3::1")
    assert bucket_of("192.0.2.1") != bucket_of("192.0.2.2")
