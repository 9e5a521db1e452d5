"""VQAScore and question atoms against transformers' own model and processor, and the rule of parents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from limner.errors import CorruptFile, InvalidRequest, MismatchedWeights
from limner.evaluate.atoms_vqa import AtomsVqa, Question, by_rules
from limner.evaluate.cache import ScoreCache
from limner.evaluate.vqa_score import QUESTION, VqaScore
from tests import scorers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scorers.seer(tmp_path_factory.mktemp("seer"))


def chances(folder: Path, picture: np.ndarray, question: str) -> torch.Tensor:
    """The answer's first token, by the model on inputs put together here: no processor class, no chat helper."""
    words = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)([Image.fromarray(picture)], return_tensors="pt")
    places = int(images["image_grid_thw"].prod()) // 4
    prompt = f"<|im_start|> user\n<|vision_start|>{'<|image_pad|>' * places}<|vision_end|>{question}<|im_end|>\n"
    ids = words(prompt + "<|im_start|> assistant\n", return_tensors="pt")["input_ids"]
    net = Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()
    kinds = (ids == words.convert_tokens_to_ids("<|image_pad|>")).int()
    with torch.no_grad():
        out = net(input_ids=ids, mm_token_type_ids=kinds, **images)
    return out.logits[0, -1].double().softmax(-1)


def first(folder: Path, word: str) -> int:
    found: int = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(word)
    return found


def test_vqa_score_is_the_chance_of_yes(folder: Path) -> None:
    pictures, texts = scorers.pictures(2), ["a red fox", "the blue dog in the snow"]
    made = VqaScore(folder, device="cpu", dtype="float32").score(pictures, texts, ScoreCache(None))
    for picture, text, score in zip(pictures, texts, made, strict=True):
        expected = chances(folder, picture, QUESTION.format(text))[first(folder, "Yes")]
        assert score.value == pytest.approx(float(expected), rel=1e-4)
    assert made[0].value != made[1].value


def test_an_atom_is_yes_against_no(folder: Path) -> None:
    metric = AtomsVqa(folder, device="cpu", dtype="float32", questions=lambda _: [Question("Is there a fox?")])
    (answer,) = metric.answers(scorers.pictures(1)[0], "a fox")
    whole = chances(folder, scorers.pictures(1)[0], "Is there a fox? Please answer yes or no.")
    yes, no = (float(whole[first(folder, word)]) for word in ("Yes", "No"))
    assert answer.chance == pytest.approx(yes / (yes + no), rel=1e-4)


class Said:
    """A model that answers what it was told."""

    def __init__(self, **answers: float) -> None:
        self.answers = answers

    def yes(self, _pixels: object, question: str, *, among: object = ()) -> float:
        return self.answers[question.split()[0]]


def test_children_of_no_count_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Question("dog?"), Question("brown?", (0,)), Question("spotted?", (1,)), Question("grass?")]
    metric = AtomsVqa(folder, questions=lambda _: asked)
    monkeypatch.setattr(metric, "seer", lambda: Said(**{"dog?": 0.2, "brown?": 0.9, "spotted?": 0.8, "grass?": 1.0}))
    answers = metric.answers(scorers.pictures(1)[0], "x")
    assert [answer.value for answer in answers] == [0.2, 0.0, 0.0, 1.0]
    assert [answer.chance for answer in answers] == [0.2, 0.9, 0.8, 1.0]
    (score,) = metric.score(scorers.pictures(1), ["x"], ScoreCache(None))
    assert score.value == pytest.approx(0.3)


@pytest.mark.parametrize("asked", [[], [Question("a", (0,))], [Question("a"), Question("b", (5,))]])
def test_questions_that_make_no_sense_are_refused(folder: Path, asked: list[Question]) -> None:
    metric = AtomsVqa(folder, questions=lambda _: asked)
    with pytest.raises(InvalidRequest):
        metric.score(scorers.pictures(1), ["x"], ScoreCache(None))


def test_rules_make_one_question_a_phrase_and_one_of_the_whole() -> None:
    questions = by_rules("a red fox in the snow, two dogs")
    assert [question.text for question in questions] == [
        "Does this picture show a red fox?",
        "Does this picture show the snow?",
        "Does this picture show two dogs?",
        'Does this picture show "a red fox in the snow, two dogs"?',
    ]
    assert questions[-1].parents == (0, 1, 2)
    assert by_rules("fox") == (Question("Does this picture show fox?"),)
    assert by_rules(" , ") == ()


def test_other_questions_are_another_revision(folder: Path) -> None:
    assert AtomsVqa(folder, questions=lambda _: []).card.revision != AtomsVqa(folder).card.revision


def test_broken_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state = scorers.load_file(tmp_path / "model.safetensors")
    gone = next(name for name in state if name.endswith("q_proj.weight"))
    scorers.save_file({n: t for n, t in state.items() if n != gone}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(MismatchedWeights, match="lacks 1 weights"):
        VqaScore(tmp_path).score(scorers.pictures(1), ["a fox"], ScoreCache(None))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(CorruptFile):
        VqaScore(tmp_path).score(scorers.pictures(1), ["a fox"], ScoreCache(None))
