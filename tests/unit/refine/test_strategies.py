"""The strategies: what each proposes, in which order, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from limner import registry
from limner.errors import InvalidRequest, ModelError, NetworkError, OfflineError
from limner.refine.arms import Scored
from limner.refine.asking import World, answered
from limner.refine.atoms import atoms, plain
from limner.refine.language_model import KEY, server
from limner.refine.strategies.expand import Expand
from limner.refine.strategies.guidance import Guidance
from limner.refine.strategies.opt2i import Opt2i
from limner.refine.strategies.paraphrase import Paraphrase
from limner.refine.strategies.seeds import best_of
from limner.refine.strategies.weakest_atom import WeakestAtom
from limner.refine.strategy import Candidate, Probe, Strategy, Task, load, with_baseline
from limner.types import Request, Score
from tests.unit.refine.gauss import SEARCH, Gauss, design_of, task_of
from tests.unit.refine.language_server import answering

OWN = "a red fox in the snow at night"


def task(prompt: str = OWN, **more: object) -> Task:
    own = Request(prompt=prompt)
    words = plain(prompt)
    said: dict[str, object] = {"request": own, "words": words, "atoms": atoms(words), "slots": 6, "guidance": 5.0}
    return task_of(design_of(60), **(said | more))


def scored(probe: Probe, value: float) -> list[Scored]:
    score = Score(scorer=SEARCH, revision="1", value=value, scale="", domain="any")
    return [Scored(trial, "", {SEARCH: score}) for trial in probe.trials]


def proposed(strategy: Strategy, task: Task, worth: Mapping[str, float] | None = None) -> list[Candidate]:
    """Its proposals where a probe's value is that of the words, or else of the prompt."""
    proposals = strategy.propose(task, Random(1))
    try:
        probe = next(proposals)
        while True:
            name = probe.words or probe.trials[0].request.prompt
            probe = proposals.send(scored(probe, (worth or {}).get(name, 0.0)))
    except StopIteration as stop:
        return list(stop.value)


@pytest.mark.parametrize("name", registry.names("strategies"))
def test_each_strategy_says_what_it_does(name: str) -> None:
    strategy = load(name)
    assert strategy.name == name
    assert len(strategy.about) > 20


def test_paraphrase_is_always_a_candidate() -> None:
    assert with_baseline(()) == ("paraphrase", "weakest-atom", "expand", "guidance")
    assert with_baseline(["expand"]) == ("paraphrase", "expand")
    with pytest.raises(InvalidRequest, match="goes alone"):
        with_baseline(["expand", "seeds"])
    with pytest.raises(InvalidRequest, match="strategy"):
        with_baseline(["wekest-atom"])


def test_paraphrases_say_the_same_in_other_words() -> None:
    found = [each.request.prompt for each in proposed(Paraphrase(), task())]
    assert len(found) == len(set(found)) > 7
    assert OWN not in found
    assert all("fox" in text and "snow" in text and "night" in text for text in found)


def test_paraphrase_leaves_weights_alone() -> None:
    found = [each.request.prompt for each in proposed(Paraphrase(), task("a (red:1.3) fox in the snow"))]
    assert found
    assert all("a (red:1.3) fox in the snow" in text for text in found)


def test_the_weakest_phrase_is_strengthened_first() -> None:
    found = proposed(WeakestAtom(), task(), {"a red fox": 0.9, "the snow": 0.1, "night": 0.5})
    assert found[0].request.prompt == "a red fox in (the snow:1.3) at night"
    assert "the snow" in found[0].reason
    assert "honoured least" in found[0].reason
    assert [("night" in each.edit) for each in found].index(True) == 4  # after all four edits of the snow


def test_where_the_model_heeds_no_weights_none_are_used() -> None:
    found = proposed(WeakestAtom(), task(emphasis=False), {"the snow": -1.0})
    assert found[0].request.prompt == "the snow, a red fox in the snow at night"
    assert not any(":1." in each.request.prompt for each in found)


@pytest.mark.parametrize("prompt", ["a fox", "a (red:1.3) fox in the snow"])
def test_one_phrase_or_own_weights_are_left_alone(prompt: str) -> None:
    with pytest.raises(InvalidRequest, match=r"one phrase|weights of its own"):
        proposed(WeakestAtom(), task(prompt))


def test_settings_that_the_user_did_not_say_stay_unsaid() -> None:
    for strategy in (Paraphrase(), WeakestAtom(), Expand(), Guidance()):
        for each in proposed(strategy, task()):
            assert "steps" not in each.request.model_fields_set
            assert "model" not in each.request.model_fields_set


def test_expanding_keeps_the_users_words_in_front() -> None:
    found = proposed(Expand(), task())
    assert all(each.request.prompt.startswith(OWN) for each in found)


def test_expanding_by_a_model_drops_its_nonsense_and_says_so() -> None:
    answers = iter(["", OWN, f"{OWN}, misty, pine trees", "x " * 2_000] * 3)
    told: list[str] = []
    found = proposed(Expand(), task(slots=2, continue_=lambda text: next(answers), warn=told.append))
    assert found[0].request.prompt == f"{OWN}, misty, pine trees"
    assert any("nothing" in each for each in told)
    assert any("own words again" in each for each in told)


