"""A recorder for each test, and a working directory of its own, as an engine gives a module."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from recorder import Recorder


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def recorder(anyio_backend: str) -> AsyncIterator[Recorder]:  # noqa: ARG001 # the loop of the fixture is the test's
    async with Recorder() as started:
        yield started
