"""The web console as a browser shows it: every view, live changes, logs, several projects, and what may not happen."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By

from tests.browser.conftest import Page, Web

VIEWS = {
    "servers": ["web-1", "worker-1", "running", "off", "starting", "cx33", "10.0.1.", "role=db", "debian-13"],
    "networks": ["shop-net", "10.0.0.0/16", "10.0.1.0/24", "db-1"],
    "firewalls": ["in tcp 443", "0.0.0.0/0, ::/0", "(office)", "web-2", "nothing comes in"],
    "load_balancers": ["front", "http 80 → 8080", "all with role=web", "healthy", "unhealthy"],
    "volumes": ["db-data", "50 GB", "ext4", "db-1", "not attached"],
    "addresses": ["floating", "shop-ip", "primary"],
    "actions": ["create_server", "success", "error", "no space left for a snapshot", "running"],
}


@pytest.mark.parametrize("route", VIEWS)
def test_every_view_shows_what_is_there(page: Page, route: str) -> None:
    page.open(route).shows(*VIEWS[route])
    assert page.text("#live") == "live"
    here = page.driver.find_element(By.CSS_SELECTOR, "nav [aria-current]").get_attribute("href")
    assert here == f"{page.url}#/{route}"
    assert "undefined" not in page.text("body")
    assert page.complaints() == []


def test_changes_come_by_themselves(page: Page, web: Web) -> None:
    page.open("networks").shows("shop-net")
    made = web.rig.ask("POST", "/networks", {"name": "made-meanwhile", "ip_range": "10.9.0.0/16"}, 201)
    page.shows("made-meanwhile", "10.9.0.0/16")
    web.rig.ask("DELETE", f"/networks/{made['network']['id']}", status=204)
    page.until(lambda: "made-meanwhile" not in page.text(), "the network goes from the page")


def test_a_machine_with_its_console_and_journal(page: Page, web: Web) -> None:
    number = web.ids["web-1"]
    page.open(f"servers/{number}")
    page.shows("web-1", "cx23: 2 cores", "shop-net", "Last actions")
    text = page.shows("[  OK  ] Started ssh.service", "web-1 login:", selector="pre")
    assert "\x1b" not in text
    assert "[0;32m" not in text
    web.backend.consoles[number] += "root (automatic login)\n"
    page.shows("web-1 login: root (automatic login)", selector="pre")
    page.go(f"servers/{number}/journal")
    page.shows("Started caddy.service", selector="pre")
    web.backend.journals[number].append("web-1 kernel: out of memory")
    page.shows("web-1 kernel: out of memory", selector="pre")
    assert page.text("pre").count("Started caddy.service") == 1
    assert page.complaints() == []


def test_a_machine_that_is_off_or_gone_says_so(page: Page, web: Web) -> None:
    page.open(f"servers/{web.ids['worker-1']}/journal").shows("off", "the machine is off")
    page.go("servers/999999")
    page.shows("Machine 999999 is gone", "web-1")


def test_what_people_call_things_is_text(page: Page, web: Web) -> None:
    """A network's name may be anything; so may a console's output."""
    evil = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
    made = web.rig.ask("POST", "/networks", {"name": evil, "ip_range": "10.8.0.0/16"}, 201)["network"]["id"]
    number = web.ids["web-2"]
    web.backend.consoles[number] += evil
    page.open("networks").shows(evil)
    page.go(f"servers/{number}")
    page.shows(evil, selector="pre")
    assert page.count("main img, main script") == 0
    assert page.driver.title.startswith("web-2")
    assert page.complaints() == []
    web.rig.ask("DELETE", f"/networks/{made}", status=204)


def test_another_project(page: Page) -> None:
    page.open("servers").shows("web-1")
    page.driver.find_element(By.CSS_SELECTOR, "#project option:last-child").click()
    page.shows("No machines yet")
    for route, words in {"networks": "No networks", "actions": "Nothing has happened yet"}.items():
        page.go(route)
        page.shows(words)
    page.driver.find_element(By.CSS_SELECTOR, "#project option:first-child").click()
    page.shows("web-1")


def test_faults_are_told(page: Page, web: Web) -> None:
    page.open("servers").shows("web-1")
    web.rig.cloud.store.set_unavailable({("cx23", "nbg1")})
    page.shows("Sold out: cx23@nbg1")
    web.rig.cloud.store.set_unavailable(set())


def test_without_the_key_nothing_is_shown(page: Page) -> None:
    page.driver.get("about:blank")
    page.driver.get(page.url)
    page.driver.execute_script("sessionStorage.clear(); location.hash = ''; location.reload()")
    page.shows("Which key?", "bin/localcloud web")
    assert "web-1" not in page.text("body")
    page.driver.find_element(By.NAME, "key").send_keys("key-of-the-console-in-tests\n")
    page.shows("web-1", "running")
    page.complaints()  # the refused request was logged


def test_a_cloud_that_went_away_is_told(page: Page) -> None:
    page.open("servers").shows("web-1")
    page.driver.set_network_conditions(offline=True, latency=0, throughput=0)
    try:
        page.shows("The local cloud does not answer", selector="#banner")
        assert page.text("#live") == "not connected"
    finally:
        page.driver.delete_network_conditions()
    page.until(lambda: page.text("#live") == "live", "the page is connected again")
    page.until(lambda: not page.driver.find_element(By.ID, "banner").is_displayed(), "the banner goes")
    page.complaints()


def test_dark_is_dark_and_narrow_fits(page: Page) -> None:
    page.open("servers").shows("web-1")
    colour = "return getComputedStyle(document.body).backgroundColor"
    before = page.driver.execute_script(colour)
    page.driver.find_element(By.ID, "theme").click()
    assert page.driver.execute_script(colour) != before
    page.driver.find_element(By.ID, "theme").click()
    page.driver.set_window_size(500, 800)
    wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    page.until(lambda: page.driver.execute_script(wider) <= 0, "nothing stands out at the side")
    page.driver.set_window_size(1280, 800)
