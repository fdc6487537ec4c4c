"""The S3 requests that pgBackRest does not make for us: conditional writes and small objects."""

from __future__ import annotations

import email.utils
import http.client
import ssl
import time
import urllib.parse
from dataclasses import dataclass

from sekha_stage0.bucket import sign

from sekha_backup.machine import Place

ATTEMPTS = 5  # for one request; with the pauses between them about 6 s


@dataclass(frozen=True)
class Answer:
    """An object or the store's answer: status, body, and the entity tag; `age`: seconds since it was written."""

    status: int
    body: bytes
    etag: str
    age: float


class Bucket:
    """Requests to one bucket, signed as the agent signs its own."""

    def __init__(self, place: Place) -> None:
        self.place = place
        url = urllib.parse.urlsplit(place.endpoint)
        virtual = place.addressing == "virtual"
        self.secure, self.address = url.scheme == "https", url.netloc
        self.host = f"{place.name}.{url.netloc}" if virtual else url.netloc
        self.base = "" if virtual else f"/{place.name}"
        self.tls = ssl.create_default_context(cafile=place.ca_file or None) if self.secure else None

    def get(self, key: str) -> Answer:
        """The object at `key` (status 200) or 404. Raises OSError."""
        return self.request("GET", key)

    def put(self, key: str, body: bytes, if_match: str = "", if_none: bool = False) -> Answer:
        """Write `key`; with `if_match` only over that entity tag, with `if_none` only where nothing is: status 412 when
        it is not so (409 when somebody writes at the same moment). Raises OSError."""
        condition = {"If-Match": if_match} if if_match else {"If-None-Match": "*"} if if_none else {}
        return self.request("PUT", key, body, condition)

    def request(self, method: str, key: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """One request, again after a growing pause while network or store fail. Raises OSError."""
        for attempt in range(ATTEMPTS):
            try:
                answer = self._once(method, key, body, headers or {})
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            else:
                if answer.status in (200, 204, 404, 409, 412):
                    return answer
                problem = f"HTTP {answer.status}"
                if answer.status in (400, 401, 403):
                    break
            if attempt < ATTEMPTS - 1:
                time.sleep(0.4 * 2**attempt)
        raise OSError(f"bucket {self.place.name}: {method} {key}: {problem}")

    def _once(self, method: str, key: str, body: bytes, headers: dict[str, str]) -> Answer:
        path = urllib.parse.quote(f"{self.base}/{key}", safe="/-_.~")
        signed = sign(self.place.keys(), f"{self.place.region}/s3", method, self.host, path, body)
        connection = (
            http.client.HTTPSConnection(self.host, timeout=20, context=self.tls)
            if self.tls
            else http.client.HTTPConnection(self.host, timeout=20)
        )
        try:
            connection.request(method, path, body or None, signed | headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), answer.getheader("ETag", ""), _age(answer))
        finally:
            connection.close()


def _age(answer: http.client.HTTPResponse) -> float:
    """Seconds since the object was written, by the store's own clock; 0 where it does not say."""
    written, now = answer.getheader("Last-Modified"), answer.getheader("Date")
    if not written or not now:
        return 0.0
    return (email.utils.parsedate_to_datetime(now) - email.utils.parsedate_to_datetime(written)).total_seconds()
