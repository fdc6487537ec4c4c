"""`make console-picture`: the web console as docs/localcloud-console.png (ROUTE=actions: another view; OUT=file)."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.chromium import browser
from tests.browser.conftest import Page, served

DOC = Path(__file__).parent.parent.parent / "docs" / "localcloud-console.png"
COLOURS = 96  # enough for a page, and a tenth of the size


def main() -> None:
    """Make the picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as web,
        browser(Path(folder), 1240, 760) as chrome,
    ):
        page = Page(chrome, web.url).open("servers")
        page.shows("web-1")
        route = os.environ.get("ROUTE", "servers").replace("ID", str(web.ids["web-1"]))
        page.go(route)
        if os.environ.get("DARK"):
            chrome.execute_script("document.documentElement.dataset.theme = 'dark'")
        if width := os.environ.get("WIDTH"):
            chrome.set_window_size(int(width), 800)
        page.until(lambda: chrome.execute_script("return document.readyState") == "complete", "the page is there")
        if "/" in route:
            page.shows("login" if "journal" not in route else "caddy", selector="pre")
        picture = Image.open(io.BytesIO(chrome.get_screenshot_as_png())).convert("RGB").quantize(COLOURS)
        target = Path(os.environ.get("OUT", str(DOC)))
        picture.save(target, optimize=True)
    print(f"{target}: {target.stat().st_size // 1024} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
