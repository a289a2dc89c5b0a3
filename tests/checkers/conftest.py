import pytest

from harness.core.expectation import Gates
from tests.builder import HistoryBuilder


@pytest.fixture
def h() -> HistoryBuilder:
    return HistoryBuilder()


@pytest.fixture
def thin() -> Gates:
    """Gates that a history of a dozen messages passes; everything but the amount of load is as shipped."""
    return Gates(min_acked=5, min_acked_before_fault=2)
