"""How many places of a queue are taken, while pictures go from promised to held."""

import pytest

from limner.serve.places import Places


def test_a_kept_promise_counts_once_before_during_and_after() -> None:
    places = Places(3)
    seen = [places.taken]
    with places.promised(2) as room:
        seen.append(places.taken)
        places.count(5, kept=room)
        seen.append(places.taken)
    assert (*seen, places.taken) == (3, 5, 5, 5)
    assert places.held == 5


def test_what_was_not_kept_is_free_again() -> None:
    places = Places(1)
    seen = []

    def fails() -> None:
        with places.promised(4), places.promised(1):
            seen.append(places.taken)
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fails()
    assert seen == [6]
    assert (places.taken, places.held) == (1, 1)


def test_others_may_finish_while_a_promise_stands() -> None:
    places = Places(3)
    with places.promised(2):
        places.count(1)
        assert (places.taken, places.held) == (3, 1)


def test_work_that_lands_after_its_caller_gave_up_is_held() -> None:
    places = Places(0)
    with places.promised(2) as room:
        pass
    places.count(2, kept=room)
    assert places.taken == 2
