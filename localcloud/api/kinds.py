"""List, read and update: the routes that look alike for every kind of object."""

from __future__ import annotations

import re
from collections.abc import Callable

from localcloud.api.call import GENERAL_NAME, Call
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Scope


def _as_it_is(scope: Scope, data: Data) -> Data:
    return data


def _no_more(call: Call, data: Data) -> None:
    """The default of what a PUT may change beyond name and labels."""


def routes(
    kind: str,
    view: Callable[[Scope, Data], Data] = _as_it_is,
    *,
    equal: tuple[str, ...] = ("name",),
    name: re.Pattern[str] = GENERAL_NAME,
    change: Callable[[Call, Data], None] = _no_more,
) -> list[Route]:
    """GET of all, GET of one and PUT (name, labels and what `change` does) for a kind.

    `view` makes what is stored what is shown; `equal` are the query parameters that filter, `name` the form of names.
    """
    path = f"{kind}es" if kind.endswith("x") else f"{kind}s"

    def index(call: Call) -> Answer:
        return 200, page(call, path, [view(call, row) for row in call.all(kind)], equal=equal)

    def read(call: Call) -> Answer:
        return 200, {kind: view(call, call.target(kind))}

    def update(call: Call) -> Answer:
        data = call.target(kind)
        call.update_name_and_labels(kind, data, name)
        change(call, data)
        call.save(kind, data)
        return 200, {kind: view(call, data)}

    return [("GET", f"/{path}", index), ("GET", f"/{path}/{{id}}", read), ("PUT", f"/{path}/{{id}}", update)]
