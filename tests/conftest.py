"""What tests of every part need, whatever ran before them in the same process."""

import asyncio
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from falaj.lab.testing import RunningLab, temporary_lab

# An example takes as long as a busy machine makes it take.
settings.register_profile("busy", settings.default, deadline=None)
settings.load_profile("busy")


def pytest_configure() -> None:
    """Let what tests start hear Ctrl-C, which a shell that runs them in the background has all of them ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Refuse that a test leaves Ctrl-C ignored, which all that later tests start would inherit."""
    yield
    left = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert left is not signal.SIG_IGN


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A running lab of its own in a temporary folder."""
    with temporary_lab(tmp_path_factory.mktemp("lab") / "state") as running:
        yield running


@pytest.fixture(autouse=True)
def event_loop_of_the_thread() -> None:
    """Have a current event loop, which Pulumi's SDK asks for and `asyncio.run` leaves none of."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
