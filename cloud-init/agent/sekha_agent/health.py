"""The last question of a release: does Sekha answer as its clients see it?"""

import http.client
import json
import socket
import ssl
import time
from pathlib import Path

from sekha_stage0.common import StepError
from sekha_stage0.report import read_serving


def version_served(timeout: float = 60) -> str | None:
    """Wait until /health answers 200 through Caddy, by the name or address that clients use; returns the version that
    it names. Raises StepError after `timeout` seconds."""
    end, reason = time.monotonic() + timeout, ""
    while time.monotonic() < end:
        try:
            status, body = ask()
            if status == http.client.OK:
                version: str | None = json.loads(body).get("version")
                return version
            reason = f"HTTP {status}: {body[:300]}"
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            reason = repr(error)
        time.sleep(0.2)
    raise StepError(f"/health was not 200 within {timeout:g} s: {reason}")


def ask() -> tuple[int, str]:
    """Status and body of one GET /health. Raises OSError, HTTPException, ValueError or KeyError."""
    serving, tls = read_serving(), ssl.create_default_context()
    if Path(serving["ca_file"]).exists():
        tls.load_verify_locations(serving["ca_file"])
    with (
        socket.create_connection(("127.0.0.1", serving.get("port", 443)), 10) as link,
        tls.wrap_socket(link, server_hostname=serving["host"]) as stream,
    ):
        stream.sendall(f"GET /health HTTP/1.1\r\nHost: {serving['host']}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(stream)
        answer.begin()
        return answer.status, answer.read().decode(errors="replace")
