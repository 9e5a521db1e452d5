"""What a LoRA file says of itself: kohya's fields, Stability's modelspec, and Limner's own record of the run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from limner.tune.base import Base
from limner.tune.file import said
from limner.tune.pictures import Example
from limner.tune.settings import TuneSettings
from limner.tune.told import RECORD as RECORD
from limner.tune.words import Wording
from limner.types.base import now
from limner.version import VERSION

_VERSIONS: Mapping[str, str] = {"sd1": "sd_v1", "sd2": "sd_v2", "sd2-v": "sd_v2_v", "sdxl": "sdxl_base_v1-0"}
_ARCHITECTURES: Mapping[str, str] = {
    "sd1": "stable-diffusion-v1/lora",
    "sd2": "stable-diffusion-v2-512/lora",
    "sd2-v": "stable-diffusion-v2-768-v/lora",
    "sdxl": "stable-diffusion-xl-v1-base/lora",
}


def metadata(
    *,
    name: str,
    base: Base,
    settings: TuneSettings,
    side: int,
    examples: Sequence[Example],
    words: Wording,
    held: Collection[int],
    run: Mapping[str, object],
) -> dict[str, str]:
    """All of it. ``held`` are the places of the examples that were held out; ``run`` is what came of it."""
    trained = len(examples) - len(held)
    return {
        **_kohya(name, base, settings, side, words, trained, run),
        **_modelspec(name, base, settings, side, words),
        RECORD: json.dumps(
            {
                "schema": 1,
                "version": VERSION,
                "base": {"name": base.name, "hash": base.hash, "files": dict(base.resolved.ref.files)},
                "settings": {**settings.model_dump(mode="json"), "model": base.name, "size": side},
                "called": words.asked,
                "class": words.kind,
                "data": [
                    {"hash": each.hash, "caption": text, "held_out": k in held}
                    for k, (each, text) in enumerate(zip(examples, words.captions, strict=True))
                ],
                "run": dict(run),
            },
            ensure_ascii=False,
            sort_keys=True,
        ),
    }


def _kohya(
    name: str,
    base: Base,
    settings: TuneSettings,
    side: int,
    words: Wording,
    trained: int,
    run: Mapping[str, object],
) -> dict[str, str]:
    steps = int(str(run.get("steps", settings.steps)))
    rows = settings.batch * settings.accumulate
    tags = Counter(tag.strip() for caption in words.captions for tag in caption.split(","))
    fields: dict[str, object] = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": settings.rank,
        "ss_network_alpha": settings.scale * settings.rank,
        "ss_base_model_version": _VERSIONS.get(_generation(base), base.name),
        "ss_v2": base.generation == "sd2",
        "ss_sd_model_name": base.name,
        "ss_output_name": name,
        "ss_resolution": f"({side}, {side})",
        "ss_num_train_images": trained,
        "ss_num_reg_images": settings.prior,
        "ss_steps": steps,
        "ss_max_train_steps": settings.steps,
        "ss_epoch": max(1, steps * rows // max(trained, 1)),
        "ss_learning_rate": settings.lr,
        "ss_unet_lr": settings.lr,
        "ss_text_encoder_lr": (settings.text_lr or settings.lr / 2) if settings.text else None,
        "ss_optimizer": "torch.optim.adamw.AdamW",
        "ss_lr_scheduler": "cosine",
        "ss_lr_warmup_steps": settings.warmup,
        "ss_batch_size_per_device": settings.batch,
        "ss_gradient_accumulation_steps": settings.accumulate,
        "ss_gradient_checkpointing": settings.checkpointing,
        "ss_mixed_precision": {"bfloat16": "bf16"}.get(settings.dtype, "no"),
        "ss_min_snr_gamma": settings.min_snr or None,
        "ss_zero_terminal_snr": base.training.rescale_betas_zero_snr,
        "ss_prior_loss_weight": settings.prior_weight,
        "ss_caption_dropout_rate": settings.drop_caption,
        "ss_clip_skip": None,
        "ss_seed": settings.seed,
        "ss_tag_frequency": {name: dict(tags.most_common(50))},
        "ss_training_comment": f"limner {VERSION}",
    }
    return {key: _python(value) for key, value in fields.items()}


def _python(value: object) -> str:
    """As kohya writes it: Python's own words for truth and nothing, JSON for tables."""
    return str(value) if isinstance(value, bool | int | float) or value is None else said(value)


def _generation(base: Base) -> str:
    """Of Stable Diffusion 2 there are two: the larger predicts v."""
    v = base.generation == "sd2" and base.training.prediction_type == "v_prediction"
    return "sd2-v" if v else base.generation


def _modelspec(name: str, base: Base, settings: TuneSettings, side: int, words: Wording) -> dict[str, str]:
    fields = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": _ARCHITECTURES.get(_generation(base), f"{base.name}/lora"),
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models" if base.xl else "diffusers",
        "modelspec.title": name,
        "modelspec.date": now(),
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.prediction_type": "v" if base.training.prediction_type == "v_prediction" else "epsilon",
    }
    called = settings.subject or (words.called if settings.style else None)
    return fields if called is None else {**fields, "modelspec.trigger_phrase": called}
