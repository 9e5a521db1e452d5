"""The documentation runs: every command and every piece of Python in it, in order, page by page, in a home of its own.

- A ```` ```sh ```` block holds ``limner`` commands, one a line; ``# exits 2`` after one says how it must end, else 0.
- A ```` ```python ```` block is executed; the blocks of a page share their names.
- A ```` ```text ```` block without such a mark is what the command before it prints on stdout.
- ``<!-- file: NAME -->`` before a block of another kind writes it to the reader's folder (``~/NAME``: Limner's own).
- ``<!-- needs: network -->`` (or a GPU, or a file of yours) before a block: only its options or syntax are checked.
- Other commands (``make``, ``git``, ``pip``) stand in ```` ```console ```` blocks, which nobody runs.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faces.calling import limner_in
from tests.faces.reading import ROOT, small_and_fast

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"(?:^<!-- *(file|needs): *(.+?) *-->\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXITS = re.compile(r"#\s*exits (\d+)")
LARGEST_PICTURES = 600_000  # bytes, all of them


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    kind: str
    text: str
    file: str | None = None
    needs: str | None = None

    def __str__(self) -> str:
        return f"{self.page.name}, line {self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = []
    for match in BLOCK.finditer(text):
        mark, value, kind, body = match.groups()
        line = text.count("\n", 0, match.start(4)) + 1
        said = {mark: value} if mark else {}
        found.append(Block(page, line, kind, body, said.get("file"), said.get("needs")))
    return found


def commands(block: Block) -> list[tuple[list[str], int]]:
    """(arguments after ``limner``, exit code) of each line."""
    found = []
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "limner", f"{block}: {line!r} is no limner command; use a console block"
        exits = EXITS.search(line)
        found.append((words[1:], int(exits[1]) if exits else 0))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(page: Path, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    names: dict[str, object] = {"__name__": "docs"}
    printed = ""
    with small_and_fast(monkeypatch):
        for block in blocks(page):
            if block.file is not None:
                place = own_home / block.file[2:] if block.file.startswith("~/") else work / block.file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(block.text, "utf-8")
            elif block.kind == "sh":
                printed = run_commands(block, own_home)
            elif block.kind == "text":
                assert printed == block.text, f"{block}: now it prints\n{printed}"
            elif block.kind == "python":
                code = compile(block.text, str(block), "exec")
                if block.needs is None:
                    exec(code, names)


def run_commands(block: Block, home: Path) -> str:
    """Run them, or only check their options; what the last one printed on stdout."""
    limner = limner_in(home)
    printed = ""
    for args, code in commands(block):
        if block.needs is not None:
            cut = args.index("--") if "--" in args else len(args)
            args, code = [*args[:cut], "--help", *args[cut:]], 0
        result = limner(*args)
        said = f"{block}: limner {shlex.join(args)}\n{result.stdout}{result.stderr}"
        assert result.exit_code == code, said
        assert "Traceback" not in result.stderr, said
        printed = result.stdout
    return printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    anchors = {other: headings(other) for other in PAGES}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors[there], f"{page.name}: {target}"


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings, as code hosts make them."""
    found = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_pictures_are_small_and_all_are_shown() -> None:
    pictures = {path for path in (ROOT / "docs" / "pictures").iterdir() if path.suffix in (".webp", ".png", ".jpg")}
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", page.read_text("utf-8"))
    }
    assert pictures == {path for path in shown if path.is_relative_to(ROOT / "docs" / "pictures")}
    assert sum(path.stat().st_size for path in pictures) < LARGEST_PICTURES


def test_every_command_and_option_of_drawing_is_in_the_guide() -> None:
    from limner.cli.draw import command
    from limner.cli.main import COMMANDS

    guide = (ROOT / "docs" / "guide.md").read_text("utf-8")
    assert [name for name in COMMANDS if not re.search(rf"limner {name}\b", guide)] == []
    flags = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert [flag for flag in sorted(flags) if flag not in guide] == []


def test_a_lie_is_noticed(own_home: Path, tmp_path: Path) -> None:
    """The check itself: a wrong option fails, also where the block is not run, and so does a wrong exit code."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- needs: network -->\n```sh\nlimner a fox -m sd15 --stepz 3\n```\n\n"
        "```sh\nlimner solvers --nonsense\n```\n\n```sh\nlimner solvers # exits 2\n```\n",
        "utf-8",
    )
    found = blocks(page)
    assert [block.needs for block in found] == ["network", None, None]
    for block in found:
        with pytest.raises(AssertionError):
            run_commands(block, own_home)
