"""What every tier shares."""

import pytest
from xdist.scheduler import LoadScopeScheduling


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Scheduler(LoadScopeScheduling):
    """Give each process of pytest-xdist whole files of end-to-end tests, which share what they have built.

    The longest come first; what needs no engine, a test at a time, fills the gaps.
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith("tests/e2e/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    return Scheduler(config, log)
