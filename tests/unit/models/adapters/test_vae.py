"""Another autoencoder: a diffusers file, one without its config, CompVis's layout, and those of other latents."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from limner.errors import MismatchedWeights
from limner.models.adapters.vae import read_vae
from limner.models.adapters.vae_load import load_vae
from limner.models.family import Placement
from limner.models.nets.configs import AutoencoderConfig
from tests.adapters import compvis_vae, files_at
from tests.checkpoints import SD1_LIKE, write

CPU = Placement(torch.device("cpu"), "float32")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("checkpoints") / "base", SD1_LIKE)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The VAE folder of another checkpoint."""
    return write(tmp_path_factory.mktemp("checkpoints") / "other", SD1_LIKE, seed=7) / "vae"


def own(base: Path) -> AutoencoderConfig:
    return AutoencoderConfig.from_json(json.loads((base / "vae" / "config.json").read_text()))


def decoded(path: Path, base: Path) -> Tensor:
    latent = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        pixels: Tensor = load_vae(path, files_at(base), CPU).decode(latent)
    return pixels


def test_a_diffusers_folder_says_its_own_scaling(base: Path, other: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vae"
    folder.mkdir()
    for each in other.iterdir():
        (folder / each.name).write_bytes(each.read_bytes())
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, "scaling_factor": 0.5}))
    found = read_vae(folder / "diffusion_pytorch_model.safetensors", own(base), "vae", "tiny")
    assert (found.own_scaling, found.config.scaling_factor) == (True, 0.5)


@pytest.mark.parametrize("layout", ["diffusers", "compvis", "checkpoint"])
def test_a_lone_file_decodes_as_its_folder_does_and_is_scaled_as_the_models_own(
    base: Path, other: Path, tmp_path: Path, layout: str
) -> None:
    state = load_file(other / "diffusion_pytorch_model.safetensors")
    path = tmp_path / "lone.safetensors"
    if layout != "diffusers":
        state = compvis_vae(state, "first_stage_model." if layout == "checkpoint" else "")
    save_file(state, path)
    found = read_vae(path, own(base), "lone", "tiny")
    assert (found.own_scaling, found.config.scaling_factor) == (False, own(base).scaling_factor)
    assert "as the model's own are" in found.notice("lone").message
    folder = other / "diffusion_pytorch_model.safetensors"
    assert torch.equal(decoded(path, base), decoded(folder, base))
    assert not torch.equal(decoded(path, base), decoded(base / "vae" / folder.name, base))


def test_other_latents_and_other_factors_are_refused_by_name(base: Path, other: Path) -> None:
    path = other / "diffusion_pytorch_model.safetensors"
    config = own(base)
    for changed, words in (
        ({"latent_channels": 16}, "4 latent channels, and the model's own has 16"),
        ({"block_out_channels": (16, 32, 32, 32)}, "2 pixels a latent cell along each side, and the model's own has 8"),
    ):
        wanted = AutoencoderConfig(**{name: getattr(config, name) for name in config.__slots__} | changed)
        with pytest.raises(MismatchedWeights, match=f"VAE 'thing' does not fit tiny: it has {words}"):
            read_vae(path, wanted, "thing", "tiny")


def test_what_is_no_autoencoder(base: Path) -> None:
    with pytest.raises(MismatchedWeights, match="is no autoencoder"):
        read_vae(base / "unet" / "diffusion_pytorch_model.safetensors", own(base), "unet", "tiny")


def test_one_of_another_family_is_told_by_its_scaling(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vae"
    shutil.copytree(base / "vae", folder)
    config = json.loads((folder / "config.json").read_text())
    for scaling, other in ((config["scaling_factor"], False), (0.13025, True)):
        (folder / "config.json").write_text(json.dumps(config | {"scaling_factor": scaling}))
        found = read_vae(folder / "diffusion_pytorch_model.safetensors", own(base), "theirs", "tiny")
        notice = found.other_family("theirs", "tiny", own(base))
        assert (notice is not None) is other
    assert notice is not None
    assert "another family" in notice.message
    assert "0.13025" in notice.message
