"""Reading a network's ``config.json`` field by field, with every type and range checked.

A config is foreign text: it decides how large a network is built and which mathematics it runs. So a value of the wrong
type is a :class:`CorruptFile`, a value out of range or one that asks for mathematics we do not have is a
:class:`MismatchedWeights`, and both name the key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from limner.errors import CorruptFile, MismatchedWeights

MAX_WIDTH = 1 << 20
"""Largest integer accepted for any size: far above every published network, far below what exhausts a machine."""

MAX_BLOCKS = 32


class Fields:
    """Typed look-up in a config mapping; remembers ``what`` is being read for its error messages."""

    def __init__(self, config: Mapping[str, object], what: str) -> None:
        self._config = config
        self._what = what

    def corrupt(self, key: str, expected: str) -> CorruptFile:
        return CorruptFile(
            f"the {self._what} config has {key} = {self._config.get(key)!r:.80}, but {expected} is expected",
            hint="download the config.json again, from the same revision as the weights",
        )

    def unsupported(self, key: str, reason: str = "which is not supported") -> MismatchedWeights:
        return MismatchedWeights(
            f"the {self._what} config sets {key} = {self._config.get(key)!r:.80}, {reason}",
            hint="this checkpoint needs another family; `limner models list` shows those that exist",
        )

    def integer(self, key: str, default: int, *, low: int = 1, high: int = MAX_WIDTH) -> int:
        """The integer at ``key``; ``default`` where the key is absent or null."""
        value = self._config.get(key)
        return default if value is None else self._bounded(key, value, low, high)

    def number(self, key: str, default: float) -> float:
        """The finite number at ``key``; ``default`` where the key is absent or null."""
        value = self._config.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
            raise self.corrupt(key, "a number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._config.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.corrupt(key, "true or false")
        return value

    def text(self, key: str, default: str, allowed: Collection[str]) -> str:
        value = self._config.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.corrupt(key, "a string")
        if value not in allowed:
            raise self.unsupported(key, f"but only {', '.join(sorted(allowed))} is supported")
        return value

    def integers(self, key: str, default: tuple[int, ...], *, low: int = 1) -> tuple[int, ...]:
        """A non-empty list of integers."""
        value = self._config.get(key)
        if value is None:
            return default
        return tuple(self._bounded(key, item, low, MAX_WIDTH) for item in self._items(key, value))

    def per_block(self, key: str, default: int, blocks: int, *, low: int = 1, high: int = MAX_WIDTH) -> tuple[int, ...]:
        """One integer for every block, or a list with one for each; always returned as a tuple of ``blocks``."""
        value = self._config.get(key)
        if not isinstance(value, list | tuple):
            return (self.integer(key, default, low=low, high=high),) * blocks
        if len(value) != blocks:
            raise self.corrupt(key, f"one number or a list of {blocks}")
        return tuple(self._bounded(key, item, low, high) for item in value)

    def names(self, key: str, default: tuple[str, ...], allowed: Collection[str]) -> tuple[str, ...]:
        """A non-empty list of block type names, each one of ``allowed``."""
        value = self._config.get(key)
        if value is None:
            return default
        names: list[str] = []
        for item in self._items(key, value):
            if not isinstance(item, str):
                raise self.corrupt(key, "a list of block types")
            if item not in allowed:
                raise self.unsupported(key, f"but only {', '.join(sorted(allowed))} are supported")
            names.append(item)
        return tuple(names)

    def refuse_others(self, known: Collection[str], neutral: Mapping[str, tuple[object, ...]]) -> None:
        """Refuse by name every key that could change the mathematics.

        ``known`` keys are read elsewhere; ``neutral`` keys may hold one of the listed values; any other key may be
        null or false. Keys starting with ``_`` are notes.
        """
        for key, value in self._config.items():
            if key.startswith("_") or key in known or value is None or value is False:
                continue
            # `1 == True` in Python, so the type is compared with the value.
            if not any(
                value == fine and isinstance(value, bool) == isinstance(fine, bool) for fine in neutral.get(key, ())
            ):
                raise self.unsupported(key)

    def _items(self, key: str, value: object) -> list[object]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_BLOCKS:
            raise self.corrupt(key, f"a list of 1 to {MAX_BLOCKS}")
        return list(value)

    def _bounded(self, key: str, value: object, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.corrupt(key, "a whole number")
        if not low <= value <= high:
            raise self.unsupported(key, f"but it must be from {low} to {high}")
        return value
