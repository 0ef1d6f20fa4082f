"""Rules for all tests: nothing is skipped where CI runs them, and who may run beside whom."""

import os
from collections.abc import Generator
from fnmatch import fnmatch
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

NOTHING_IS_SKIPPED = os.environ.get("IPCONF_CI") == "1"
ONE_BY_ONE = (
    "test_*browser*",
    "test_bridge_peers*",
    "test_conference_quality*",
    "test_demo*",
    "test_*_command*",
    "test_file_calls*",
    "test_file_playback*",
    "test_*interop*",
    "test_load*",
    "test_payload_calls*",
)
"""Files that keep two cores busy, or that measure sound and pictures in real time: of those there
is one at a time, however many workers there are (`-n`)."""

hypothesis.settings.register_profile("no-deadline", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("no-deadline")


class _Scheduling(LoadFileScheduling):
    """A file is run by one worker, and so are all those of `ONE_BY_ONE`, as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        alone = any(fnmatch(Path(file).stem, pattern) for pattern in ONE_BY_ONE)
        return "one by one" if alone else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling:
    """Share the files out as `_Scheduling` does."""
    return _Scheduling(config, log)


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
