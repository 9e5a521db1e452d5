"""Pack pocket-dalle in the published layout: ``model/`` and ``vqgan/``, float16 safetensors, card, licence, notice.

``python -m training.pack_dalle RUN OUT`` reads RUN/vqgan and RUN/dalle. Weights get the names of min-dalle's files, the
published ones of torch tensors; Limner's loader takes the folder as it takes the published checkpoint.
"""

import json
import textwrap
from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from limner.models.dalle import names
from limner.models.dalle.files import KNOWN, MODEL, VQGAN, arrange
from limner.models.dalle.load import load_dalle, load_vqgan
from limner.models.family import Files
from limner.models.nets.bart import Bart
from training import captions, dalle, train_dalle, train_vqgan
from training.card import NOT_MEASURED, Facts
from training.pack import arguments, size, write_legal
from training.sprites import Atlas

NAME = "pocket-dalle"
_MARKER = {"single_word": False, "lstrip": True, "rstrip": False, "normalized": False}
_SPECIALS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": {"content": "<mask>", **_MARKER},
}
_CARD = """---
license: apache-2.0
pipeline_tag: text-to-image
tags: [dalle-mini, text-to-image, emoji]
---

# pocket-dalle

A very small text-to-image model in the layout of DALL-E mini, so that the family can be tried and tested offline: a
text encoder reads a prompt, a decoder writes {codes} codes one after the other, and a VQGAN makes {side}x{side} pixels
of them. It draws **small emoji-style scenes of {things} things** and nothing else.

| part | what | size |
|---|---|---|
| `model/` | BART (NormFormer, gated linear units), {encoder} + {decoder} layers of {width} | {bart:.1f} M parameters |
| `model/tokenizer.json` | byte-level BPE, {words} tokens; every word that captions used is one token | |
| `vqgan/` | decoder and codebook of a VQGAN, {grid}x{grid} codes out of {table} | {vqgan:.1f} M |

The weights are float16 under the names of min-dalle's tensors. Begin with a super conditioning of {guidance:.0f} and a
top-k of {top_k}.

## What it can and cannot do

{able}
## What it knows

{known}

## Measured

{measured}
## How it was made

The VQGAN was trained on {pictures} pictures and crops of pictures, without a discriminator; the transformer on {seen}
captioned scenes{time}.
Limner's `training/` package rendered them from the Noto Color Emoji font and captioned them by a grammar of its own,
with names and keywords from the Unicode CLDR; ten in a hundred captions were empty. No photograph, no artwork and no
text from the web went into it.

## Licence

Apache-2.0, see `LICENSE` and `NOTICE`.
"""
UNKNOWN = "Nobody has looked at enough of its pictures to say.\n"


def published_bart(bart: Bart) -> dict[str, dict[str, Tensor]]:
    """The transformer's weights in float16 as min-dalle has them: by file and name, joined matrices taken apart."""
    state = bart.state_dict()
    found: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for ours, sources in names.min_dalle(bart.config).items():
        for source, part in zip(sources, state[ours].chunk(len(sources)), strict=True):
            file, _, name = source.name.partition(":")
            found[file][name] = _stored(part)
    return dict(found)


def published_vqgan(shipped: dict[str, Tensor]) -> dict[str, Tensor]:
    """Decoder and codebook in float16 as min-dalle has them."""
    codebook = "quantize.embedding.weight"
    return {"embedding.weight" if k == codebook else k: _stored(v) for k, v in shipped.items()}


def _stored(value: Tensor) -> Tensor:
    return value.detach().half().contiguous().clone()  # cloned: parts of one matrix share its storage


def write_tokenizer(tokenizer: Tokenizer, out: Path) -> None:
    """The published folder's files of it."""
    tokenizer.save(str(out / "tokenizer.json"))
    tokenizer.model.save(str(out))  # vocab.json, merges.txt
    (out / "special_tokens_map.json").write_text(json.dumps(_SPECIALS))
    further = {"add_prefix_space": False, "trim_offsets": True, "model_max_length": 1024, "errors": "replace"}
    config = {**_SPECIALS, **further, "tokenizer_class": "DalleBartTokenizer"}
    (out / "tokenizer_config.json").write_text(json.dumps(config))


