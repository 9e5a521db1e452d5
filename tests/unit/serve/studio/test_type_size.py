"""Sizes in rem are sizes of the root's font: a root that is not 16 pixels makes all text, and fields, smaller."""

from __future__ import annotations

import re

from limner.serve.studio.statics import FILES


def test_the_root_keeps_the_browsers_font_size() -> None:
    """A field below 16 pixels makes phones zoom in when it is touched."""
    for name, data in FILES.items():
        if not name.endswith(".css"):
            continue
        for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", data.decode()):
            if {each.strip() for each in selectors.split(",")} & {"html", ":root"}:
                assert not re.search(r"(^|;|\s)font(-size)?:", body), f"{name}: {selectors.strip()} sets a font"
