"""What the tests of the training runtime share."""

from collections.abc import Iterator

import pytest
from training.runs import Server, start_server


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker of the tests that do one thing many times: `-m "not bulk"` leaves them out."""
    config.addinivalue_line("markers", "bulk: does one thing at many random moments")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The process that forks workers: torch is imported once for all of them."""
    server = start_server()
    yield server
    server.process.kill()
    server.process.wait(60)
