"""CLIPScore, PickScore, HPS and the aesthetic score against transformers' CLIP and tokenizer, and plain formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer

from limner.errors import CorruptFile, InvalidRequest, MismatchedWeights, UnsafeFile
from limner.evaluate.aesthetic import Aesthetic, Affine
from limner.evaluate.cache import ScoreCache
from limner.evaluate.clip_score import ClipB32, ClipL14
from limner.evaluate.hps import Hps
from limner.evaluate.pick_score import PickScore
from limner.evaluate.towers_pixels import PREPARE
from tests import scorers

PLAIN = ["a red fox in the snow", "two dogs", "grass"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scorers.clip(tmp_path_factory.mktemp("clip"))


def reference(folder: Path, texts: list[str], prepare: str) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Unit embeddings of pictures and texts, and exp(logit_scale), by transformers alone."""
    model = CLIPModel.from_pretrained(folder).eval()
    tokenizer = CLIPTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=77)
    ids = tokenizer(texts, padding=True, truncation=True, max_length=77, return_tensors="pt")
    pixels = torch.stack([PREPARE[prepare](picture, 32) for picture in scorers.pictures()])
    with torch.no_grad():
        out = model(input_ids=ids["input_ids"], attention_mask=ids["attention_mask"], pixel_values=pixels)
    return out.image_embeds, out.text_embeds, float(model.logit_scale.detach().exp())


def test_clip_score_is_the_published_formula(folder: Path) -> None:
    texts = ["a red fox in the snow", "two dogs", "grass"]
    pictures, words, _ = reference(folder, [f"A photo depicts {text}" for text in texts], "torchvision-crop")
    expected = 2.5 * (pictures * words).sum(-1).clamp(min=0)
    made = ClipB32(folder).score(scorers.pictures(), texts, ScoreCache(None))
    np.testing.assert_allclose([score.value for score in made], expected.numpy(), atol=2e-6)
    assert all(score.scorer == "clip-b32" and not score.flags and score.value > 0.1 for score in made)
    assert len({score.text for score in made}) == 3


def test_a_negative_cosine_is_zero(tmp_path: Path) -> None:
    folder = scorers.clip(tmp_path, seed=0)
    pictures, words, _ = reference(folder, ["A photo depicts grass"], "torchvision-crop")
    assert float((pictures * words).sum(-1).max()) < 0
    made = ClipB32(folder).score(scorers.pictures(), ["grass"] * 3, ScoreCache(None))
    assert [score.value for score in made] == [0.0] * 3


def test_pick_score_is_the_published_formula(folder: Path) -> None:
    pictures, words, scale = reference(folder, PLAIN, "processor-crop")
    made = PickScore(folder).score(scorers.pictures(), PLAIN, ScoreCache(None))
    expected = scale * (pictures * words).sum(-1)
    np.testing.assert_allclose([score.value for score in made], expected.numpy(), atol=2e-5)


def test_hps_is_the_raw_cosine_of_open_clips_weights(folder: Path, tmp_path: Path) -> None:
    """The same network, its weights under open_clip's names: the same embeddings, on padded pictures."""
    pictures, words, _ = reference(folder, ["a red fox", "two dogs", "grass"], "longest-padded")
    made = Hps(scorers.hps(tmp_path / "hps")).score(
        scorers.pictures(), ["a red fox", "two dogs", "grass"], ScoreCache(None)
    )
    np.testing.assert_allclose([score.value for score in made], (pictures * words).sum(-1).numpy(), atol=2e-6)


def test_texts_are_mended_as_clips_own_code_does(folder: Path) -> None:
    one, other = ScoreCache(None), ScoreCache(None)
    picture = scorers.pictures(1)
    odd = ClipB32(folder).score(picture, ["a fox &amp;amp;  grass"], one)[0].value
    assert odd == ClipB32(folder).score(picture, ["a fox & grass"], other)[0].value


def test_a_text_over_the_limit_is_read_to_the_limit_and_flagged(folder: Path) -> None:
    text = "fox " * 200
    (cut,) = ClipB32(folder).score(scorers.pictures(1), [text], ScoreCache(None))
    assert cut.flags == (f"text cut: 77 of {200 + len('Aphotodepicts') + 2} tokens read",)
    (same,) = ClipB32(folder).score(scorers.pictures(1), [text + " dog"], ScoreCache(None))
    assert same.value == cut.value  # what was cut does not matter; the flag says so


class Counting(ScoreCache):
    def __init__(self) -> None:
        super().__init__(None)
        self.puts: list[str] = []

    def put(self, key: str, embedding: np.ndarray) -> None:
        self.puts.append(key)
        super().put(key, embedding)


