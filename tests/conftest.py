"""Rules for all tests: where CI runs them, nothing may be skipped."""

import os
from collections.abc import Generator

import pytest

NOTHING_IS_SKIPPED = os.environ.get("IPCONF_CI") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure: CI installs what the tests need."""
    report = yield
    if NOTHING_IS_SKIPPED and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where IPCONF_CI=1 allows no skip: {report.longrepr}"
    return report
