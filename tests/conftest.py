"""What holds for all tests: in CI a skipped local-cloud test is a failure, not a pass; make is called as by hand."""

from __future__ import annotations

import os

import pytest

MARKED = ("cloud", "service", "browser")
MUST_RUN = ("cloud", "browser")
_skipped: list[str] = []

# Tests call make as by hand: within `make test` it would say which folder it leaves, after the JSON line.
for _name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(_name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, so that nobody has to remember it."""
    for item in items:
        for name in MARKED:
            if f"/tests/{name}/" in item.path.as_posix():
                item.add_marker(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report = yield
    if report.skipped and any(item.get_closest_marker(name) for name in MUST_RUN):
        _skipped.append(item.nodeid)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if os.environ.get("CI") == "true" and _skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("CI") == "true" and _skipped:
        terminalreporter.write_line(f"CI: tests that must run here were skipped: {', '.join(_skipped)}", red=True)
