import pytest

from tests.builder import HistoryBuilder


@pytest.fixture
def h() -> HistoryBuilder:
    return HistoryBuilder()
