"""The states recorded of releases hold no secret and nothing of the machine they were recorded on."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ci.redact import SECRET, SIGNATURE
from tests.cloud.recorded_state import MADE_UP, PROVIDER, STATES, scrubbed

FILES = sorted(STATES.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recorded_states(path: Any) -> None:
    text = path.read_text()
    assert not re.search(r"sk-sekha-|PRIVATE KEY|ciphertext|/root/|/tmp/|encryptionsalt", text)
    state = json.loads(text)
    rows = [row.get("inputs") or {} for row in state["deployment"]["resources"]]
    code = [row[PROVIDER]["plaintext"] for row in rows if PROVIDER in row]
    assert len(code) == 2
    assert all(len(text) < 100 for text in code)  # our class by its name, and nothing by value
    assert scrubbed(state) == state
    kinds = {row["type"] for row in state["deployment"]["resources"]}
    assert {"hcloud:index/volume:Volume", "pulumi-python:dynamic/sekha:Bucket"} <= kinds


def test_every_secret_becomes_the_same() -> None:
    secret = {SIGNATURE: SECRET, "ciphertext": "v1:abc"}
    state = {"a": [secret, {"b": secret, "created": "today"}], "secrets_providers": {"x": 1}}
    assert scrubbed(state) == {"a": [MADE_UP, {"b": MADE_UP}]}
