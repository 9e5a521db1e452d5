"""Walking through a library: stretches of a month hold every picture once, in order, whatever came or went since."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.library.browse import STRETCH, key, stretch_of
from limner.library.entries import Entry, Query
from limner.library.store import Library, entry_of
from limner.types import Score
from tests.unit.library.making import pixels, record

TIMES = st.builds(
    "{:04}-{:02}-{:02}{}".format,
    st.integers(2024, 2026),
    st.integers(1, 12),
    st.integers(1, 28),
    st.sampled_from(("T10:00:00Z", "T10:00:00.5Z", "T10:00:00+02:00", "", " 10:00:00")),
)


def filled(root: Path, times: list[str], **more: object) -> tuple[Library, list[Entry]]:
    library = Library(root)
    image = pixels()
    made = []
    for k, when in enumerate(times):
        name = library.new_id()
        told = record(f"fox {k}", created=when, image=image)
        made.append(entry_of(name, root / f"{name}.png", told, "png", (48, 32), **more))  # type: ignore[arg-type]
    library.insert(made)
    return library, made


@settings(max_examples=40, deadline=None)
@given(times=st.lists(TIMES, max_size=40), copies=st.integers(1, 8), descending=st.booleans())
@example(times=["2024-01-01T10:00:00Z", "2024-01-01", "2024-01-01 10:00:00"], copies=1, descending=False)
def test_stretches_hold_every_picture_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, times: list[str], copies: int, descending: bool
) -> None:
    library, made = filled(tmp_path_factory.mktemp("home"), times * copies)
    query = Query(descending=descending)
    stretches = library.browse.stretches(query)
    shown = [[tile.id for tile in library.browse.tiles(query, each)] for each in stretches]
    assert [each.count for each in stretches] == [len(ids) for ids in shown]
    assert all(0 < each.count <= STRETCH for each in stretches)
    assert [id for ids in shown for id in ids] == [
        each.id for each in sorted(made, key=lambda entry: (entry.created, entry.id), reverse=descending)
    ]
    created = {each.id: each.created for each in made}
    assert all(created[id][:7] == each.month for each, ids in zip(stretches, shown, strict=True) for id in ids)
    assert all(a.month != b.month or a.count == STRETCH for a, b in pairwise(stretches))


def test_a_stretch_is_the_same_after_pictures_came_and_went(tmp_path: Path) -> None:
    library, made = filled(tmp_path, ["2026-11-22T10:00:00Z"] * (STRETCH + 30))
    first, second = library.browse.stretches(Query())
    before = [tile.id for tile in library.browse.tiles(Query(), second)]
    assert len(before) == 30
    filled(tmp_path, ["2026-11-23T10:00:00Z"] * 7)
    library.delete([made[-1].id], keep_file=True)
    assert [tile.id for tile in library.browse.tiles(Query(), second)] == before
    again = stretch_of(key(second.first), key(second.last), 0, STRETCH)
    assert [tile.id for tile in library.browse.tiles(Query(), again)] == before
    assert made[-1].id not in {tile.id for tile in library.browse.tiles(Query(), first)}


def test_stretches_by_rating_and_score_go_by_place(tmp_path: Path) -> None:
    library, made = filled(tmp_path, ["2026-11-22T10:00:00Z"] * (STRETCH + 5))
    for k in (3, 9):
        library.rate(made[k].id, 5 if k == 9 else 4)
        library.score(made[k].id, Score(scorer="s", revision="1", value=k, scale="x", domain="d"))
    for query in (Query(sort="rating"), Query(sort="score", scorer="s")):
        stretches = library.browse.stretches(query)
        assert [(each.month, each.offset, each.count) for each in stretches] == [("", 0, STRETCH), ("", STRETCH, 5)]
        shown = [tile.id for each in stretches for tile in library.browse.tiles(query, each)]
        assert shown[:2] == [made[9].id, made[3].id]
        assert len(set(shown)) == len(made)


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        stretch_of("nonsense", "2026_x", 0, 5)


def test_tiles_say_what_a_grid_shows(tmp_path: Path) -> None:
    library, made = filled(tmp_path, ["2026-11-22T10:00:00Z"])
    library.rate(made[0].id, 4)
    (tile,) = library.browse.tiles(Query(text="fox"))
    assert (tile.id, tile.rating, tile.prompt, tile.model, tile.width, tile.lost) == (
        made[0].id,
        4,
        "fox 0",
        "pocket",
        48,
        False,
    )


def test_neighbours_and_how_many_are_newer(tmp_path: Path) -> None:
    library, made = filled(tmp_path, [f"2026-11-{day}T10:00:00Z" for day in (20, 21, 22)])
    old, middle, new = made
    place = (middle.created, middle.id)
    assert library.browse.beside(Query(), place) == (new.id, old.id)
    assert library.browse.beside(Query(), (new.created, new.id), {middle.id}) == (None, old.id)
    assert library.browse.beside(Query(descending=False), place) == (old.id, new.id)
    assert library.browse.beside(Query(), (new.created, new.id)) == (None, middle.id)
    assert library.browse.beside(Query(sort="rating"), place) == (None, None)
    assert library.browse.newer(Query(), place) == 1
    assert library.browse.newer(Query(text="nothing"), place) == 0


def test_a_family_is_its_oldest_ancestor_and_all_that_came_of_it(tmp_path: Path) -> None:
    library, (root,) = filled(tmp_path, ["2026-11-20"])
    _, (child, other) = filled(tmp_path, ["2026-11-21", "2026-11-22"], parent=root.id)
    _, (grandchild,) = filled(tmp_path, ["2026-11-23"], parent=child.id)
    _, (alone,) = filled(tmp_path, ["2026-11-24"], parent="gone0000000000")
    everybody = [root.id, child.id, other.id, grandchild.id]
    for each in everybody:
        assert [kin.id for kin in library.browse.family(each)] == everybody
    assert [kin.id for kin in library.browse.family(alone.id)] == [alone.id]
    assert library.browse.family("nobody00000000") == []


def test_a_circle_of_parents_ends(tmp_path: Path) -> None:
    library, (a, b) = filled(tmp_path, ["2026-11-20", "2026-11-21"])
    library.database.write("UPDATE pictures SET parent = ? WHERE id = ?", (b.id, a.id))
    library.database.write("UPDATE pictures SET parent = ? WHERE id = ?", (a.id, b.id))
    assert {kin.id for kin in library.browse.family(a.id)} == {a.id, b.id}


def test_models_by_use(tmp_path: Path) -> None:
    library, _ = filled(tmp_path, ["2026-11-20"] * 3)
    image = pixels()
    library.insert([entry_of(library.new_id(), tmp_path / "x.png", record(model="sdxl", image=image), "png", (48, 32))])
    assert list(library.browse.models()) == [("pocket", 3), ("sdxl", 1)]
