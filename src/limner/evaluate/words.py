"""The words that a picture is scored against, and how scores name them."""

from __future__ import annotations

import re

from limner.canonical import tagged
from limner.prompts.syntax import Break, parse_weights, schedule

_TAG = re.compile(r"<(?:lora|lyco):[^<>]*>", re.IGNORECASE)
_STEPS = 20  # of a picture of any number of steps: only the words that end it count


def plain_words(prompt: str) -> str:
    """A prompt as a person would say it: without weights, brackets, BREAK and LoRA tags; of words scheduled over the
    steps, those that end it.

    >>> plain_words("a (red:1.3) fox [in snow], <lora:ink:0.8>")
    'a red fox in snow,'
    """
    said = schedule(_TAG.sub(" ", prompt), _STEPS)[-1].text
    parts = [" " if isinstance(piece, Break) else piece.text for piece in parse_weights(said)]
    return " ".join("".join(parts).split())


def text_hash(text: str) -> str:
    """What ``Score.text`` holds for a text: its tagged hash."""
    return tagged(text.encode("utf-8", "surrogatepass"))
