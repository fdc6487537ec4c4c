"""A real browser without a window: Debian's Chromium, driven by selenium."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "google-chrome")  # the second is what GitHub's machines have
GITHUB_DRIVER = "/usr/local/share/chromedriver-linux64"  # the variable that says so is lost by sudo
PACKAGES = ("chromium", "chromium-driver", "fonts-dejavu-core")


def _found() -> tuple[str, str] | None:
    places = os.pathsep.join([os.environ.get("PATH", ""), os.environ.get("CHROMEWEBDRIVER", ""), GITHUB_DRIVER])
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver", path=places)
    return (browser, driver) if browser and driver else None


def programs() -> tuple[str, str] | None:
    """Browser and driver, installed where they are missing and we are root; None where there are none to be had."""
    if not _found() and os.geteuid() == 0:
        apt = ["apt-get", "-oDPkg::Lock::Timeout=300", "-qq"]
        subprocess.run([*apt, "update"], check=False, timeout=300)
        subprocess.run([*apt, "install", "-y", "--no-install-recommends", *PACKAGES], check=False, timeout=900)
    return _found()


@contextmanager
def browser(folder: Path, width: int = 1280, height: int = 800) -> Iterator[webdriver.Chrome]:
    """A browser with an empty profile in `folder`, which sees nothing but loopback. The caller skips without one."""
    found = programs()
    assert found, "no Chromium"
    options = Options()
    options.binary_location = found[0]
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server",
        "--host-resolver-rules=MAP * 127.0.0.1", "--force-device-scale-factor=1", "--lang=en-GB",
        f"--window-size={width},{height}", f"--user-data-dir={folder}/profile",
        "--disable-background-networking", "--disable-component-update", "--no-first-run",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(executable_path=found[1], log_output=str(folder / "driver.log"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_page_load_timeout(30)
        yield driver
    finally:
        driver.quit()
