"""Which files DALL-E mini is drawn with, wherever they lie: two folders or hub repos that were never one checkpoint.

Found files get the names ``model/...`` (transformer and tokenizer) and ``vqgan/...`` (image decoder), whatever their
folders are called. Three layouts of weights are known: Flax as published, our own safetensors (``limner convert``), and
min-dalle's tensors once they are safetensors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from limner.errors import LimnerError, ModelNotFound, OfflineError, UnsafeFile
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.hub.cache import RepoName, cached, check, repo_name
from limner.models.hub.errors import WITH_NETWORK
from limner.models.inspect import CONVERT_HINT, read_json
from limner.models.nets.dalle_configs import MODEL_TYPE

__all__ = [
    "FAMILY",
    "KNOWN",
    "MODEL",
    "VQGAN",
    "WORDS",
    "are_here",
    "arrange",
    "bytes_to_fetch",
    "complete",
    "fetch",
    "from_cache",
]

FAMILY = "dalle-mini"
MODEL, VQGAN = "model", "vqgan"
WORDS = "enwiki-words-frequency.txt"
KNOWN = "known-words.txt"
"""The words, one a line, that a model of a small world was taught; the published ones have none. As one of the
model's files it counts in its identity, like pocket's tokenizer, which says the same of pocket."""
CONFIG = "config.json"
WEIGHTS: Mapping[str, tuple[tuple[str, ...], ...]] = {  # of each part, the first set that is there is used
    MODEL: (("model.safetensors",), ("encoder.safetensors", "decoder.safetensors"), ("flax_model.msgpack",)),
    VQGAN: (("model.safetensors",), ("detoker.safetensors",), ("flax_model.msgpack",)),
}
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
PICKLED = ("encoder.pt", "decoder.pt", "detoker.pt", "pytorch_model.bin")
ADVICE = "put dalle-mini/vqgan_imagenet_f16_16384 into it (or beside it) as a folder named vqgan"


def arrange(found: Mapping[str, Path], where: str) -> dict[str, Path] | None:
    """The needed files of a folder by our names; ``None`` where it is no DALL-E mini.

    ``found`` are its files, one folder deep. A VQGAN may also lie beside the folder, as ``../vqgan...``. Raises
    ``ModelNotFound`` where something is missing, ``UnsafeFile`` where weights are pickles only.
    """
    model = next((folder for folder in _folders(found) if _is_model(found, folder)), None)
    if model is None:
        return None
    used = _part(found, model, MODEL, where)
    # One with a config goes before min-dalle's, which says nothing of itself.
    vqgans = [folder for folder in _folders(found) if _is_vqgan(found, folder)]
    vqgan = min(vqgans, key=lambda folder: (folder != model, folder + CONFIG not in found), default=None)
    if vqgan is not None:
        return used | _part(found, vqgan, VQGAN, where)
    beside = _beside(found[model + CONFIG].parent)
    if beside is None:
        raise ModelNotFound(f"{where} has no VQGAN, which draws what the model writes", hint=ADVICE)
    return used | _part(beside, "", VQGAN, where)


def complete(names: Collection[str], part: str) -> tuple[str, ...]:
    """The needed ones of a part's file ``names``; empty where they do not suffice."""
    weights = next((each for each in WEIGHTS[part] if set(each) <= set(names)), None)
    if weights is None:
        return ()
    if part == VQGAN:
        if CONFIG in names:
            return (CONFIG, *weights)
        # min-dalle's image decoder has no config of its own: it is always the published one.
        return weights if weights == ("detoker.safetensors",) else ()
    tokenizer = next((each for each in TOKENIZERS if set(each) <= set(names)), None)
    if tokenizer is None or CONFIG not in names:
        return ()
    return (CONFIG, *weights, *tokenizer, *(name for name in (WORDS, KNOWN) if name in names))


def fetch(model: RepoName, vqgan: str, hashes: Hashes, report: hub.Report | None) -> tuple[dict[str, Path], str]:
    """Files of two hub repos, and the model's commit. Raises what :func:`limner.models.hub.repo.fetch` does."""
    used: dict[str, Path] = {}
    commits = []
    for part, repo in ((VQGAN, _repo(vqgan)), (MODEL, model)):
        listing = hub.look_up(repo)
        names = complete(listing.files, part)
        if not names:
            raise ModelNotFound(
                f"{repo.repo} has not the files of DALL-E mini's {part}", hint="choose another revision"
            )
        small_first = sorted(names, key=lambda name: (listing.files[name].size, name))
        got = hub.fetch(listing, small_first, hashes, report)
        hub.remember_revision(listing)
        used |= {f"{part}/{name}": path for name, path in got.items()}
        commits.append(listing.commit)
    return used, commits[-1]


