"""Weights get into modules only if they belong there, under whichever of their published names."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import limner
from limner.errors import CorruptFile, MismatchedWeights, ModelNotFound, UnsafeFile
from limner.models.inspect import read_json
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.packing import can_pack
from limner.models.nets.unet import UNet, UNetConfig
from limner.models.weights import load_into

POCKET = Path(limner.__file__).parent / "assets" / "pocket"
CPU = torch.device("cpu")
FP32 = torch.float32


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(4, 2)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Tiny, Path]:
    module, path = Tiny(), tmp_path / "tiny.safetensors"
    save_file(state(module), path)
    return module, path


def test_the_loaded_module_computes_the_same(tiny: tuple[Tiny, Path]) -> None:
    module, path = tiny
    loaded = load_into(Tiny, [path], "unet", FP32, CPU)
    x = torch.randn(1, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.conv(x), module.conv(x))
    assert torch.equal(loaded.linear.weight, module.linear.weight)


def test_the_loaded_module_is_ready_to_draw(tiny: tuple[Tiny, Path]) -> None:
    loaded = load_into(Tiny, [tiny[1]], "unet", torch.bfloat16, CPU)
    assert not loaded.training
    assert all(not p.requires_grad and p.dtype == torch.bfloat16 and not p.is_meta for p in loaded.parameters())
    assert loaded.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_shards_make_one_module(tiny: tuple[Tiny, Path], tmp_path: Path) -> None:
    module, _ = tiny
    tensors = state(module)
    paths = [tmp_path / "1.safetensors", tmp_path / "2.safetensors"]
    save_file({name: tensors[name] for name in ("conv.weight", "linear.bias")}, paths[0])
    save_file({name: tensors[name] for name in ("conv.bias", "linear.weight")}, paths[1])
    loaded = load_into(Tiny, paths, "unet", FP32, CPU)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in loaded.state_dict().items())


def test_the_same_weight_in_two_shards_is_refused(tiny: tuple[Tiny, Path], tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    save_file({"linear.bias": torch.zeros(2)}, again)
    with pytest.raises(MismatchedWeights, match=r"linear\.bias twice"):
        load_into(Tiny, [tiny[1], again], "unet", FP32, CPU)


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors["linear.bias"]


def add(tensors: dict[str, Tensor]) -> None:
    tensors["extra.weight"] = torch.zeros(1)


def reshape(tensors: dict[str, Tensor]) -> None:
    tensors["linear.weight"] = tensors["linear.weight"].T.contiguous()


def unsqueeze(tensors: dict[str, Tensor]) -> None:
    tensors["linear.weight"] = tensors["linear.weight"][:, :, None, None].contiguous()


def quantise(tensors: dict[str, Tensor]) -> None:
    tensors["linear.weight"] = tensors["linear.weight"].to(torch.int8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (drop, r"1 missing: linear\.bias"),
        (add, r"1 unexpected: extra\.weight"),
        (reshape, r"1 wrong shape: linear\.weight \[4, 2\] instead of \[2, 4\]"),
        (unsqueeze, r"wrong shape: linear\.weight \[2, 4, 1, 1\]"),
        (quantise, r"not floating point: linear\.weight I8"),
    ],
)
def test_foreign_weights_are_refused_by_name(
    change: Callable[[dict[str, Tensor]], None], told: str, tiny: tuple[Tiny, Path], tmp_path: Path
) -> None:
    tensors = state(tiny[0])
    change(tensors)
    path = tmp_path / "changed.safetensors"
    save_file(tensors, path)
    with pytest.raises(MismatchedWeights, match=told):
        load_into(Tiny, [path], "unet", FP32, CPU)


def test_only_the_first_few_of_many_faults_are_told(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({f"layer.{i}": torch.zeros(1) for i in range(200)}, path)
    with pytest.raises(MismatchedWeights, match="200 unexpected") as caught:
        load_into(Tiny, [path], "unet", FP32, CPU)
    assert len(caught.value.message) < 500


def test_a_pickle_named_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"conv.weight": [0.0]}))
    with pytest.raises(UnsafeFile, match="pickle"):
        load_into(Tiny, [path], "unet", FP32, CPU)


def test_a_truncated_file_is_refused(tiny: tuple[Tiny, Path]) -> None:
    _, path = tiny
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptFile, match="truncated"):
        load_into(Tiny, [path], "unet", FP32, CPU)


@pytest.mark.parametrize(("value", "dtype"), [(torch.nan, FP32), (-torch.inf, FP32), (1e6, torch.float16)])
def test_weights_that_are_not_finite_are_refused(
    value: float, dtype: torch.dtype, tiny: tuple[Tiny, Path], tmp_path: Path
) -> None:
    tensors = state(tiny[0])
    tensors["conv.weight"][1, 2, 0, 1] = value
    save_file(tensors, tmp_path / "bad.safetensors")
    with pytest.raises(CorruptFile, match=r"1 weights of the unet are not finite as float\d\d: conv\.weight"):
        load_into(Tiny, [tmp_path / "bad.safetensors"], "unet", dtype, CPU)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_wait_for_their_first_use_are_refused_then(
    value: float, tiny: tuple[Tiny, Path], tmp_path: Path
) -> None:
    if not can_pack(FP32, "cpu"):
        pytest.skip("this processor packs nothing")
    tensors = state(tiny[0])
    tensors["conv.weight"][1, 2, 0, 1] = value
    save_file(tensors, tmp_path / "bad.safetensors")
    module = load_into(Tiny, [tmp_path / "bad.safetensors"], "unet", FP32, CPU, packed=True)
    with pytest.raises(CorruptFile, match=r"1 weights of the unet are not finite as float32: conv\.weight"):
        module.conv(torch.ones(1, module.conv.packed.shape[1], 8, 8))


def test_weights_wait_for_their_first_use(tiny: tuple[Tiny, Path]) -> None:
    """Until then they are not even read; what they then compute is what plain ones do."""
    if not can_pack(torch.bfloat16, "cpu"):
        pytest.skip("this processor packs nothing")
    plain = load_into(Tiny, [tiny[1]], "unet", torch.bfloat16, CPU)
    module = load_into(Tiny, [tiny[1]], "unet", torch.bfloat16, CPU, packed=True)
    waiting = module.conv.packed
    assert waiting.is_meta
    assert (waiting.shape, waiting.dtype) == (plain.conv.weight.shape, torch.bfloat16)
    x = torch.randn(1, waiting.shape[1], 8, 8, dtype=torch.bfloat16)
    torch.testing.assert_close(module.conv(x), plain.conv(x), atol=2e-2, rtol=2e-2)
    assert not module.conv.packed.is_meta


@pytest.mark.parametrize("dtype", [FP32, torch.bfloat16, torch.float16])
def test_a_matrix_waits_too(dtype: torch.dtype, tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(5, 3)

    save_file({"linear.weight": torch.randn(3, 5), "linear.bias": torch.randn(3)}, tmp_path / "net.safetensors")
    plain = load_into(Net, [tmp_path / "net.safetensors"], "unet", dtype, CPU)
    waiting = load_into(Net, [tmp_path / "net.safetensors"], "unet", dtype, CPU, packed=True)
    assert waiting.linear.packed.is_meta
    x = torch.randn(2, 5).to(dtype)
    torch.testing.assert_close(waiting.linear(x), plain.linear(x), atol=2e-2, rtol=2e-2)
    assert not waiting.linear.packed.is_meta


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        load_into(Tiny, [tmp_path / "none.safetensors"], "unet", FP32, CPU)


def test_a_buffer_that_no_file_holds_is_not_left_empty(tmp_path: Path) -> None:
    class Buffered(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.arange(3), persistent=False)

    path = tmp_path / "tiny.safetensors"
    save_file(state(Tiny()), path)
    with pytest.raises(RuntimeError, match="table"):
        load_into(Buffered, [path], "unet", FP32, CPU)


def pocket_state(part: str) -> tuple[list[Path], dict[str, Tensor]]:
    from safetensors.torch import load_file

    paths = sorted((POCKET / part).glob("*.safetensors"))  # one file, or shards
    return paths, {name: tensor for path in paths for name, tensor in load_file(path).items()}


@pytest.mark.parametrize("packed", [False, True])
def test_the_pocket_unet_loads_and_runs(packed: bool) -> None:
    config = UNetConfig.from_json(read_json(POCKET / "unet" / "config.json"))
    paths, tensors = pocket_state("unet")
    unet = load_into(lambda: UNet(config), paths, "unet", torch.bfloat16, CPU, packed=packed)
    assert torch.equal(unet.conv_in.bias, tensors["conv_in.bias"].bfloat16())
    with torch.inference_mode():
        x = torch.randn(1, config.in_channels, 16, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
        y = unet(x, torch.tensor([999.0]), torch.zeros(1, 24, 256, dtype=torch.bfloat16))
    assert y.shape == x.shape
    assert y.isfinite().all()


def test_clip_with_the_prefix_of_older_files(tmp_path: Path) -> None:
    config = ClipTextConfig.from_json(json.loads((POCKET / "text_encoder" / "config.json").read_text()))
    paths, tensors = pocket_state("text_encoder")
    older = {f"text_model.{name}": tensor for name, tensor in tensors.items()}
    older["text_model.embeddings.position_ids"] = torch.arange(config.max_position_embeddings)[None]
    save_file(older, tmp_path / "older.safetensors")
    ids = torch.tensor([[2, 40, 41, 3]])
    new = load_into(lambda: ClipText(config), paths, "text_encoder", FP32, CPU)
    old = load_into(lambda: ClipText(config), [tmp_path / "older.safetensors"], "text_encoder", FP32, CPU)
    assert torch.equal(new(ids), old(ids))


SMALL_VAE = AutoencoderConfig(block_out_channels=(8, 16), norm_num_groups=4)


@pytest.mark.parametrize("convolutions", [False, True])
def test_an_autoencoder_with_the_attention_names_of_older_files(convolutions: bool, tmp_path: Path) -> None:
    vae = Autoencoder(SMALL_VAE).eval()
    older: dict[str, Tensor] = {}
    for name, tensor in state(vae).items():
        stored = name
        if ".attentions." in name:
            for new, old in {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}.items():
                stored = stored.replace(f"{new}.", f"{old}.")
            if convolutions and tensor.ndim == 2:
                tensor = tensor[:, :, None, None].contiguous()
        older[stored] = tensor
    assert "encoder.mid_block.attentions.0.query.weight" in older
    path = tmp_path / "older.safetensors"
    save_file(older, path)
    loaded = load_into(lambda: Autoencoder(SMALL_VAE), [path], "vae", FP32, CPU)
    z = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.decode(z), vae.decode(z))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_originals_of_what_is_copied_do_not_stay_with_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A convolution is copied into another order; a matrix of the same file stays where it lies."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(512, 512, 3, bias=False) for _ in range(4))  # 9.4 MB each
            self.matrix = nn.Linear(8, 8, bias=False)

    def mapped(file: Path) -> int:
        """Bytes of it that are in this process's memory."""
        resident, ours = 0, False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            name, *rest = line.split()
            if not name.endswith(":"):  # a mapping begins, with its file at the end
                ours = line.endswith(str(file))
            elif ours and name == "Rss:":
                resident += int(rest[0]) << 10
        return resident

    made = Both()
    stored = {name: tensor.contiguous() for name, tensor in made.state_dict().items()}
    save_file(stored, path := tmp_path / "unet.safetensors")
    monkeypatch.setattr("limner.models.weights.MAPPED_AT_ONCE", 16 << 20)
    loaded = load_into(Both, [path], "unet", torch.float32, torch.device("cpu"))
    assert mapped(path) < 4 << 20
    assert all(torch.equal(tensor, stored[name]) for name, tensor in loaded.state_dict().items())
