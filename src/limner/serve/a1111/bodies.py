"""What may be sent to ``txt2img`` and ``img2img``: the web UI's parameters by its names.

``null`` is "not said", as are parameters left out: size, steps, guidance and sampler are then the model's own.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from limner.types.request import MAX_PROMPT, MAX_STEPS

Count = Annotated[int, Field(ge=1, le=1_000)]
Side = Annotated[int, Field(ge=16, le=8_192)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Whole = Annotated[int, Field(ge=-(2**31), le=2**31)]
Words = Annotated[str, Field(max_length=MAX_PROMPT)]
Name = Annotated[str, Field(max_length=300)]
Encoded = Annotated[str, Field(description="base64, bare or as a data URL")]
Settings = Annotated[dict[str, JsonValue], Field(max_length=500)]


class Lenient(BaseModel):
    """A body of the web UI's: ``null`` is "not said", and what it does not know is kept, to be told."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: Any) -> Any:
        return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body

    def unknown(self) -> tuple[str, ...]:
        """Names of parameters that were sent and are none."""
        return tuple(self.model_extra or ())

    def said(self, name: str) -> bool:
        return name in self.model_fields_set


class Drawing(Lenient):
    """What both have."""

    prompt: Words = ""
    negative_prompt: Words = ""
    styles: Annotated[list[Name], Field(max_length=100)] = []
    seed: int = -1
    subseed: int = -1
    subseed_strength: Annotated[float, Field(ge=0, le=1)] = 0
    seed_resize_from_h: Whole = -1
    seed_resize_from_w: Whole = -1
    sampler_name: Name | None = None
    sampler_index: Annotated[Name | None, Field(description="what sampler_name was called")] = None
    scheduler: Name | None = None
    batch_size: Count = 1
    n_iter: Count = 1
    steps: Annotated[int | None, Field(ge=1, le=MAX_STEPS)] = None
    cfg_scale: Annotated[float | None, Field(ge=0, le=100)] = None
    width: Side | None = None
    height: Side | None = None
    restore_faces: bool = False
    tiling: bool = False
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: Number | None = None
    denoising_strength: Annotated[float | None, Field(ge=0, le=1)] = None
    s_min_uncond: Number | None = None
    s_churn: Number | None = None
    s_tmax: Number | None = None
    s_tmin: Number | None = None
    s_noise: Number | None = None
    override_settings: Settings = {}
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: Name | None = None
    refiner_switch_at: Number | None = None
    disable_extra_networks: bool = False
    script_name: Name | None = None
    script_args: Annotated[list[JsonValue], Field(max_length=1_000)] = []
    alwayson_scripts: Settings = {}
    send_images: bool = True
    save_images: bool = False
    force_task_id: Name | None = None
    infotext: Annotated[str | None, Field(max_length=100_000)] = None
    comments: dict[str, JsonValue] | None = None

    unsent: ClassVar[frozenset[str]] = frozenset()
    """Parameters that are not repeated in an answer."""

    @property
    def n(self) -> int:
        return self.batch_size * self.n_iter

    @property
    def sampler(self) -> str | None:
        """The sampler that was asked for, by either of its parameters."""
        return self.sampler_name or self.sampler_index or None


class Txt2Img(Drawing):
    """Pictures from words; ``enable_hr`` asks for a second pass."""

    enable_hr: bool = False
    firstphase_width: Whole = 0
    firstphase_height: Whole = 0
    hr_scale: Annotated[float, Field(gt=0, le=8)] = 2.0
    hr_upscaler: Name | None = None
    hr_second_pass_steps: Annotated[int, Field(ge=0, le=MAX_STEPS)] = 0
    hr_resize_x: Annotated[int, Field(ge=0, le=8_192)] = 0
    hr_resize_y: Annotated[int, Field(ge=0, le=8_192)] = 0
    hr_checkpoint_name: Name | None = None
    hr_sampler_name: Name | None = None
    hr_scheduler: Name | None = None
    hr_prompt: Words = ""
    hr_negative_prompt: Words = ""


class Img2Img(Drawing):
    """Pictures drawn over one, or in that part of it where a mask is white."""

    init_images: Annotated[list[Encoded], Field(max_length=100)] = []
    mask: Encoded | None = None
    resize_mode: Annotated[int, Field(ge=0, le=3)] = 0
    mask_blur: Annotated[float | None, Field(ge=0, le=256)] = None
    mask_blur_x: Annotated[float | None, Field(ge=0, le=256)] = None
    mask_blur_y: Annotated[float | None, Field(ge=0, le=256)] = None
    mask_round: bool = True
    image_cfg_scale: Number | None = None
    inpainting_fill: Annotated[int, Field(ge=0, le=3)] = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: Annotated[int, Field(ge=0, le=1_024)] = 0
    inpainting_mask_invert: Annotated[int, Field(ge=0, le=1)] = 0
    initial_noise_multiplier: Number | None = None
    latent_mask: Encoded | None = None
    include_init_images: bool = False

    unsent: ClassVar[frozenset[str]] = frozenset({"init_images", "mask", "latent_mask"})
