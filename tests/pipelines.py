"""Tiny checkpoints of pipeline classes that Limner draws with through diffusers: random weights, real architectures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLQwenImage,
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    Kandinsky3Pipeline,
    Kandinsky3UNet,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    VQModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from tests.checkpoints import POCKET, VOCABULARY

CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def tokenizer(length: int = 24, *, chat: bool = False) -> PreTrainedTokenizerFast:
    made = PreTrainedTokenizerFast.from_pretrained(POCKET / "tokenizer", model_max_length=length)
    made.chat_template = CHAT if chat else None
    return made


def clip(width: int = 32, *, projected: bool = False) -> CLIPTextModel | CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=37,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=24,
        projection_dim=width,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def t5() -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4))


def gemma() -> Gemma2Model:
    return Gemma2Model(
        Gemma2Config(
            vocab_size=VOCABULARY,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=4,
        )
    )


def kl(latents: int = 4, blocks: int = 2, **more: object) -> AutoencoderKL:
    return AutoencoderKL(
        latent_channels=latents,
        block_out_channels=(8,) * blocks,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        norm_num_groups=4,
        layers_per_block=1,
        sample_size=32,
        **more,
    )


def pixart(kind: type[DiffusionPipeline]) -> DiffusionPipeline:
    transformer = PixArtTransformer2DModel(
        sample_size=8,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=24,
        out_channels=8,
        use_additional_conditions=False,
        norm_type="ada_norm_single",
        num_embeds_ada_norm=1000,
    )
    return kind(
        tokenizer=tokenizer(),
        text_encoder=t5(),
        vae=kl(),
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler() if kind is PixArtSigmaPipeline else DDIMScheduler(),
    )


def sana() -> DiffusionPipeline:
    vae = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=[1, 1],
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    transformer = SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=32,
    )
    return SanaPipeline(
        tokenizer=tokenizer(512),
        text_encoder=gemma(),
        vae=vae,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
    )


def sd3() -> DiffusionPipeline:
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=64,
        pooled_projection_dim=64,
        out_channels=4,
        pos_embed_max_size=32,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        text_encoder=clip(projected=True),
        text_encoder_2=clip(projected=True),
        text_encoder_3=T5EncoderModel(
            T5Config(vocab_size=VOCABULARY, d_model=64, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
        ),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        tokenizer_3=tokenizer(),
        vae=kl(shift_factor=0.0609, scaling_factor=1.5035, use_quant_conv=False, use_post_quant_conv=False),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )


def flux(*, guided: bool = False) -> DiffusionPipeline:
    """``guided``: as FLUX.1-dev, distilled with a guidance embedding; else as FLUX.1-schnell."""
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=guided,
        axes_dims_rope=[4, 4, 8],
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        text_encoder=clip(),
        text_encoder_2=t5(),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        transformer=transformer,
        vae=kl(1, shift_factor=0.0609, scaling_factor=1.5035, use_quant_conv=False, use_post_quant_conv=False),
    )


def z_image() -> DiffusionPipeline:
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        qk_norm=True,
        cap_feat_dim=16,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 64, 64],
    )
    with torch.no_grad():  # published ones are learnt; as they are made they may hold anything
        transformer.x_pad_token.normal_()
        transformer.cap_pad_token.normal_()
    text = Qwen3Model(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=512,
        )
    )
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=kl(16, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=text,
        tokenizer=tokenizer(512, chat=True),
        transformer=transformer,
    )


def aura_flow() -> DiffusionPipeline:
    transformer = AuraFlowTransformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        out_channels=4,
        pos_embed_max_size=256,
    )
    text = UMT5EncoderModel(UMT5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4))
    return AuraFlowPipeline(
        tokenizer=tokenizer(),
        text_encoder=text,
        vae=kl(),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )


def lumina2() -> DiffusionPipeline:
    transformer = Lumina2Transformer2DModel(
        sample_size=4,
        patch_size=2,
        in_channels=4,
        hidden_size=8,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=1,
        num_kv_heads=1,
        multiple_of=16,
        ffn_dim_multiplier=None,
        norm_eps=1e-5,
        scaling_factor=1.0,
        axes_dim_rope=[4, 2, 2],
        cap_feat_dim=8,
    )
    return Lumina2Pipeline(
        transformer=transformer,
        vae=kl(blocks=4, shift_factor=0.1159),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=gemma(),
        tokenizer=tokenizer(512),
    )


def qwen_image() -> DiffusionPipeline:
    text = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "vocab_size": VOCABULARY,
                "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
                "bos_token_id": 2,
                "eos_token_id": 3,
                "pad_token_id": 0,
            },
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": 16,
            },
            vision_start_token_id=5,
            vision_token_id=6,
            image_token_id=7,
            video_token_id=8,
        )
    )
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer(1024),
        transformer=transformer,
    )


def kandinsky3() -> DiffusionPipeline:
    return Kandinsky3Pipeline(
        tokenizer=tokenizer(128),
        text_encoder=t5(),
        unet=Kandinsky3UNet(
            in_channels=4,
            time_embedding_dim=4,
            groups=2,
            attention_head_dim=4,
            layers_per_block=3,
            block_out_channels=(32, 64),
            cross_attention_dim=4,
            encoder_hid_dim=32,
        ),
        movq=VQModel(
            in_channels=3,
            out_channels=3,
            latent_channels=4,
            block_out_channels=(32,) * 4,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=4,
            norm_type="spatial",
            num_vq_embeddings=12,
            vq_embed_dim=4,
        ),
        scheduler=DDPMScheduler(clip_sample=False),
    )


def unet(width: int, **more: object) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=width,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **more,
    )


def sd() -> DiffusionPipeline:
    return StableDiffusionPipeline(
        vae=kl(),
        text_encoder=clip(),
        tokenizer=tokenizer(),
        unet=unet(32),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl() -> DiffusionPipeline:
    return StableDiffusionXLPipeline(
        vae=kl(),
        text_encoder=clip(),
        text_encoder_2=clip(projected=True),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        unet=unet(
            64,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 2),
            projection_class_embeddings_input_dim=80,
        ),
        scheduler=EulerDiscreteScheduler(),
    )


MAKERS: dict[str, Callable[[], DiffusionPipeline]] = {
    "PixArtSigmaPipeline": lambda: pixart(PixArtSigmaPipeline),
    "PixArtAlphaPipeline": lambda: pixart(PixArtAlphaPipeline),
    "SanaPipeline": sana,
    "StableDiffusion3Pipeline": sd3,
    "FluxPipeline": flux,
    "ZImagePipeline": z_image,
    "AuraFlowPipeline": aura_flow,
    "Lumina2Pipeline": lumina2,
    "Kandinsky3Pipeline": kandinsky3,
    "QwenImagePipeline": qwen_image,
    "StableDiffusionPipeline": sd,
    "StableDiffusionXLPipeline": sdxl,
}


def make(kind: str, *, seed: int = 0) -> DiffusionPipeline:
    """A pipeline of that class with random weights, silent."""
    torch.manual_seed(seed)
    made = MAKERS[kind]()
    for part in made.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()  # as they are when they are read from files
    made.set_progress_bar_config(disable=True)
    return made


def write(folder: Path, kind: str, *, seed: int = 0) -> Path:
    """The same as a checkpoint in the diffusers layout; returns the folder."""
    make(kind, seed=seed).save_pretrained(folder)
    return folder


def copy(folder: Path, to: Path) -> Path:
    """A checkpoint to break."""
    shutil.copytree(folder, to)
    return to
