"""Prompts from files: every format, every mistake with its line, ids that let a second run skip what is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.prompts import files
from limner.prompts.files import PromptLine, misnamed, read_prompts
from limner.types import Request


def _read(folder: Path, name: str, content: str | bytes) -> tuple[PromptLine, ...]:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_prompts(file)


def test_txt(tmp_path: Path) -> None:
    found = _read(tmp_path, "p.txt", '\ufeffa fox\r\n\r\n# a comment\r\n  two cats, "q"  \r\n\\#1 fan\r\n')
    assert [(line.prompt, line.line) for line in found] == [("a fox", 1), ('two cats, "q"', 4), ("#1 fan", 5)]


def test_csv_columns_become_fields_and_tags(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        "p.csv",
        "Prompt,Negative Prompt,seed,size,CFG scale,style,mood\n"
        'a fox,"blurry, dark",7,512x768,4.5,"ink, photo",calm\n'
        '"a\nb",,,,,,\n'
        "\n"
        "an owl,,20.0\n",
    )
    assert found[0].prompt == "a fox"
    assert found[0].negative == "blurry, dark"
    assert found[0].fields == {"seed": 7, "width": 512, "height": 768, "guidance": 4.5, "styles": ("ink", "photo")}
    assert found[0].tags == {"mood": "calm"}
    assert [(line.prompt, line.line) for line in found] == [("a fox", 2), ("a\nb", 3), ("an owl", 6)]
    assert found[2].fields == {"seed": 20}


def test_fields_are_those_of_a_request(tmp_path: Path) -> None:
    header = "prompt,negative,seed,steps,guidance,width,height,model,n,solver,styles"
    (line,) = _read(tmp_path, "p.csv", f"{header}\na fox,dull,1,20,4,128,128,pocket,2,euler,ink\n")
    request = Request.of(prompt=line.prompt, negative=line.negative, **line.fields)
    assert (request.seed, request.steps, request.n, request.styles) == (1, 20, 2, ("ink",))


def test_partiprompts_tsv(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        "PartiPrompts.tsv",
        "Prompt\tCategory\tChallenge\tNote\n"
        "a bird\tAnimals\tBasic\tBiology-inspired concepts\n"
        '"A" is for apple\tArts\tWriting\n'
        '"""Deep Learning"" on a sign"\tArts\tWriting\t\n'
        '"lone quote\tArts\tWriting\t\n',
    )
    assert [line.prompt for line in found] == ["a bird", '"A" is for apple', '"Deep Learning" on a sign', '"lone quote']
    assert found[0].tags == {"Category": "Animals", "Challenge": "Basic", "Note": "Biology-inspired concepts"}
    assert all(not line.fields for line in found)


def test_jsonl(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        "p.jsonl",
        '{"prompt": "a fox", "seed": 3, "guidance": 5, "styles": ["ink", "photo"], "own": true, "none": null}\n\n'
        '{"text": "an owl", "negative_prompt": "dull", "id": 12}\n',
    )
    assert found[0].fields == {"seed": 3, "guidance": 5.0, "styles": ("ink", "photo")}
    assert found[0].tags == {"own": "true"}
    assert (found[1].prompt, found[1].negative, found[1].tags, found[1].line) == ("an owl", "dull", {"id": "12"}, 3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", "# only comments\n\n", "holds no prompt"),
        ("p.txt", b"fine\nk\xe4se", "line 2: not UTF-8"),
        ("p.txt", "fox".encode("utf-16"), "UTF-16"),
        ("p.txt", "ok\n" + "x" * 100_001, "line 2: 100,001 characters"),
        ("p.csv", "a,b\n1,2\n", "line 1: no column is called prompt"),
        ("p.csv", "prompt,seed\na,1\nb,x\n", "line 3: seed is 'x', not a whole number"),
        ("p.csv", "prompt,seed\na,1.5\n", "line 2: seed"),
        ("p.csv", "prompt,guidance\na,nan\n", "line 2: guidance"),
        ("p.csv", "prompt,size\na,big\n", "line 2: size"),
        ("p.csv", "prompt,seed\na fox, red,1\n", "line 2: 3 cells, but 2 columns"),
        ("p.csv", "prompt,seed\n,1\n", "line 2: the prompt is empty"),
        ("p.csv", 'prompt\na\n"b', "line 3"),
        ("p.jsonl", '{"prompt": "a"}\n{"prompt": \n', "line 2: not JSON"),
        ("p.jsonl", '["a"]\n', "line 1: not an object"),
        ("p.jsonl", '{"prompt": "a", "seed": {"a": 1}}\n', "line 1: 'seed'"),
        ("p.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("p.jsonl", '{"prompt": "a", "seed": ' + "9" * 5000 + "}", "line 1: not JSON"),
        ("p.csv", "prompt,seed\na," + "9" * 5000, "line 2: seed"),
        ("p.docx", "a", "its format"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        _read(tmp_path, name, content)
    assert name in str(caught.value)
    assert caught.value.hint


def test_missing_folder_and_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="no such file"):
        read_prompts(tmp_path / "none.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_prompts(tmp_path / "folder.txt")
    monkeypatch.setattr(files, "LARGEST_FILE", 10)
    with pytest.raises(InvalidRequest, match="the limit is"):
        _read(tmp_path, "p.txt", "a longer prompt")


def test_ids_stay_when_lines_move_and_differ_for_repeats(tmp_path: Path) -> None:
    before = _read(tmp_path, "p.txt", "a fox\nan owl\na fox\n")
    after = _read(tmp_path, "p.txt", "# new\na hen\nan owl\na fox\n")
    assert len({line.id for line in before}) == 3
    assert before[2].id == f"{before[0].id}-2"
    assert {line.prompt: line.id for line in after}.items() >= {"a fox": before[0].id, "an owl": before[1].id}.items()
    seeds = _read(tmp_path, "p.csv", "prompt,seed,mood\na fox,,x\na fox,1,\na fox,2,\n")
    assert seeds[0].id == before[0].id
    assert len({line.id for line in seeds}) == 3


def test_ids_are_pinned(tmp_path: Path) -> None:
    """A resumed run of a later version must know what this one drew."""
    (line,) = _read(tmp_path, "p.txt", "a red fox")
    assert line.id == "0b277b783a7f0612"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300), st.sampled_from([".txt", ".csv", ".tsv", ".jsonl"]), st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes, suffix: str, header: bool) -> None:
    try:
        found = _read(tmp_path, f"any{suffix}", (b"prompt,seed\n" if header else b"") + data)
    except InvalidRequest:
        return
    assert all(line.prompt.strip() and line.line >= 1 and line.id for line in found)


def test_a_column_that_is_likely_a_field_misspelt_is_found(tmp_path: Path) -> None:
    lines = _read(tmp_path, "p.csv", "prompt,sed,stps,CFG Scal,Category,Note,id,source\na fox,7,4,5,animals,x,1,web\n")
    assert misnamed(lines) == {"sed": "seed", "stps": "steps", "CFG Scal": "guidance"}
    assert lines[0].tags["sed"] == "7"
    assert misnamed(_read(tmp_path, "p.jsonl", '{"prompt": "a fox", "guidence": 3}')) == {"guidence": "guidance"}
    assert not misnamed(_read(tmp_path, "q.tsv", "Prompt\tCategory\tChallenge\tNote\na fox\tAnimals\tBasic\tn\n"))


def test_a_misspelt_prompt_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _read(tmp_path, "p.csv", "promt,seed\na fox,1\n")
    assert caught.value.hint == "it has promt, seed; did you mean promt → prompt?"
