"""Any sizes, any layout, and what is not right refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from limner.errors import CorruptFile, MismatchedWeights, UnsafeFile
from limner.models.dalle.load import load_dalle, load_vqgan
from limner.models.family import Files
from limner.models.nets.bart import Bart
from limner.models.nets.dalle_configs import DALLE_FLAGS, DalleConfig, VqganConfig, check_pair
from tests.dalle import FIXTURES, OTHER_CONFIG, Plain, Tree, dalle_tree, files_of, write_other

CPU = torch.device("cpu")


def load(root: Path) -> Bart:
    return load_dalle(Files(root, files_of(root)), "model", torch.float32, CPU)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("stacked", [True, False])
def test_other_sizes_against_a_plain_reference(tmp_path: Path, stacked: bool, dtype: str) -> None:
    """Encoder unlike decoder, other head sizes, tables larger than needed, both storages, layers stacked or not."""
    bart = load(write_other(tmp_path / "m", dalle_tree(OTHER_CONFIG, stacked=stacked, dtype=dtype)))
    plain = Plain(dalle_tree(OTHER_CONFIG, dtype=dtype), OTHER_CONFIG)
    rng = torch.Generator().manual_seed(0)
    ids, codes = torch.randint(0, 450, (2, 12), generator=rng), torch.randint(0, 91, (2, 16), generator=rng)
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[0, 5:] = False
    states = plain.encode(ids, mask)
    assert (bart.encode(ids, mask) - states).abs().max() < 1e-4
    slots = bart.slots(bart.remember(states, mask), 1)
    found = torch.cat([bart.decode(codes[:, i : i + 1], slots) for i in range(16)], dim=1)
    wanted = plain.logits(codes, states, mask)
    assert ((found - wanted).abs().max() / wanted.abs().max()) < 1e-4


def test_min_dalles_tensors_are_the_same_model(tmp_path: Path) -> None:
    paths = {
        "model/config.json": FIXTURES / "model" / "config.json",
        "vqgan/config.json": FIXTURES / "vqgan" / "config.json",
        "model/encoder.safetensors": FIXTURES / "min_dalle" / "encoder.safetensors",
        "model/decoder.safetensors": FIXTURES / "min_dalle" / "decoder.safetensors",
        "vqgan/detoker.safetensors": FIXTURES / "min_dalle" / "detoker.safetensors",
    }
    files = Files(FIXTURES, paths)
    flax = Files(FIXTURES, files_of(FIXTURES))
    for load_one, part in ((load_dalle, "model"), (load_vqgan, "vqgan")):
        found = load_one(files, part, torch.float32, CPU).state_dict()
        wanted = load_one(flax, part, torch.float32, CPU).state_dict()
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("flag", [*DALLE_FLAGS, "sinkhorn_iters"])
def test_flags_that_were_never_published_are_refused_by_name(flag: str) -> None:
    wanted = DALLE_FLAGS[flag]
    other = (not wanted) if isinstance(wanted, bool) else 5 if isinstance(wanted, int) else "other"
    with pytest.raises(MismatchedWeights, match=flag):
        DalleConfig.from_json({**OTHER_CONFIG, flag: other})
    assert DalleConfig.from_json({**OTHER_CONFIG, flag: wanted}).d_model == 48


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decoder_attention_heads": 5}, "decoder_attention_heads"),
        ({"decoder_start_token_id": 91}, "decoder_start_token_id"),
        ({"image_length": 0}, "image_length"),
    ],
)
def test_sizes_that_cannot_be(change: dict[str, object], said: str) -> None:
    with pytest.raises(MismatchedWeights, match=said):
        DalleConfig.from_json({**OTHER_CONFIG, **change})


@pytest.mark.parametrize("flag", ["resamp_with_conv", "double_z", "give_pre_end", "num_resolutions"])
def test_vqgans_that_were_never_published(flag: str) -> None:
    config = json.loads((FIXTURES / "vqgan" / "config.json").read_text())
    changed = {**config, flag: (not config[flag]) if isinstance(config[flag], bool) else 7}
    with pytest.raises(MismatchedWeights, match=flag):
        VqganConfig.from_json(changed)


@pytest.mark.parametrize(("change", "said"), [({"image_length": 9}, "9 codes"), ({"image_vocab_size": 63}, "64 codes")])
def test_a_vqgan_of_another_model(change: dict[str, object], said: str) -> None:
    vqgan = VqganConfig.from_json(json.loads((FIXTURES / "vqgan" / "config.json").read_text()))
    config = {**OTHER_CONFIG, "decoder_start_token_id": 60, **change}
    with pytest.raises(MismatchedWeights, match=said):
        check_pair(DalleConfig.from_json(config), vqgan)


def changed_tree(change: str) -> Tree:
    tree = dalle_tree(OTHER_CONFIG)
    kernel = "model/encoder/layers/FlaxBartEncoderLayers/GLU_0/Dense_0/kernel"
    if change == "missing":
        del tree[kernel]
    elif change == "unexpected":
        tree["model/encoder/layers/FlaxBartEncoderLayers/LayerNorm_0/scale"] = np.ones((3, 48), dtype=np.float32)
    elif change == "shape":
        tree[kernel] = tree[kernel][:, :, :-1]
    elif change == "layers":
        tree = {name: (a[:2] if "EncoderLayers/" in name else a) for name, a in tree.items()}
    elif change == "infinite":
        tree["lm_head/kernel"] = np.full_like(tree["lm_head/kernel"], np.inf)
    return tree


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ("missing", MismatchedWeights, "1 missing.*Dense_0"),
        ("unexpected", MismatchedWeights, "1 unexpected.*LayerNorm_0/scale"),
        ("shape", MismatchedWeights, "wrong shape.*fc_in"),
        ("layers", MismatchedWeights, "wrong number of layers"),
        ("infinite", CorruptFile, "lm_head.*not finite"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        load(write_other(tmp_path / "m", changed_tree(change)))


def test_the_weights_of_another_config(tmp_path: Path) -> None:
    root = write_other(tmp_path / "m", dalle_tree(OTHER_CONFIG), {**OTHER_CONFIG, "decoder_layers": 2})
    with pytest.raises(MismatchedWeights, match="wrong number of layers"):
        load(root)


def test_safetensors_of_another_model(tmp_path: Path) -> None:
    root = write_other(tmp_path / "m", dalle_tree(OTHER_CONFIG))
    save_file({"a": torch.ones(2)}, root / "model" / "model.safetensors")
    with pytest.raises(MismatchedWeights, match="missing"):
        load(root)
    (root / "model" / "model.safetensors").write_bytes(b"\x80\x04garbage")
    with pytest.raises(UnsafeFile, match="pickle"):
        load(root)
    assert load_file(FIXTURES / "min_dalle" / "encoder.safetensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_as_it_is_read_it_says_the_same(tmp_path: Path, dtype: torch.dtype) -> None:
    """Layers are packed one by one and the words' table stays in its file: states and codes' logits are unmoved."""
    root = write_other(tmp_path / "m", dalle_tree(OTHER_CONFIG))
    files = Files(root, files_of(root))
    plain = load_dalle(files, "model", dtype, CPU)
    packed = load_dalle(files, "model", dtype, CPU, packed=True)
    assert not any(name.startswith("encoder.embed_tokens") for name, _ in packed.named_parameters())
    ids = torch.randint(5, 40, (2, plain.config.text_length))
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.inference_mode():
        one, two = plain.encode(ids, mask).float(), packed.encode(ids, mask).float()
    bound = 1e-5 if dtype == torch.float32 else 2e-2
    assert (one - two).abs().max() <= bound * one.abs().max()


@pytest.mark.parametrize("key", ["use_rotary", "mixture_of_experts"])
def test_a_key_that_nobody_knows_is_refused_by_name_where_it_says_something(key: str) -> None:
    with pytest.raises(MismatchedWeights, match=key):
        DalleConfig.from_json({**OTHER_CONFIG, key: True})
    with pytest.raises(MismatchedWeights, match=key):
        VqganConfig.from_json({key: 4})
    for nothing in (False, None, 0, [], ""):
        DalleConfig.from_json({**OTHER_CONFIG, key: nothing})
    DalleConfig.from_json({**OTHER_CONFIG, "dropout": 0.1, "num_beams": 4, "architectures": ["eBart"]})
