"""What a training run is asked to do. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from limner.errors import InvalidRequest
from limner.types import Dtype, Frozen

Target = Literal["attention", "ff", "conv", "text"]
TARGETS: tuple[Target, ...] = ("attention", "ff", "conv", "text")
MAX_RANK = 512


class TuneSettings(Frozen):
    """One run. Everything here decides the result, and goes into the file's metadata.

    Attributes:
        subject: ``"sks fox"``: a rare word and the class word it belongs to (DreamBooth, Ruiz et al. 2022).
        style: the word that is to call a style.
        rank, alpha: the LoRA's; what it adds is scaled by alpha / rank. ``alpha`` unset is the rank.
        targets: which layers: ``attention`` and ``ff`` of the transformers, ``conv`` of the resnets, ``text`` encoders.
        lr, text_lr: AdamW's step, of the denoiser's layers and of the text encoders' (unset: half of it).
        steps: optimizer steps; each sees ``batch * accumulate`` pictures.
        warmup: steps over which the learning rate rises; it then falls along a cosine to a tenth.
        min_snr: gamma of min-SNR weights (Hang et al. 2023); 0 weighs all timesteps alike.
        drop_caption: share of rows trained without words, so that guidance goes on working.
        prior: generated pictures of the class that keep it as it was; ``prior_weight`` of them in the loss.
        size: pixels a side, a multiple of the latent cell and of the network's own factor.
        ema: decay of the running mean of the weights; 0 is none.
        hold_out: pictures that are not trained on; their loss says when to stop. Unset: an eighth of 12 and more.
        patience: checks without gain on them after which the run ends.
        check_every: steps between looks at the held-out pictures and saved states.
        samples: prompts drawn before the first step, after each ``sample_every`` (0: of none) and at the end.
    """

    model: str
    subject: str | None = None
    style: str | None = None
    rank: Annotated[int, Field(ge=1, le=MAX_RANK)] = 16
    alpha: Annotated[float | None, Field(gt=0, le=4 * MAX_RANK)] = None
    targets: tuple[Target, ...] = ("attention", "ff")
    lr: Annotated[float, Field(gt=0, le=1)] = 2e-4
    text_lr: Annotated[float | None, Field(gt=0, le=1)] = None
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    batch: Annotated[int, Field(ge=1, le=1024)] = 2
    accumulate: Annotated[int, Field(ge=1, le=1024)] = 1
    warmup: Annotated[int, Field(ge=0)] = 20
    clip: Annotated[float, Field(gt=0)] = 1.0
    min_snr: Annotated[float, Field(ge=0, le=100)] = 5.0
    drop_caption: Annotated[float, Field(ge=0, le=1)] = 0.05
    flip: bool = False
    prior: Annotated[int, Field(ge=0, le=10_000)] = 0
    prior_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    size: Annotated[int | None, Field(ge=16, le=4096)] = None
    dtype: Dtype = "float32"
    device: str = "cpu"
    checkpointing: bool = False
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    hold_out: Annotated[int | None, Field(ge=0, le=1000)] = None
    patience: Annotated[int, Field(ge=1)] = 4
    check_every: Annotated[int, Field(ge=1)] = 50
    samples: tuple[str, ...] = ()
    sample_every: Annotated[int, Field(ge=0)] = 200
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @classmethod
    def of(cls, **fields: object) -> TuneSettings:
        """From loose values. Raises ``InvalidRequest`` naming the first that is wrong."""
        try:
            made = cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "settings"
            raise InvalidRequest(_wrong(where, first), field=where, hint="limner tune lora --help") from None
        return made.checked()

    def checked(self) -> TuneSettings:
        """Itself. Raises ``InvalidRequest`` for settings that contradict each other."""
        for name in ("model", "subject", "style"):
            if (said := getattr(self, name)) is not None and not said.strip():
                raise InvalidRequest(f"{name}: no words", field=name, hint=f"leave --{name} out, or say it")
        if not all(each.strip() for each in self.samples):
            raise InvalidRequest("sample: no words", field="samples", hint='say what to draw: --sample "a sks fox"')
        if self.subject and self.style:
            raise InvalidRequest("a LoRA of a subject and of a style are two", field="subject", hint="train each alone")
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise InvalidRequest("targets: name each kind of layer once", field="targets", hint=", ".join(TARGETS))
        if self.targets == ("text",):
            raise InvalidRequest(
                "a text encoder alone cannot learn a look", field="targets", hint="add attention: --target attention"
            )
        if self.prior and not self.subject:
            raise InvalidRequest(
                "prior preservation keeps the class of a subject, and no subject is named",
                field="prior",
                hint='name it: --subject "sks fox"',
            )
        if self.dtype == "float16":
            raise InvalidRequest(
                "training in float16 needs loss scaling, which is not done here", field="dtype", hint="--dtype bfloat16"
            )
        return self

    @property
    def scale(self) -> float:
        """alpha / rank."""
        return (self.alpha or self.rank) / self.rank

    @property
    def text(self) -> bool:
        """Whether text encoders are trained."""
        return "text" in self.targets

    def samples_at(self, step: int) -> bool:
        """Whether samples are due after a step, its being the last apart."""
        return bool(self.samples and self.sample_every and step and step % self.sample_every == 0)

    def decisive(self, side: int, held: int) -> dict[str, object]:
        """What a resumed run must have in common with the one it goes on with, however it is spelt: all but how long
        and how often looked, and what mends a run that stopped: smaller learning rates, and checkpointing, which
        changes no number. The model is known by its hash. ``side`` and ``held`` are what size and hold_out came to.

        The schedule of the learning rate hangs on ``steps``; a longer run is another one from where it differs, which
        is what is wanted of one that goes on."""
        said = self.model_dump(mode="json", exclude=set(_FREE))
        for name in ("subject", "style"):
            if said[name] is not None:
                said[name] = " ".join(said[name].split())
        return {
            **said,
            "alpha": self.scale * self.rank,
            "targets": sorted(self.targets),
            "size": side,
            "hold_out": held,
        }


_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "over"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "under"),
}


def _wrong(where: str, error: ErrorDetails) -> str:
    """``--steps must be at least 1``; what pydantic says, where no bound was crossed."""
    option = f"--{where.replace('_', '-')}"
    if error["type"] in _BOUNDS:
        name, words = _BOUNDS[error["type"]]
        return f"{option} must be {words} {error['ctx'][name]:g}"
    return f"{where}: {error['msg']}"


_FREE = (
    "model",
    "steps",
    "samples",
    "sample_every",
    "check_every",
    "patience",
    "device",
    "lr",
    "text_lr",
    "checkpointing",
)
