"""ImageReward against transformers' BLIP on the same weights, its head, constants and 35 tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import BlipTextConfig, BlipVisionConfig
from transformers.models.blip.modeling_blip import BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

from limner.evaluate.cache import ScoreCache
from limner.evaluate.image_reward import DEVIATION, MEAN, ImageReward
from limner.evaluate.towers_pixels import torchvision_crop
from tests import scorers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scorers.reward(tmp_path_factory.mktemp("reward"))


def reference(folder: Path, picture: np.ndarray, ids: list[int], padding: int) -> float:
    """The published computation on transformers' BLIP: padded ids with their mask, state of [CLS], head, constants."""
    c = scorers.BLIP
    state = scorers.load_file(folder / "model.safetensors")
    vision = BlipVisionModel(
        BlipVisionConfig(
            hidden_size=c.vision_width, intermediate_size=4 * c.vision_width, num_hidden_layers=c.vision_layers,
            num_attention_heads=c.vision_heads, image_size=c.image_size, patch_size=c.patch_size, layer_norm_eps=1e-6,
        )
    ).eval()  # fmt: skip
    seen = {}
    renamed = (("blocks.", "encoder.layers."), (".norm1.", ".layer_norm1."), (".norm2.", ".layer_norm2."),
               (".attn.qkv.", ".self_attn.qkv."), (".attn.proj.", ".self_attn.projection."),
               ("patch_embed.proj.", "embeddings.patch_embedding."))  # fmt: skip
    for name, tensor in state.items():
        if name.startswith("blip.visual_encoder."):
            name = name.removeprefix("blip.visual_encoder.")
            for old, new in renamed:
                name = name.replace(old, new)
            outer = {"cls_token": "embeddings.class_embedding", "pos_embed": "embeddings.position_embedding"}
            name = outer.get(name, name)
            name = name.replace("norm.", "post_layernorm.") if name.startswith("norm.") else name
            seen[name] = tensor
    vision.load_state_dict(seen)
    text = BlipTextModel(
        BlipTextConfig(
            vocab_size=c.vocab_size, hidden_size=c.hidden_size, encoder_hidden_size=c.vision_width,
            intermediate_size=c.intermediate_size, num_hidden_layers=c.num_hidden_layers,
            num_attention_heads=c.num_attention_heads, max_position_embeddings=c.max_position_embeddings,
        ),
        add_pooling_layer=False,
    ).eval()  # fmt: skip
    words = {
        name.removeprefix("blip.text_encoder."): tensor
        for name, tensor in state.items()
        if name.startswith("blip.text_encoder.") and not name.endswith("position_ids")
    }
    missing, unexpected = text.load_state_dict(words, strict=False)
    assert not unexpected
    assert all(name.endswith("position_ids") for name in missing)
    row = torch.tensor([ids + [0] * padding])
    mask = torch.tensor([[1] * len(ids) + [0] * padding])
    with torch.no_grad():
        tokens = vision(torchvision_crop(picture, c.image_size)[None]).last_hidden_state
        out = text(row, attention_mask=mask, encoder_hidden_states=tokens, is_decoder=False)
        x = out.last_hidden_state[:, 0]
        for k in (0, 2, 4, 6, 7):
            x = torch.nn.functional.linear(x, state[f"mlp.layers.{k}.weight"], state[f"mlp.layers.{k}.bias"])
    return (float(x) - MEAN) / DEVIATION


def ids_of(folder: Path, text: str) -> list[int]:
    ids: list[int] = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    return ids


def test_it_is_the_published_computation(folder: Path) -> None:
    """Also in a batch of texts of other lengths, which the reference pads to 35."""
    texts = ["a red fox in the snow", "the dog", "a blue fox on grass. the dog is in the picture"]
    pictures = scorers.pictures()
    made = ImageReward(folder).score(pictures, texts, ScoreCache(None))
    for picture, text, score in zip(pictures, texts, made, strict=True):
        ids = ids_of(folder, text)
        expected = reference(folder, picture, ids, 35 - len(ids))
        assert score.value == pytest.approx(expected, rel=2e-4)
        assert score.flags == ()


def test_the_36th_token_is_not_read_and_the_score_says_so(folder: Path) -> None:
    exact, long = "fox " * 33, "fox " * 33 + "dog " * 30
    (first,) = ImageReward(folder).score(scorers.pictures(1), [exact], ScoreCache(None))
    (second,) = ImageReward(folder).score(scorers.pictures(1), [long], ScoreCache(None))
    assert first.flags == ()
    assert second.flags == ("text cut: 35 of 65 tokens read",)
    assert first.value == pytest.approx(second.value, abs=1e-5)
    ids = ids_of(folder, long)
    expected = reference(folder, scorers.pictures(1)[0], [*ids[:34], ids[-1]], 0)
    assert second.value == pytest.approx(expected, rel=2e-4)


def test_text_and_picture_both_matter(folder: Path) -> None:
    pictures, metric = scorers.pictures(2), ImageReward(folder)
    values = {s.value for s in metric.score(pictures, ["a red fox"] * 2, ScoreCache(None))}
    values |= {s.value for s in metric.score(pictures, ["the dog"] * 2, ScoreCache(None))}
    assert len(values) == 4


def test_constants_are_the_published_ones() -> None:
    assert (MEAN, DEVIATION) == (0.16717362830052426, 1.0333394966054072)
    assert ImageReward.card.token_limit == 35
