"""What the proof of verification calls caught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proof.verification import caught
from proof.verification_faults import flip
from proof.verification_rig import Seen

SEEN = Seen(["sekha-backup-check", "sekha-verify"], ["SekhaVerificationFailed"], ["verified: FAILED: damaged"])


@pytest.mark.parametrize(
    ("seen", "kept"),
    [
        (SEEN, True),
        (replace(SEEN, units=["sekha-verify"]), False),
        (replace(SEEN, units=["sekha-backup-check"]), False),
        (replace(SEEN, alerts=[]), False),
        (replace(SEEN, status=[]), False),
        (replace(SEEN, status=["verified: FAILED: another reason"]), False),
    ],
)
def test_a_failure_must_show_everywhere(seen: Seen, kept: bool) -> None:
    assert caught(seen, {"sekha-verify"}, {"SekhaVerificationFailed"}, "damaged") is kept


def test_one_byte_is_flipped() -> None:
    assert flip(b"abc") == b"a" + bytes([ord("b") ^ 0xFF]) + b"c"