def test_guidance_moves_around_the_models_own() -> None:
    found = proposed(Guidance(), task())
    assert {each.request.guidance for each in found if each.request.guidance} == {7.0, 3.5, 10.0, 2.5}
    assert any(each.request.negative for each in found)
    assert all(each.request.prompt == OWN for each in found)
    with pytest.raises(InvalidRequest, match="no guidance"):
        proposed(Guidance(), task(guidance=1.0))


def test_opt2i_shows_the_model_what_was_tried_and_how_it_scored() -> None:
    with answering("1. a fox, snow everywhere\n2. night snow, a red fox", "a red fox deep in white snow") as llm:
        worth = {OWN: 0.25, "a fox, snow everywhere": 0.5}
        found = proposed(Opt2i(), task(slots=3, write=server(llm.url, "tiny")), worth)
    assert [each.request.prompt for each in found] == [
        "a fox, snow everywhere",
        "night snow, a red fox",
        "a red fox deep in white snow",
    ]
    assert llm.asked[0]["path"] == "/v1/chat/completions"
    assert llm.asked[0]["model"] == "tiny"
    first, second = llm.message(0), llm.message(1)
    assert f"{OWN} [searcher 0.25]" in first
    assert second.index("a fox, snow everywhere [searcher 0.5]") < second.index(f"{OWN} [searcher 0.25]")


def test_opt2i_with_nothing_but_nonsense_gives_up_and_says_why() -> None:
    told: list[str] = []
    with answering("", OWN.upper(), "As an AI I cannot") as llm:
        with pytest.raises(InvalidRequest, match="proposed nothing that can be drawn"):
            proposed(Opt2i(), task(write=server(llm.url), warn=told.append))
        assert len(llm.asked) == 2
    assert told == ["language model: it answered nothing", "language model: it answered your own words again"]


def test_opt2i_leaves_out_what_the_model_cannot_draw() -> None:
    told: list[str] = []
    refuse = {"a griffin"}
    asked = task(slots=1, warn=told.append, refused=lambda request: "no" if request.prompt in refuse else None)
    with answering("a griffin\na fox in the night") as llm:
        found = proposed(Opt2i(), replace(asked, write=server(llm.url)))
    assert [each.request.prompt for each in found] == ["a fox in the night"]
    assert "a griffin" in told[0]


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"choices": []}', 500, 401])
def test_a_broken_server_is_told(answer: bytes | int) -> None:
    with answering(answer) as llm, pytest.raises((ModelError, NetworkError), match="language model"):
        server(llm.url)("hello")


def test_an_absent_server_is_told() -> None:
    with pytest.raises(NetworkError, match="cannot be reached"):
        server("http://127.0.0.1:9/v1")("hello")


def test_the_key_comes_from_the_environment_and_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    with answering("fine") as llm:
        assert server(llm.url)("hello") == "fine"
    assert llm.keys == ["Bearer secret"]


def test_urls_are_checked() -> None:
    for url in ("ftp://x/v1", "http://", "file:///etc/passwd"):
        with pytest.raises(InvalidRequest):
            server(url)
    with pytest.raises(InvalidRequest, match="password"):
        server("http://me:secret@localhost/v1")
    with pytest.raises(OfflineError):
        server("https://api.example.org/v1", offline=True)
    assert server("http://localhost:8000/v1/chat/completions", offline=True).url == "http://localhost:8000/v1"


def test_best_of_n_draws_few_steps_first_and_counts_every_picture() -> None:
    design, gauss = design_of(60), Gauss(3)
    found = answered(best_of(design, 40, 20, World(lambda request: request.prompt)), gauss.answer)
    first, second = gauss.asked
    assert (len(first.trials), len(second.trials)) == (32, 8)
    assert first.trials[0].request.steps == 8
    assert second.trials[0].request.steps is None
    values = [each.value(SEARCH) for each in found]
    assert values == sorted(values, reverse=True, key=lambda value: value or 0.0)


def test_a_causal_model_goes_on_writing(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    from limner.refine.language_model_local import Chat, Continuation

    words = {word: k for k, word in enumerate(["<end>", "a", "red", "fox", "in", "the", "snow", "misty", "light"])}
    inner = Tokenizer(WordLevel(words, unk_token="<end>"))
    inner.pre_tokenizer = Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>").save_pretrained(tmp_path)
    config = transformers.GPT2Config(
        vocab_size=len(words), n_positions=512, n_embd=8, n_layer=1, n_head=1, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    write = Continuation(str(tmp_path), offline=True, seed=1)
    text = write("a red fox")
    assert text.startswith("a red fox")
    assert Continuation(str(tmp_path), offline=True, seed=1)("a red fox") == text
    assert isinstance(Chat(str(tmp_path), offline=True)("a red fox"), str)
    with pytest.raises(OfflineError, match="cannot be read"):
        Continuation(str(tmp_path / "none"), offline=True)("a")
