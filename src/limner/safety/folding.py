"""One character as plain as it gets: case, width, accents, ornaments and look-alikes away, and no letter lost.

Unicode's own decompositions (NFKD) do most of it; what they leave alone (Latin letters of phonetics, squared letters,
Cyrillic and Greek letters that look like Latin ones) stands in tables here, a choice from Unicode's confusables
(UTS 39).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

_PLAIN: Final = str.maketrans(
    {
        **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),
        **dict(
            zip("øłđħıŧƀɓƈɗɠɦɨɭɱɲŋɵƥɾʂƭʉʋɯʍʑɑɡɩɐɔəɛɟɥʞɹʇʌʎ", "oldhitbbcdghilmnnoprstuvmwzagiacaefhkrtvy", strict=True)
        ),
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ð": "d",
        "ß": "ss",
        "👶": " baby ",
        "👧": " girl ",
        "👦": " boy ",
        "🧒": " child ",
        "🔞": " nsfw ",
    }
)
_SQUARED: Final = ((0x1F130, 26), (0x1F150, 26), (0x1F170, 26), (0x1F1E6, 26))
LOOKALIKES: Final = str.maketrans(
    {
        **dict(zip("аеорсухкмтнвзіјѕԁһԛԝӏьпгиьўѵҽ", "aeopcyxkmthb3ijsdhqwlbnrnbyve", strict=True)),
        **dict(zip("αβγδεζηικλμνορστυχω", "abydeznikluvopotuxw", strict=True)),
        **dict(zip("օսռցհոքեԁ", "ounghnped", strict=True)),
    }
)
"""Cyrillic, Greek and Armenian letters to the Latin letters that they look like, once folded."""
_VOICED: Final = frozenset("\u3099\u309a")
_EMPTY: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")  # letters by name that show nothing


@lru_cache(maxsize=8192)
def fold(character: str) -> str:
    """The plain form of one character: none, one or several characters. A voicing mark of kana stays."""
    before, after = character, _once(character)
    for _ in range(4):
        if after == before:
            break
        before, after = after, "".join(map(_once, after))
    return after


def _once(character: str) -> str:
    if character in _VOICED:
        return character
    if character in _EMPTY or unicodedata.category(character) in ("Cf", "Cc", "Co", "Cn", "Cs"):
        return " " if character.isspace() else ""
    if character.isspace():
        return " "
    for start, size in _SQUARED:
        if start <= ord(character) < start + size:
            return chr(ord("a") + ord(character) - start)
    wide = unicodedata.normalize("NFKD", character).casefold().translate(_PLAIN)
    kept = "".join(each for each in wide if each in _VOICED or unicodedata.category(each) not in ("Mn", "Me"))
    return (
        unicodedata.normalize("NFC", kept)
        if "\u3040" <= kept[:1] <= "\u30ff" or "\uac00" <= character <= "\ud7a3"
        else kept
    )
