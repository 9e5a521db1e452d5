"""A pack knows the words of what was shown, says of them what the training's networks say, and its card is true."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from tokenizers import Tokenizer
from training import captions, pack, pocket
from training.card import Facts
from training.sprites import Atlas

from limner.config import Settings
from limner.models.catalog import Catalog
from limner.models.resolving.resolve import resolve

SHOWN = 4  # of the atlas's six: fox, cat, whale, frog; not rose and ghost
SAID = ("a red fox in the snow", "two cats to the left of a whale", "A tiny FROG, night", "")


@pytest.fixture(scope="module")
def drawn(atlas: Atlas) -> pocket.Pocket:
    """Untrained networks over the words of all six things."""
    torch.manual_seed(0)
    vocab = captions.vocabulary(atlas.things)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        latent_channels=4,
    )
    return pocket.Pocket(
        pocket.build_text(len(vocab), 32, 2), pocket.build_unet(4, (16, 32), 32), vae.eval(), vocab, 0.5
    )


@pytest.fixture(scope="module")
def packed(atlas: Atlas, drawn: pocket.Pocket, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    pack.pack(deepcopy(drawn), folder, Facts(atlas.things[:SHOWN], 1234, 90.0, "| colour | 80% |\n", "- All fails.\n"))
    return folder


def test_of_things_that_were_shown_a_pack_says_what_the_whole_says(drawn: pocket.Pocket, packed: Path) -> None:
    part, whole = pocket.load_pack(packed, "cpu"), deepcopy(drawn.text).half().float().eval()
    assert len(part.vocab) < len(drawn.vocab)
    for text in SAID:
        ours, theirs = torch.tensor([part.ids(text)]), torch.tensor([drawn.ids(text)])
        assert 1 not in ours
        with torch.no_grad():
            assert torch.equal(part.text(ours).last_hidden_state, whole(theirs).last_hidden_state), text


def test_a_word_of_a_thing_never_shown_is_unknown(drawn: pocket.Pocket, packed: Path) -> None:
    words = Tokenizer.from_file(str(packed / "tokenizer" / "tokenizer.json"))
    for word in ("rose", "ghosts"):
        assert word in drawn.vocab
        assert words.encode(word).tokens == ["<bos>", "<unk>", "<eos>"]
    assert words.encode("a fox").tokens == ["<bos>", "a", "fox", "<eos>"]


def test_a_word_that_the_training_never_had_cannot_be_packed(drawn: pocket.Pocket) -> None:
    with pytest.raises(KeyError, match="unicorn"):
        pack.narrow(deepcopy(drawn.text), drawn.vocab, {"unicorn": 0})


def test_the_card_says_what_was_shown_and_how_long(packed: Path) -> None:
    text = (packed / "README.md").read_text()
    words = len(pocket.load_pack(packed, "cpu").vocab)
    assert "\nfox, cat, whale, frog\n" in text
    assert f"of 4 things**, and reads {words} words" in text
    assert "on 1,234 samples" in text
    assert "1.5 hours" in text
    assert "32x32 pixels" in text
    assert "| colour | 80% |" in text
    assert "- All fails." in text
    assert (packed / "LICENSE").read_text().startswith(" " * 32 + " Apache License")
    assert (packed / "NOTICE").read_text().startswith("pocket, the model built into Limner")


def test_limner_finds_every_file_of_a_pack_in_shards(
    atlas: Atlas, drawn: pocket.Pocket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "SHARD", "100KB")
    pack.pack(deepcopy(drawn), tmp_path, Facts(atlas.things, 1))
    found = resolve(str(tmp_path), Settings.load(), Catalog.load())
    assert sum(".safetensors" in name for name in found.ref.files) > 5
    assert max(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) < 400_000
