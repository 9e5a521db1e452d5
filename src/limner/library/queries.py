"""From a ``Query`` to SQL: every value is bound, no user text becomes SQL."""

from __future__ import annotations

import re
from typing import get_args

from limner.errors import InvalidRequest
from limner.library.database import Cell
from limner.library.entries import COLUMNS, Query, Sort

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def select(query: Query, *, full_text: bool) -> tuple[str, list[Cell]]:
    """The SELECT for a page of pictures, and its values. Raises ``InvalidRequest`` for an unknown sort, and for
    ``after`` in another one than by age."""
    where, values = conditions(query, full_text=full_text)
    if query.after is not None:
        if query.sort != "created":
            raise InvalidRequest("after: goes with pictures sorted by age", field="after", hint='sort="created"')
        way = "<" if query.descending else ">"
        where += f"{' AND' if where else ' WHERE'} (pictures.created, pictures.id) {way} (?, ?)"
        values += query.after
    order, more = _order(query)
    sql = f"SELECT {columns()} FROM pictures{where} ORDER BY {order} LIMIT ? OFFSET ?"
    return sql, [*values, *more, -1 if query.limit is None else max(query.limit, 0), max(query.offset, 0)]


def count(query: Query, *, full_text: bool) -> tuple[str, list[Cell]]:
    """The SELECT that counts, and its values."""
    where, values = conditions(query, full_text=full_text)
    return f"SELECT count(*) FROM pictures{where}", values


def conditions(query: Query, *, full_text: bool) -> tuple[str, list[Cell]]:
    """The WHERE clause (empty where nothing restricts), and its values."""
    parts: list[str] = []
    values: list[Cell] = []
    for sql, value in (
        ("model = ?", query.model),
        ("rating >= ?", query.rating),
        ("created >= ?", query.since),
        ("created < ?", query.until),
        ("seed = ?", query.seed),
        ("source = ?", query.source),
        ("parent = ?", query.parent),
        ("lost = ?", None if query.lost is None else int(query.lost)),
    ):
        if value is not None:
            parts.append(f"pictures.{sql}")
            values.append(value)
    for bound, scores in ((">=", query.at_least), ("<=", query.at_most)):
        for scorer, limit in scores:
            parts.append(f"pictures.id IN (SELECT picture FROM scores WHERE scorer = ? AND value {bound} ?)")
            values += [scorer, limit]
    if query.text.strip():
        sql, found = _text(query.text, full_text=full_text)
        parts.append(sql)
        values += found
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), values


def _text(text: str, *, full_text: bool) -> tuple[str, list[Cell]]:
    """Words by the full-text index, as prefixes; by LIKE where there is none, or for scripts without spaces."""
    words = _WORD.findall(text)
    if full_text and words and not _UNSPACED.search(text):
        phrase = " ".join(f'"{word}"*' for word in words)
        return "pictures.n IN (SELECT rowid FROM pictures_text WHERE pictures_text MATCH ?)", [phrase]
    clauses: list[str] = []
    values: list[Cell] = []
    for word in text.split():
        escaped = re.sub(r"([\\%_])", r"\\\1", word)
        clauses.append(r"(prompt || char(10) || negative || char(10) || model) LIKE ? ESCAPE '\'")
        values.append(f"%{escaped}%")
    return "(" + " AND ".join(clauses) + ")", values


def _order(query: Query) -> tuple[str, list[Cell]]:
    if query.sort not in get_args(Sort):
        raise InvalidRequest(
            f"sort: {query.sort!r} is not an order", field="sort", hint=f"one of {', '.join(get_args(Sort))}"
        )
    way = "DESC" if query.descending else "ASC"
    age = f"pictures.created {way}, pictures.id {way}"
    if query.sort == "created":
        return age, []
    if query.sort == "rating":
        return f"pictures.rating {way} NULLS LAST, {age}", []
    most = "max" if query.descending else "min"
    score = f"(SELECT {most}(value) FROM scores WHERE picture = pictures.id AND (? IS NULL OR scorer = ?))"
    return f"{score} {way} NULLS LAST, {age}", [query.scorer, query.scorer]


def columns() -> str:
    """All columns of a picture, by their table's name too."""
    return ", ".join(f"pictures.{name.strip()}" for name in COLUMNS.split(","))
