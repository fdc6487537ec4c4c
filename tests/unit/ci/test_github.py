"""One comment, edited in place, against a small server that behaves as GitHub's comments API."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from ci import github
from ci.__main__ import main

MARKER = "<!-- sekha-preview: prod -->"
TOKEN = "t" * 20


class Comments:
    """GET, POST and PATCH of a pull request's comments, in pages; `foreign` may not be edited."""

    def __init__(self, *bodies: str, foreign: tuple[int, ...] = (), broken: int = 0) -> None:
        self.rows = [{"id": number, "body": body} for number, body in enumerate(bodies, 1)]
        self.foreign, self.broken = foreign, broken
        self.calls: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        self.calls.append(request.method)
        if self.broken:
            return httpx.Response(self.broken, json={"message": "no"})
        body: dict[str, Any] = json.loads(request.content) if request.content else {}
        if request.method == "GET":
            page, size = (int(request.url.params[key]) for key in ("page", "per_page"))
            return httpx.Response(200, json=self.rows[(page - 1) * size : page * size])
        if len(body["body"]) > 65_536:
            return httpx.Response(422, json={"message": "body is too long"})
        if request.method == "POST":
            assert request.url.path == "/repos/o/r/issues/7/comments"
            self.rows.append({"id": len(self.rows) + 1, **body})
            return httpx.Response(201, json=self.rows[-1])
        number = int(request.url.path.rsplit("/", 1)[1])
        if number in self.foreign:
            return httpx.Response(403, json={"message": "not yours"})
        self.rows[number - 1]["body"] = body["body"]
        return httpx.Response(200, json=self.rows[number - 1])


def publish(server: Comments, body: str) -> str:
    where = github.PullRequest("https://api.example", "o/r", 7, (), "", TOKEN)
    return github.publish(where, body, MARKER, httpx.MockTransport(server))


def test_the_first_run_creates_and_the_second_edits() -> None:
    server = Comments("nice", "<!-- sekha-preview: dev -->\nof another stack")
    assert publish(server, f"{MARKER}\none") == "created"
    assert publish(server, f"{MARKER}\ntwo") == "edited"
    assert [row["body"] for row in server.rows][2:] == [f"{MARKER}\ntwo"]


def test_it_is_found_behind_hundreds_of_others() -> None:
    server = Comments(*["x"] * 250, f"{MARKER}\nold", *["y"] * 80)
    assert publish(server, f"{MARKER}\nnew") == "edited"
    assert server.rows[250]["body"] == f"{MARKER}\nnew"


def test_anothers_comment_that_starts_alike_is_left() -> None:
    server = Comments(f"{MARKER}\nforged", foreign=(1,))
    assert publish(server, f"{MARKER}\nours") == "created"
    assert publish(server, f"{MARKER}\nagain") == "edited"
    assert [row["body"] for row in server.rows] == [f"{MARKER}\nforged", f"{MARKER}\nagain"]


def test_a_refusal_names_the_call_and_the_permission() -> None:
    with pytest.raises(
        github.GitHubError, match=r"GET /repos/o/r/issues/7/comments with 401: no.*pull-requests: write"
    ):
        publish(Comments(broken=401), MARKER)


def test_where_to_comment_comes_from_the_event(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    labels = [{"name": "data-loss-approved"}]
    event.write_text(json.dumps({"pull_request": {"number": 7, "labels": labels, "head": {"sha": "abc"}}}))
    environ = {"GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": TOKEN}
    where = github.pull_request(environ)
    assert where is not None
    assert (where.number, where.labels, where.commit, where.repository) == (7, ("data-loss-approved",), "abc", "o/r")
    assert TOKEN not in repr(where)
    event.write_text("{}")
    assert github.pull_request(environ) is None
    assert github.pull_request({}) is None
    event.write_text("{")
    with pytest.raises(github.GitHubError, match="GITHUB_EVENT_PATH"):
        github.pull_request(environ)


def test_the_command_comments_and_edits_over_http(tmp_path: Path) -> None:
    """The whole way, to a server on this machine: a blocked change, then the same with the label that approves it."""
    server = Comments()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            url = f"https://api.example{self.path}"
            reply = server(httpx.Request(self.command, url, headers=dict(self.headers.items()), content=content))
            self.send_response(reply.status_code)
            self.send_header("content-length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names http.server wants

        def log_message(self, *_: Any) -> None:
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    event, sample = tmp_path / "event.json", Path(__file__).parent / "samples" / "volume-removed.json"
    environ = {
        "GITHUB_API_URL": f"http://127.0.0.1:{web.server_port}", "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": str(event), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }  # fmt: skip
    for labels, code in ([], 1), ([{"name": "data-loss-approved"}], 0):
        event.write_text(json.dumps({"pull_request": {"number": 7, "labels": labels, "head": {"sha": "abc"}}}))
        assert main(["--file", str(sample), "--out", str(tmp_path / "comment.md")], environ) == code
    web.shutdown()
    web.server_close()
    (row,) = server.rows
    assert server.calls == ["GET", "POST", "GET", "PATCH"]
    assert "approved by label" in str(row["body"])
    assert row["body"] == (tmp_path / "comment.md").read_text()
    assert TOKEN not in (tmp_path / "summary.md").read_text()
