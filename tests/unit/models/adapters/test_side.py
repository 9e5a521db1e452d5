"""Side paths: equal to merged weights, a scale a row, nothing at scale 0; on packed networks too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from limner.errors import CorruptFile
from limner.models.adapters.changes import read_changes
from limner.models.adapters.lora_file import read_lora
from limner.models.adapters.match import match
from limner.models.adapters.overlay import lay_beside
from limner.models.adapters.side import Change, scaled, some_rows
from limner.models.adapters.targets import targets_of
from limner.models.family import Placement
from limner.models.nets.unet import UNet
from limner.models.sd_load import load_part
from tests.adapters import files_at, layers, merged, random_changes, write_kohya
from tests.checkpoints import SD1_LIKE, SD2_LIKE, write

CLOSE = 1e-4
KINDS = {"sd1": SD1_LIKE, "sd2": SD2_LIKE}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: write(root / name, kind) for name, kind in KINDS.items()}


@pytest.fixture
def base(checkpoints: Mapping[str, Path]) -> Path:
    return checkpoints["sd1"]


def unet_of(folder: Path, dtype: str = "float32") -> UNet:
    module = load_part("unet", files_at(folder), Placement(torch.device("cpu"), dtype))
    assert isinstance(module, UNet)
    return module


def changes_of(base: Path, path: Path, column: int = 0, part: str = "unet") -> Mapping[str, Change]:
    targets = targets_of(files_at(base))
    lora = read_lora(path)
    placed = match(lora, targets, path.stem, "the model").placed[part]
    return read_changes(path, placed, targets[part], lora.alphas, column)


def answer(unet: UNet, scales: Tensor | None = None, rows: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    dtype = next(unet.parameters()).dtype
    x = torch.randn(1, 4, 8, 8, generator=generator).to(dtype).repeat(rows, 1, 1, 1)
    context = torch.randn(1, 24, 32, generator=generator).to(dtype).repeat(rows, 1, 1)
    with torch.inference_mode(), scaled(unet, scales):
        result: Tensor = unet(x, torch.full((rows,), 500.0), context)
    return result


def near(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).norm() <= CLOSE * other.norm())


def every(part: str, name: str) -> bool:
    return part == "unet"


@pytest.mark.parametrize(("kind", "alpha"), [("sd1", 1.0), ("sd1", 7.5), ("sd2", 4.0)])
def test_equal_to_merged_weights_in_every_layer(
    checkpoints: Mapping[str, Path], tmp_path: Path, kind: str, alpha: float
) -> None:
    base = checkpoints[kind]
    made = random_changes(base, wanted=every, alpha=alpha)
    path = write_kohya(tmp_path / "all.safetensors", made)
    reference = unet_of(merged(base, tmp_path / "merged", [(c.part, c.layer, 0.6 * c.delta) for c in made]))
    twin = lay_beside(unet_of(base), [changes_of(base, path)])
    assert len(made) == len(layers(base, every))
    assert near(answer(twin, torch.full((2, 1), 0.6)), answer(reference))
    assert not near(answer(twin, torch.full((2, 1), 0.6)), answer(unet_of(base)))


def test_rows_of_one_call_have_scales_of_their_own(base: Path, tmp_path: Path) -> None:
    one, two = (random_changes(base, wanted=every, seed=seed, rank=2 + seed) for seed in (0, 1))
    paths = [write_kohya(tmp_path / f"{k}.safetensors", made) for k, made in enumerate((one, two))]
    twin = lay_beside(unet_of(base), [changes_of(base, path, k) for k, path in enumerate(paths)])
    scales = torch.tensor([[0.0, 0.0], [0.5, -0.3], [0.0, 1.0]])
    together = answer(twin, scales, rows=3)
    for row, (first, second) in enumerate(scales.tolist()):
        deltas = [(c.part, c.layer, first * c.delta) for c in one] + [(c.part, c.layer, second * c.delta) for c in two]
        reference = unet_of(merged(base, tmp_path / f"merged{row}", deltas))
        assert near(together[row : row + 1], answer(reference, rows=1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_scale_nought_is_the_base_to_the_last_bit(base: Path, tmp_path: Path, dtype: str) -> None:
    path = write_kohya(tmp_path / "all.safetensors", random_changes(base, wanted=every))
    plain = unet_of(base, dtype)
    twin = lay_beside(plain, [changes_of(base, path)])
    assert torch.equal(answer(twin, torch.zeros(2, 1)), answer(plain))
    assert torch.equal(answer(twin), answer(plain))
    assert not torch.equal(answer(twin, torch.ones(2, 1)), answer(plain))


def test_half_precision_is_near(base: Path, tmp_path: Path) -> None:
    path = write_kohya(tmp_path / "all.safetensors", random_changes(base, wanted=every))
    exact = answer(lay_beside(unet_of(base), [changes_of(base, path)]), torch.ones(2, 1))
    half = answer(lay_beside(unet_of(base, "bfloat16"), [changes_of(base, path)]), torch.ones(2, 1)).float()
    assert (half - exact).norm() < 0.05 * exact.norm()


def test_the_plain_network_is_left_as_it_is_and_shares_its_weights(base: Path, tmp_path: Path) -> None:
    path = write_kohya(tmp_path / "all.safetensors", random_changes(base, wanted=every))
    plain = unet_of(base)
    before = answer(plain)
    twin = lay_beside(plain, [changes_of(base, path)])
    answer(twin, torch.ones(2, 1))
    assert torch.equal(answer(plain), before)
    assert {p.data_ptr() for p in plain.parameters()} <= {p.data_ptr() for p in twin.parameters()}


def test_a_part_of_the_rows_keeps_its_scales(base: Path, tmp_path: Path) -> None:
    path = write_kohya(tmp_path / "all.safetensors", random_changes(base, wanted=every))
    twin = lay_beside(unet_of(base), [changes_of(base, path)])
    scales = torch.tensor([[0.2], [0.9], [-0.4]])
    with scaled(twin, scales), some_rows(twin, [2]):
        holder = twin.__dict__["adapter_scales"]
        assert torch.equal(holder.value, scales[2:])
    assert holder.value is None


def kohya_keys(path: Path, stem: str, **tensors: Tensor) -> Path:
    save_file({f"{stem}.{name}": tensor for name, tensor in tensors.items()}, path)
    return path


LINEAR = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "down_blocks.0.resnets.0.conv1"


def check(base: Path, tmp_path: Path, layer: str, delta: Tensor, **tensors: Tensor) -> None:
    """A file with these tensors for one layer comes to ``delta``."""
    path = kohya_keys(tmp_path / "one.safetensors", "lora_unet_" + layer.replace(".", "_"), **tensors)
    twin = lay_beside(unet_of(base), [changes_of(base, path)])
    reference = unet_of(merged(base, tmp_path / "merged", [("unet", layer, delta)]))
    assert near(answer(twin, torch.ones(2, 1)), answer(reference))
    assert not near(answer(twin, torch.ones(2, 1)), answer(unet_of(base)))


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_a_convolution_with_a_core(base: Path, tmp_path: Path) -> None:
    up, mid, down = noise(32, 3, 1, 1), noise(3, 3, 3, 3), noise(3, 32, 1, 1)
    delta = torch.einsum("or,rskl,si->oikl", up[:, :, 0, 0], mid, down[:, :, 0, 0]) * 2 / 3
    tensors = {"lora_up.weight": up, "lora_mid.weight": mid, "lora_down.weight": down, "alpha": torch.tensor(2.0)}
    check(base, tmp_path, CONV, delta, **tensors)


@pytest.mark.parametrize("rank", [2, 9])
def test_loha_is_the_product_of_two(base: Path, tmp_path: Path, rank: int) -> None:
    a, b, c, d = noise(32, rank), noise(rank, 32) * 0.1, noise(32, rank), noise(rank, 32)
    tensors = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "alpha": torch.tensor(1.0)}
    check(base, tmp_path, LINEAR, (a @ b) * (c @ d) / rank, **tensors)


def test_loha_of_a_convolution_with_cores(base: Path, tmp_path: Path) -> None:
    a, b, c, d = noise(2, 32), noise(2, 32) * 0.1, noise(2, 32), noise(2, 32)
    t, u = noise(2, 2, 3, 3), noise(2, 2, 3, 3)
    first = torch.einsum("rskl,ro,si->oikl", t, a, b)
    second = torch.einsum("rskl,ro,si->oikl", u, c, d)
    tensors = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "hada_t1": t, "hada_t2": u}
    check(base, tmp_path, CONV, first * second, **tensors)


def test_loha_of_a_convolution_laid_flat(base: Path, tmp_path: Path) -> None:
    a, b, c, d = noise(32, 3), noise(3, 288) * 0.1, noise(32, 3), noise(3, 288)
    tensors = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}
    check(base, tmp_path, CONV, ((a @ b) * (c @ d)).reshape(32, 32, 3, 3), **tensors)


def test_lokr_is_a_kronecker_product(base: Path, tmp_path: Path) -> None:
    one, a, b = noise(4, 8), noise(8, 2), noise(2, 4)
    tensors = {"lokr_w1": one, "lokr_w2_a": a, "lokr_w2_b": b, "alpha": torch.tensor(1.0)}
    check(base, tmp_path, LINEAR, torch.kron(one, a @ b) / 2, **tensors)


def test_lokr_of_whole_factors_has_no_alpha(base: Path, tmp_path: Path) -> None:
    one, two = noise(4, 4), noise(8, 8, 3, 3) * 0.1
    delta = torch.kron(one[:, :, None, None], two)
    check(base, tmp_path, CONV, delta, lokr_w1=one, lokr_w2=two, alpha=torch.tensor(1e10))


def test_a_full_difference(base: Path, tmp_path: Path) -> None:
    check(base, tmp_path, LINEAR, delta := noise(32, 32) * 0.3, diff=delta)


@pytest.mark.parametrize("kind", list(KINDS))
def test_matrices_and_1x1_convolutions_stand_for_each_other(
    checkpoints: Mapping[str, Path], tmp_path: Path, kind: str
) -> None:
    base = checkpoints[kind]
    made = random_changes(base, wanted=lambda part, name: name.endswith("proj_in"))
    other = [c._replace(down=_turned(c.down), up=_turned(c.up)) for c in made]
    path = write_kohya(tmp_path / "turned.safetensors", other)
    reference = unet_of(merged(base, tmp_path / "merged", [(c.part, c.layer, c.delta) for c in made]))
    twin = lay_beside(unet_of(base), [changes_of(base, path)])
    assert near(answer(twin, torch.ones(2, 1)), answer(reference))


def _turned(tensor: Tensor) -> Tensor:
    return tensor[:, :, None, None] if tensor.ndim == 2 else tensor.flatten(1)


def test_values_that_are_not_finite_are_refused(base: Path, tmp_path: Path) -> None:
    path = write_kohya(tmp_path / "bad.safetensors", random_changes(base, wanted=every))
    state = load_file(path)
    state[next(iter(state))].fill_(float("nan"))
    save_file(state, path)
    with pytest.raises(CorruptFile, match="not finite"):
        changes_of(base, path)
