"""A few kills at random points; ``make soak`` does hundreds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.kills import kill_servers, kill_workers


@pytest.mark.parametrize("kill", [kill_servers, kill_workers])
def test_nothing_is_lost_torn_or_made_twice(kill: object, tmp_path: Path) -> None:
    assert callable(kill)
    found = kill(tmp_path, 4, seed=7)
    assert found.good, found
    assert found.accepted > 0
    assert found.pictures > 0
