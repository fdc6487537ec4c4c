"""One comment on a pull request, edited in place: found again by its first line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

API = "https://api.github.com"
PAGES = 20  # of 100 comments; a pull request with more gets a second comment
TIMEOUT = httpx.Timeout(20.0, connect=5.0)


class GitHubError(Exception):
    """GitHub refused; the message names the call and what to look at."""


@dataclass(frozen=True)
class PullRequest:
    """Where to comment, as GitHub Actions tells it."""

    api: str
    repository: str
    number: int
    labels: tuple[str, ...]
    commit: str
    token: str = field(repr=False)


def pull_request(environ: Mapping[str, str]) -> PullRequest | None:
    """The pull request that this run is for: GITHUB_EVENT_PATH, GITHUB_REPOSITORY, GITHUB_TOKEN; None outside of one.

    Raises GitHubError when the event file can't be read.
    """
    path = environ.get("GITHUB_EVENT_PATH")
    if not path:
        return None
    try:
        event: dict[str, Any] = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise GitHubError(f"GITHUB_EVENT_PATH={path} can't be read: {error}") from error
    request = event.get("pull_request")
    if not request:
        return None
    return PullRequest(
        api=environ.get("GITHUB_API_URL", API).rstrip("/"),
        repository=environ.get("GITHUB_REPOSITORY") or event["repository"]["full_name"],
        number=int(request["number"]),
        labels=tuple(label["name"] for label in request.get("labels") or []),
        commit=str((request.get("head") or {}).get("sha", "")),
        token=environ.get("GITHUB_TOKEN", ""),
    )


def publish(where: PullRequest, body: str, marker: str, transport: httpx.BaseTransport | None = None) -> str:
    """Edit the comment that starts with `marker`, or make it; return "edited" or "created". Raises GitHubError."""
    headers = {
        "Authorization": f"Bearer {where.token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    with httpx.Client(
        base_url=where.api, headers=headers, timeout=TIMEOUT, transport=transport or httpx.HTTPTransport(retries=2)
    ) as client:
        for number in _ours(client, where, marker):
            answer = client.patch(f"/repos/{where.repository}/issues/comments/{number}", json={"body": body})
            if answer.status_code in (403, 404):
                continue  # another's comment that starts alike, or deleted meanwhile
            _check(answer)
            return "edited"
        _check(client.post(f"/repos/{where.repository}/issues/{where.number}/comments", json={"body": body}))
        return "created"


def _ours(client: httpx.Client, where: PullRequest, marker: str) -> list[int]:
    """Ids of the comments that start with `marker`, the oldest first."""
    found: list[int] = []
    for page in range(1, PAGES + 1):
        query = {"per_page": "100", "page": str(page)}
        answer = client.get(f"/repos/{where.repository}/issues/{where.number}/comments", params=query)
        _check(answer)
        rows: list[dict[str, Any]] = answer.json()
        found += [row["id"] for row in rows if str(row.get("body") or "").startswith(marker)]
        if len(rows) < 100:
            break
    return found


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    try:
        said = answer.json().get("message", "")
    except ValueError:
        said = answer.text[:200]
    call = f"{answer.request.method} {answer.request.url.path}"
    raise GitHubError(
        f"GitHub answered {call} with {answer.status_code}: {said}; "
        "the workflow needs `pull-requests: write` and GITHUB_TOKEN"
    )