def pack(drawn: dalle.Dalle, out: Path, facts: Facts, pictures: int) -> None:
    """Write the folder. ``pictures``: how many the VQGAN was trained on."""
    model, vqgan = out / MODEL, out / VQGAN
    for folder in (model, vqgan):
        folder.mkdir(parents=True, exist_ok=True)
    for name, tensors in published_bart(drawn.bart).items():
        save_file(tensors, model / f"{name}.safetensors", {"format": "pt"})
    said = captions.vocabulary(facts.known)
    (model / KNOWN).write_text("".join(f"{word}\n" for word in said if word[0] != "<"))
    (model / "config.json").write_text(json.dumps(dalle.published_config(drawn.bart.config), indent=2) + "\n")
    write_tokenizer(drawn.words.tokenizer, model)
    save_file(published_vqgan(drawn.vqgan.state_dict()), vqgan / "detoker.safetensors", {"format": "pt"})
    (vqgan / "config.json").write_text(json.dumps(train_vqgan.published_config(drawn.vqgan.config), indent=2) + "\n")
    (out / "README.md").write_text(card(drawn, facts, pictures))
    write_legal(out, NAME, "a model")


def card(drawn: dalle.Dalle, facts: Facts, pictures: int) -> str:
    """The markdown."""
    bart, vqgan = drawn.bart.config, drawn.vqgan.config
    hours = f", all in {facts.minutes / 60:.1f} hours of one processor core" if facts.minutes else ""
    return _CARD.format(
        codes=bart.image_length,
        side=vqgan.resolution,
        grid=vqgan.grid,
        table=vqgan.codes,
        things=len(facts.known),
        known=textwrap.fill(", ".join(thing.name for thing in facts.known), 120),
        encoder=bart.encoder.layers,
        decoder=bart.decoder.layers,
        width=bart.d_model,
        words=drawn.words.tokenizer.get_vocab_size(),
        bart=_millions(drawn.bart),
        vqgan=_millions(drawn.vqgan),
        guidance=dalle.GUIDANCE,
        top_k=dalle.TOP_K,
        pictures=f"{pictures:,}",
        seen=f"{facts.seen:,}",
        time=hours,
        measured=facts.measured,
        able=facts.able,
    )


def _millions(module: torch.nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def load_pack(folder: Path, device: str) -> dalle.Dalle:
    """A packed folder through Limner's loader, in float32 arithmetic on its float16 weights.

    Raises ModelError where Limner would, FileNotFoundError where it is no DALL-E mini.
    """
    found = {p.relative_to(folder).as_posix(): p for p in folder.glob("*/*") if p.is_file()}
    used = arrange(found, str(folder))
    if used is None:
        raise FileNotFoundError(f"{folder} is no DALL-E mini")
    files, place = Files(folder, used), torch.device(device)
    bart = load_dalle(files, MODEL, torch.float32, place)
    words = dalle.words_of(Tokenizer.from_file(str(used[f"{MODEL}/tokenizer.json"])), bart.config.text_length)
    return dalle.Dalle(bart, load_vqgan(files, VQGAN, torch.float32, place), words)


def _last(stage: Path) -> dict[str, float]:
    line: dict[str, float] = json.loads((stage / "log.jsonl").read_text().splitlines()[-1])
    return line


def main() -> None:
    """Pack a run's exports."""
    parser = arguments(__doc__)
    told = "a dalle stage that the run's own began from, which counts too; again for each"
    parser.add_argument("--begun", type=Path, action="append", default=[], help=told)
    given = parser.parse_args()
    stages = [given.run / "vqgan", given.run / "dalle"]
    drawn = train_dalle.load(stages[1], train_vqgan.load(stages[0], "cpu"), "cpu")
    things = json.loads((stages[1] / train_dalle.FACTS).read_text())["things"]  # null: all
    logs = [_last(stage) for stage in (*stages, *given.begun)]
    facts = Facts(
        Atlas.load(given.run / "atlas.png").things[:things],
        sum(int(log["seen"]) for log in logs[1:]),
        sum(log["minutes"] * log.get("ranks", 1) for log in logs),
        given.measured.read_text() if given.measured else NOT_MEASURED,
        given.able.read_text() if given.able else UNKNOWN,
    )
    pack(drawn, given.out, facts, int(logs[0]["seen"]))
    print(size(given.out))


if __name__ == "__main__":
    main()
