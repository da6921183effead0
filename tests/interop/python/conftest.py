import pytest
from gateway import gateway as start


@pytest.fixture(scope="module")
def gateway():
    with start() as running:
        yield running


@pytest.fixture(scope="module")
def gateway_of_many_channels():
    """A gateway whose listchannels makes a reply of some 5 MB: a demo channel is listed twice, 400 bytes each."""
    with start("--demo-channels", "7000") as running:
        yield running
