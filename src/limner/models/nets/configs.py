"""What the networks of Stable Diffusion 1, 2 and XL are made of, read from the published ``config.json`` files.

Torch-free, so that planning can ask for channels and sizes without loading a network. Defaults are those the published
classes document for absent keys: older checkpoints leave many out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from limner.errors import MismatchedWeights
from limner.models.nets.fields import Fields

DOWN_BLOCKS = ("DownBlock2D", "CrossAttnDownBlock2D")
UP_BLOCKS = ("UpBlock2D", "CrossAttnUpBlock2D")
SILU = ("silu", "swish")
MAX_LAYERS = 64
ADDED_NUMBERS = (5, 6)  # of XL's refiner and of its base

# Values at which a key we do not implement leaves the mathematics as it is. `dropout` does nothing in inference;
# `sample_size` is advice; `addition_embed_type_num_heads` is read only with an addition embedding of the kind "text".
_UNET_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "act_fn": SILU,
    "attention_type": ("default",),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "mid_block_scale_factor": (1,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "resnet_out_scale_factor": (1,),
    "resnet_time_scale_shift": ("default",),
    "time_embedding_type": ("positional",),
    "addition_embed_type_num_heads": (64,),
}
_UNET_IGNORED = {"dropout", "num_attention_heads", "time_embedding_dim"}
_VAE_NEUTRAL: Mapping[str, tuple[object, ...]] = {"act_fn": SILU}


def _names(config: type[object]) -> set[str]:
    return {item.name for item in fields(config)}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """A UNet2DConditionModel of the SD 1/2 kind (Rombach et al. 2022, arXiv:2112.10752) or of the XL kind (Podell et
    al. 2023, arXiv:2307.01952).

    Per-block tuples run from the outermost (largest) block inwards. ``heads`` is the number of attention heads: the
    published key ``attention_head_dim`` means just that in this class, unless ``num_attention_heads`` is given.
    ``sample_size`` is the latent height and width the network was trained at, where known. ``in_channels`` 9 is an
    inpainting network: latent, mask, masked picture.

    ``addition_embed_type`` "text_time" adds to the time embedding what XL says of the picture: a pooled text and
    numbers such as its original size, each number as a sinusoid of ``addition_time_embed_dim`` channels, together
    ``projection_class_embeddings_input_dim`` channels. ``time_cond_proj_dim`` is the width of the guidance embedding of
    a consistency model (Luo et al. 2023, arXiv:2310.04378), where it has one.
    """

    in_channels: int = 4
    out_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    down_block_types: tuple[str, ...] = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    up_block_types: tuple[str, ...] = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
    layers_per_block: tuple[int, ...] = (2, 2, 2, 2)
    transformer_layers_per_block: tuple[int, ...] = (1, 1, 1, 1)
    heads: tuple[int, ...] = (8, 8, 8, 8)
    cross_attention_dim: int = 1280
    use_linear_projection: bool = False
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    flip_sin_to_cos: bool = True
    freq_shift: float = 0.0
    downsample_padding: int = 1
    time_embedding_dim: int = 1280
    sample_size: int | None = None
    upcast_attention: bool = False
    addition_embed_type: str | None = None
    addition_time_embed_dim: int = 0
    projection_class_embeddings_input_dim: int = 0
    time_cond_proj_dim: int | None = None

    @property
    def downsample_factor(self) -> int:
        return int(2 ** (len(self.block_out_channels) - 1))

    def added_numbers(self, pooled: int) -> int:
        """How many numbers the network is told besides a pooled text of width ``pooled``: 6 for XL's base (original
        size, crop, target size), 5 for its refiner (original size, crop, aesthetic score).

        Raises:
            MismatchedWeights: a text of that width does not fit.
        """
        total, each = self.projection_class_embeddings_input_dim, self.addition_time_embed_dim
        for count in ADDED_NUMBERS:
            if each and pooled + count * each == total:
                return count
        raise MismatchedWeights(
            f"the UNet takes {total} added channels: a text of {pooled} and numbers of {each} do not make that up",
            hint="the UNet and the text encoder must come from the same checkpoint",
        )

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> UNetConfig:
        """Read a published ``unet/config.json``.

        Raises:
            CorruptFile: a value has the wrong type.
            MismatchedWeights: a key asks for something these networks do not do; the message names it.
        """
        read = Fields(config, "UNet")
        read.refuse_others(_names(cls) | _UNET_IGNORED | {"attention_head_dim"}, _UNET_NEUTRAL)
        channels = read.integers("block_out_channels", (320, 640, 1280, 1280))
        n = len(channels)
        heads_key = "attention_head_dim" if config.get("num_attention_heads") is None else "num_attention_heads"
        unet = cls(
            in_channels=read.integer("in_channels", 4),
            out_channels=read.integer("out_channels", 4),
            block_out_channels=channels,
            down_block_types=read.names(
                "down_block_types", ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), DOWN_BLOCKS
            ),
            up_block_types=read.names("up_block_types", ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3, UP_BLOCKS),
            layers_per_block=read.per_block("layers_per_block", 2, n, high=MAX_LAYERS),
            transformer_layers_per_block=read.per_block("transformer_layers_per_block", 1, n, high=MAX_LAYERS),
            heads=read.per_block(heads_key, 8, n),
            cross_attention_dim=read.integer("cross_attention_dim", 1280),
            use_linear_projection=read.flag("use_linear_projection", False),
            norm_num_groups=read.integer("norm_num_groups", 32),
            norm_eps=read.number("norm_eps", 1e-5),
            flip_sin_to_cos=read.flag("flip_sin_to_cos", True),
            freq_shift=read.number("freq_shift", 0.0),
            downsample_padding=read.integer("downsample_padding", 1, low=0, high=1),
            time_embedding_dim=read.integer("time_embedding_dim", channels[0] * 4),
            sample_size=read.integer("sample_size", 0, low=0) or None,
            upcast_attention=read.flag("upcast_attention", False),
            addition_embed_type=read.text("addition_embed_type", "", ("text_time",)) or None,
            addition_time_embed_dim=read.integer("addition_time_embed_dim", 0, low=0),
            projection_class_embeddings_input_dim=read.integer("projection_class_embeddings_input_dim", 0, low=0),
            time_cond_proj_dim=read.integer("time_cond_proj_dim", 0, low=0) or None,
        )
        if unet.addition_embed_type and not (
            unet.addition_time_embed_dim and unet.projection_class_embeddings_input_dim
        ):
            raise read.unsupported("addition_embed_type", "without the sizes of that embedding")
        _check_blocks(read, channels, unet.norm_num_groups, unet.down_block_types, unet.up_block_types)
        if any(width % heads for width, heads in zip(channels, unet.heads, strict=True)):
            raise read.unsupported(heads_key, "which does not divide block_out_channels")
        return unet


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """An AutoencoderKL (Rombach et al. 2022). Latents for the diffusion are ``(mean - shift_factor) * scaling_factor``.

    ``force_upcast`` says that the decoder overflows in float16.
    """

    in_channels: int = 3
    out_channels: int = 3
    block_out_channels: tuple[int, ...] = (64,)
    layers_per_block: int = 1
    latent_channels: int = 4
    norm_num_groups: int = 32
    mid_block_add_attention: bool = True
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    scaling_factor: float = 0.18215
    shift_factor: float = 0.0
    force_upcast: bool = True
    sample_size: int | None = None

    @property
    def downsample_factor(self) -> int:
        """Pixels per latent, along each side."""
        return int(2 ** (len(self.block_out_channels) - 1))

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> AutoencoderConfig:
        """Read a published ``vae/config.json``; raises as :meth:`UNetConfig.from_json`."""
        read = Fields(config, "autoencoder")
        read.refuse_others(_names(cls) | {"down_block_types", "up_block_types"}, _VAE_NEUTRAL)
        channels = read.integers("block_out_channels", (64,))
        groups = read.integer("norm_num_groups", 32)
        down = read.names("down_block_types", ("DownEncoderBlock2D",), ("DownEncoderBlock2D",))
        up = read.names("up_block_types", ("UpDecoderBlock2D",), ("UpDecoderBlock2D",))
        _check_blocks(read, channels, groups, down, up)
        scaling = read.number("scaling_factor", 0.18215)
        if scaling == 0.0:
            raise read.unsupported("scaling_factor", "but latents are divided by it")
        return cls(
            in_channels=read.integer("in_channels", 3),
            out_channels=read.integer("out_channels", 3),
            block_out_channels=channels,
            layers_per_block=read.integer("layers_per_block", 1, high=MAX_LAYERS),
            latent_channels=read.integer("latent_channels", 4),
            norm_num_groups=groups,
            mid_block_add_attention=read.flag("mid_block_add_attention", True),
            use_quant_conv=read.flag("use_quant_conv", True),
            use_post_quant_conv=read.flag("use_post_quant_conv", True),
            scaling_factor=scaling,
            shift_factor=read.number("shift_factor", 0.0),
            force_upcast=read.flag("force_upcast", True),
            sample_size=read.integer("sample_size", 0, low=0) or None,
        )


@dataclass(frozen=True, slots=True)
class ClipTextConfig:
    """The text tower of CLIP (Radford et al. 2021, arXiv:2103.00020).

    ``projection_dim`` is the width of the pooled text, ``None`` where the network has no projection. ``eos_token_id``
    is the id whose state is pooled; 2 stands for the highest id of a text, as older configs say 2 and mean that.
    """

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    projection_dim: int | None = None
    eos_token_id: int = 2

    @classmethod
    def from_json(cls, config: Mapping[str, object], *, projected: bool | None = None) -> ClipTextConfig:
        """Read a published ``text_encoder/config.json``. ``projected`` says whether the network has a projection; left
        out, the class that the config names decides.

        Such files also carry settings of text generation and training, which do not matter here and are passed over.
        Raises as :meth:`UNetConfig.from_json`.
        """
        read = Fields(config, "text encoder")
        read.text("model_type", "clip_text_model", ("clip_text_model",))
        if read.flag("use_attention_mask", False):
            raise read.unsupported("use_attention_mask")
        if projected is None:
            projected = "CLIPTextModelWithProjection" in _classes(config)
        clip = cls(
            vocab_size=read.integer("vocab_size", 49408, high=1 << 24),
            hidden_size=read.integer("hidden_size", 512),
            intermediate_size=read.integer("intermediate_size", 2048),
            num_hidden_layers=read.integer("num_hidden_layers", 12, high=MAX_LAYERS),
            num_attention_heads=read.integer("num_attention_heads", 8),
            max_position_embeddings=read.integer("max_position_embeddings", 77),
            hidden_act=read.text("hidden_act", "quick_gelu", ("quick_gelu", "gelu")),
            layer_norm_eps=read.number("layer_norm_eps", 1e-5),
            projection_dim=read.integer("projection_dim", 512) if projected else None,
            eos_token_id=read.integer("eos_token_id", 49407, low=0),
        )
        if clip.hidden_size % clip.num_attention_heads:
            raise read.unsupported("num_attention_heads", "which does not divide hidden_size")
        return clip


def _classes(config: Mapping[str, object]) -> tuple[object, ...]:
    found = config.get("architectures")
    return tuple(found) if isinstance(found, list | tuple) else ()


def _check_blocks(
    read: Fields, channels: tuple[int, ...], groups: int, down: tuple[str, ...], up: tuple[str, ...]
) -> None:
    if any(width % groups for width in channels):
        raise read.unsupported("norm_num_groups", "which does not divide block_out_channels")
    if len(down) != len(channels):
        raise read.corrupt("down_block_types", f"a list of {len(channels)}, as block_out_channels has,")
    if len(up) != len(channels):
        raise read.corrupt("up_block_types", f"a list of {len(channels)}, as block_out_channels has,")
