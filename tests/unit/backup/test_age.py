"""The age key pair of litestream: BIP 173's own example, and the key pair of age's test suite."""

from __future__ import annotations

from sekha_backup import age


def test_bech32() -> None:
    assert age.bech32("a", b"") == "A12UEL5L".lower()  # BIP 173, "Test vectors"


def test_pair() -> None:
    assert age.pair(b"\x42" * 32) == (  # c2sp.org/CCTV/age: the identity of its X25519 vectors
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
    )
