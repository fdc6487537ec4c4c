"""What the endpoints work with, in one place: made at start, found through the request."""

from dataclasses import dataclass, field

from starlette.requests import Request

from ..bell import Bell
from ..config import Config
from ..embed import Embedder
from ..index import Index
from ..keys import KeyRing
from ..llm import Llm
from ..recall import Recall
from ..search import Search
from ..store import Store


@dataclass
class Services:
    """A worker's parts. `bell` tells the feeder of something new; `draining` is set after SIGTERM."""

    config: Config
    store: Store
    keys: KeyRing
    index: Index
    embedder: Embedder
    llm: Llm
    search: Search
    recall: Recall
    bell: Bell
    draining: bool = field(default=False)


def services(request: Request) -> Services:
    """The parts, from within an endpoint."""
    it: Services = request.app.state.services
    return it
