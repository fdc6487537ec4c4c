"""The shape of a route: method, path below /v1 with {id} and {action} numbers, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.api.call import Call
from localcloud.store import Data

Answer = tuple[int, Data | None]  # HTTP status and JSON body (None: no body)
Handler = Callable[[Call], Answer]
Route = tuple[str, str, Handler]