def from_cache(model: RepoName, vqgan: str, hashes: Hashes, name: str) -> tuple[dict[str, Path], str]:
    """As ``fetch``, without the network. Raises ``OfflineError`` where something is missing."""
    used: dict[str, Path] = {}
    commit = ""
    for part, repo in ((VQGAN, _repo(vqgan)), (MODEL, model)):
        there = cached(repo)
        found = {} if there is None else dict(there.files())
        names = complete(found, part)
        if there is None or not names:
            raise _not_whole(model, vqgan, name)
        used |= {f"{part}/{each}": found[each] for each in names}
        commit = there.commit
    hashed = hashes.of(used.values())
    for path in used.values():
        check(path, hashed[path])
    return used, commit


def _not_whole(model: RepoName, vqgan: str, name: str) -> OfflineError:
    """Which of the two repos is here, and how the rest is had."""
    hint = WITH_NETWORK.format(name=name)
    parts = ((MODEL, model), (VQGAN, _repo(vqgan)))
    here = {part: complete(() if (there := cached(repo)) is None else there.files(), part) for part, repo in parts}
    if not any(here.values()):
        return OfflineError(f"{name} is not on this machine, and the network is forbidden", hint=hint)
    titles = {part: f"its {'transformer' if part == MODEL else 'VQGAN'} ({repo.repo})" for part, repo in parts}
    have, lack = (" and ".join(titles[part] for part in here if bool(here[part]) is is_) for is_ in (True, False))
    return OfflineError(
        f"{name} is on this machine only in part: {have} is here, {lack} is not, and the network is forbidden",
        hint=hint,
    )


def are_here(model: Mapping[str, Path], vqgan: str) -> bool:
    """Whether the hub's cache has all that drawing needs: these files of the model's repo, and the VQGAN's."""
    there = cached(_repo(vqgan))
    return bool(complete(model, MODEL)) and there is not None and bool(complete(there.files(), VQGAN))


def bytes_to_fetch(model: RepoName, vqgan: str) -> int:
    """Bytes that ``fetch`` would bring. Asks the network."""
    total = 0
    for part, repo in ((VQGAN, _repo(vqgan)), (MODEL, model)):
        listing = hub.look_up(repo)
        total += hub.bytes_to_fetch(listing, complete(listing.files, part))
    return total


def _repo(text: str) -> RepoName:
    found = repo_name(text)
    assert found is not None, text
    return found


def _folders(found: Mapping[str, Path]) -> tuple[str, ...]:
    """The folder itself, then those in it; ``model/`` before others."""
    inner = sorted({name.split("/")[0] + "/" for name in found if "/" in name}, key=lambda f: (f != "model/", f))
    return ("", *inner)


def _is_model(found: Mapping[str, Path], folder: str) -> bool:
    config = _json(found, folder + CONFIG)
    return config is not None and config.get("model_type") == MODEL_TYPE


def _is_vqgan(found: Mapping[str, Path], folder: str) -> bool:
    config = _json(found, folder + CONFIG)
    return f"{folder}detoker.safetensors" in found or (config is not None and {"n_embed", "ch_mult"} <= config.keys())


def _json(found: Mapping[str, Path], name: str) -> Mapping[str, object] | None:
    if name not in found:
        return None
    try:
        return read_json(found[name])
    except LimnerError:
        return None


def _part(found: Mapping[str, Path], folder: str, part: str, where: str) -> dict[str, Path]:
    present = {name.removeprefix(folder): path for name, path in found.items() if name.startswith(folder)}
    if names := complete(present, part):
        return {f"{part}/{name}": present[name] for name in names}
    if not any(set(each) <= set(present) for each in WEIGHTS[part]):
        if pickles := [name for name in PICKLED if name in present]:
            raise UnsafeFile(
                f"{where} has its weights as a pickle, which can run code: {pickles[0]}", hint=CONVERT_HINT
            )
        raise ModelNotFound(f"{where} has no {folder}flax_model.msgpack or model.safetensors", hint="fetch it again")
    raise ModelNotFound(f"{where} has no {folder}tokenizer.json", hint="it is not whole; fetch it again")


def _beside(folder: Path) -> dict[str, Path] | None:
    """The files of a VQGAN whose folder stands beside the model's."""
    try:
        others = sorted(path for path in folder.parent.iterdir() if path.is_dir() and path.name.startswith("vqgan"))
        for other in others:
            files = {path.name: path for path in other.iterdir() if path.is_file()}
            if _is_vqgan(files, ""):
                return files
    except OSError:
        return None
    return None