def test_one_pass_a_picture_for_all_metrics_of_a_backbone(tmp_path: Path) -> None:
    folder = scorers.aesthetic(tmp_path)
    cache = Counting()
    clip, looks = ClipL14(folder), Aesthetic(folder)
    pictures = [*scorers.pictures(), scorers.pictures(1)[0]]
    clip.score(pictures, ["a fox"] * 4, cache)
    assert len(cache.puts) == 4  # three pictures, one text
    looks.score(pictures, [""] * 4, cache)
    assert len(cache.puts) == 4
    assert clip.tower() is looks.tower()


def test_scores_do_not_depend_on_company(folder: Path) -> None:
    pictures = scorers.pictures(11)
    together = ClipB32(folder).score(pictures, ["a fox"] * 11, ScoreCache(None))
    for k in (0, 7, 10):
        (alone,) = ClipB32(folder).score([pictures[k]], ["a fox"], ScoreCache(None))
        assert alone.value == pytest.approx(together[k].value, abs=1e-6)


def test_aesthetic_is_the_published_head_on_unit_embeddings(tmp_path: Path) -> None:
    folder = scorers.aesthetic(tmp_path)
    pictures, _, _ = reference(folder, ["a"], "torchvision-crop")
    state = scorers.load_file(folder / "head.safetensors")
    x = pictures
    for k in (0, 2, 4, 6, 7):
        x = torch.nn.functional.linear(x, state[f"layers.{k}.weight"], state[f"layers.{k}.bias"])
    made = Aesthetic(folder).score(scorers.pictures(), ["", "", ""], ScoreCache(None))
    np.testing.assert_allclose([score.value for score in made], x[:, 0].numpy(), atol=2e-4)
    assert all(score.text is None for score in made)


def test_the_affine_collapse_is_checked(tmp_path: Path) -> None:
    made = Affine.read(scorers.head(tmp_path) / "head.safetensors")
    assert made.difference() < 1e-4
    made.bias += 1
    assert made.difference() > 0.9


def test_broken_heads_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    scorers.save_file({"layers.0.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(MismatchedWeights):
        Affine.read(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(CorruptFile):
        Affine.read(path)


def test_a_pickle_in_a_folder_is_refused_with_the_way_out(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UnsafeFile, match="pickle") as caught:
        ClipB32(tmp_path).score(scorers.pictures(1), ["a fox"], ScoreCache(None))
    assert "limner models convert" in caught.value.hint


def test_a_foreign_network_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state = scorers.load_file(folder / "model.safetensors")
    del state["visual_projection.weight"]
    scorers.save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(MismatchedWeights, match="visual_projection"):
        ClipB32(tmp_path).score(scorers.pictures(1), ["a fox"], ScoreCache(None))


def test_weights_of_a_folder_are_another_revision(folder: Path, tmp_path: Path) -> None:
    other = scorers.clip(tmp_path / "other", seed=5)
    assert len({ClipB32().card.revision, ClipB32(folder).card.revision, ClipB32(other).card.revision}) == 3
    assert ClipB32(folder, dtype="bfloat16").card.revision != ClipB32(folder).card.revision
    assert ClipB32(folder).card.repo is None
    assert ClipB32.card.repo == "openai/clip-vit-base-patch32"


def test_what_cannot_be_asked(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="texts"):
        ClipB32(folder).score(scorers.pictures(2), ["a fox"], ScoreCache(None))
    with pytest.raises(InvalidRequest, match="needs a text"):
        ClipB32(folder).score(scorers.pictures(1), ["  "], ScoreCache(None))
    with pytest.raises(InvalidRequest, match="a picture is"):
        ClipB32(folder).score([np.zeros((4, 4), np.uint8)], ["a fox"], ScoreCache(None))
    assert ClipB32(folder).score([], [], ScoreCache(None)) == []


def test_missing_says_the_command() -> None:
    assert ClipB32().missing() == "limner metrics pull clip-b32"


def test_pillow_is_what_resizes() -> None:
    """The published numbers were made with Pillow's filters; this pins them on a picture whose answer is known."""
    ramp = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    resized = np.asarray(Image.fromarray(ramp).resize((32, 32), Image.Resampling.BICUBIC))
    seen = PREPARE["torchvision-crop"](ramp, 32)
    back = seen.permute(1, 2, 0).numpy() * np.array((0.26862954, 0.26130258, 0.27577711)) + np.array(
        (0.48145466, 0.4578275, 0.40821073)
    )
    np.testing.assert_allclose(back * 255, resized, atol=1e-3)
