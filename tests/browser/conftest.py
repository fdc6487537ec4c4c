"""The web console over a shop in an in-memory cloud, and a browser that looks at it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By

from localcloud.fake_backend import FakeBackend
from localcloud.store import Store
from localcloud.web.app import create_web
from tests.browser.chromium import browser, programs
from tests.browser.scene import shop
from tests.support import wait_for
from tests.unit.localcloud.conftest import Rig, running

KEY = "key-of-the-console-in-tests"


@dataclass
class Web:
    """The served console, the cloud behind it, and the shop's ids."""

    url: str
    rig: Rig
    backend: FakeBackend
    ids: dict[str, int]


@contextmanager
def served(folder: Path) -> Iterator[Web]:
    """The console on a free loopback port, over a shop; a second project is empty."""
    with closing(Store(folder / "state.db")) as store:
        token = store.add_token(store.add_project("shop"))
        store.add_project("staging")
    backend = FakeBackend()
    with running(folder / "state.db", backend, token) as rig:
        ids = shop(rig, backend)
        app = create_web(rig.cloud, KEY)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_for(lambda: server.started, 10, "the console listens", 0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Web(f"http://127.0.0.1:{port}/", rig, backend, ids)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with served(tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    if not programs():
        pytest.skip("no Chromium: apt-get install chromium chromium-driver (as root the tests do that themselves)")
    with browser(tmp_path_factory.mktemp("chrome")) as driver:
        yield driver


@dataclass
class Page:
    """The page in the browser, as somebody sees it."""

    driver: webdriver.Chrome
    url: str

    def open(self, route: str = "servers", key: str = KEY) -> Page:
        """Open the printed address, then go to a view."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}#{key}")
        self.go(route)
        return self

    def go(self, route: str) -> None:
        """Follow a link to a view."""
        wait_for(lambda: self.driver.execute_script("return location.hash.startsWith('#/')"), 10, "the key is taken")
        self.driver.execute_script(f"location.hash = '#/{route}'")

    def text(self, selector: str = "main") -> str:
        """What can be read there; "" while it isn't there."""
        script = "const e = document.querySelector(arguments[0]); return e ? e.innerText : ''"
        return str(self.driver.execute_script(script, selector))

    def shows(self, *words: str, selector: str = "main") -> str:
        """Wait until all the words can be read there; returns the text."""

        def there() -> str:
            text = self.text(selector)
            return text if all(word in text for word in words) else ""

        return wait_for(there, 30, f"{selector} shows {words}")

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def until(self, condition: Callable[[], object], what: str) -> None:
        wait_for(condition, 30, what)

    def complaints(self) -> list[str]:
        """Errors the browser has logged since the last call: scripts that failed, things the CSP refused."""
        log: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [row["message"] for row in log if row["level"] == "SEVERE"]


@pytest.fixture
def page(web: Web, chrome: webdriver.Chrome) -> Page:
    page = Page(chrome, web.url)
    page.complaints()
    return page
