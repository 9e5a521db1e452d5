"""Drawing over a picture: its latent as the start, and a mask that keeps a part of it.

Ordinary networks: at each step the part that is kept is the start latent at that step's noise (as in RePaint, Lugmayr
et al. 2022, arXiv 2201.09865, without its repetitions). Inpainting networks are told mask and masked picture at every
step. In both, the finished pixels of what is kept are the start picture's own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from limner.canonical import content_hash
from limner.models.family import Files
from limner.models.latent import pictures
from limner.models.latent.decode import encode_picture
from limner.models.latent.parts import Parts
from limner.models.latent.start import Draws
from limner.models.upscaling.run import from_image, lanczos
from limner.sampling.course import Ask, Course, Denoise, Level
from limner.types import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Kept:
    """Latents of what is kept: ``redrawn`` [1, h, w] is 1 where it is redrawn, else ``clean`` with ``noise`` holds."""

    redrawn: Tensor
    clean: Tensor
    noise: Tensor
    skip: Level | None

    def around(self, denoise: Denoise) -> Denoise:
        """The network, shown the kept part as it is at that level. ``skip``: a level of pure noise, shown as it is.

        What a solver makes of the kept part in between is never looked at: solvers work on each cell by itself.
        """

        def masked(x: Tensor, level: Level) -> Course:
            if level != self.skip:
                known = level.alpha * self.clean + level.sigma * self.noise
                x = self.redrawn * x + (1 - self.redrawn) * known
            return (yield from denoise(x, level))

        return masked

    def finish(self, latent: Tensor) -> Tensor:
        return self.redrawn * latent + (1 - self.redrawn) * self.clean


@dataclass(frozen=True, slots=True)
class Begun:
    """Where drawing begins: ``x`` at the first of ``levels``. ``beside`` are further channels for the network."""

    x: Tensor
    levels: list[Level]
    kept: Kept | None = None
    beside: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """The start picture and its mask. ``picture`` and ``hard`` (0 or 1) are as large as they are drawn; ``soft`` (0 to
    1) and ``under`` as large as what is drawn is put back, at ``box`` of the ``whole`` picture."""

    picture: Image
    hard: pictures.Grey | None
    soft: pictures.Grey | None
    under: Image
    whole: Image
    box: pictures.Box | None

    @classmethod
    def read(cls, recipe: Recipe, files: Files) -> Given:
        """Raises ``UnreadablePicture``."""
        options, size = recipe.options, (recipe.width, recipe.height)
        how = cast("pictures.Resize", options["resize"])
        whole = pictures.rgb(files.extras[str(options["init"])])
        fitted = pictures.bring(whole, size, how)
        if "mask" not in options:
            return cls(fitted, None, None, fitted, fitted, None)
        mask = files.extras[str(options["mask"])]
        marked = pictures.as_image(pictures.read_mask(mask, whole.size, how, invert=bool(options["mask_invert"])))
        blur = float(options["mask_blur"])
        if "region" not in options:
            hard = pictures.threshold(pictures.bring(marked, size, how, border="white"))
            return cls(fitted, hard, pictures.feather(hard, blur), fitted, fitted, None)
        left, top, right, bottom = (int(side) for side in str(options["region"]).split(","))
        box = left, top, right, bottom
        soft = pictures.feather(pictures.threshold(marked), blur)[top:bottom, left:right]
        hard = pictures.threshold(pictures.bring(marked.crop(box), size, "stretch"))
        under = whole.crop(box)
        return cls(pictures.bring(under, size, "stretch"), hard, soft, under, whole, box)

    def put_back(self, drawn: Tensor) -> Tensor:
        """The finished picture [3, H, W] in 0..1: what was drawn where the mask says so, else the start picture."""
        import torch

        if self.soft is None:
            return drawn
        if drawn.shape[-2:] != (self.under.height, self.under.width):
            drawn = lanczos(drawn, self.under.size)
        soft = torch.from_numpy(self.soft).to(drawn)
        mixed = soft * drawn + (1 - soft) * from_image(self.under, drawn)
        if self.box is None:
            return mixed
        left, top, right, bottom = self.box
        whole = from_image(self.whole, drawn)
        whole[:, top:bottom, left:right] = mixed
        return whole


def begin(parts: Parts, draws: Draws, files: Files) -> Generator[Ask, tuple[Tensor, ...], tuple[Begun, Given | None]]:
    """Where image ``k`` begins: from noise alone, or from the request's picture. See ``start.py`` for what is drawn."""
    recipe = parts.recipe
    levels = [Level(*level) for level in recipe.levels]
    if "init" not in recipe.options:
        return Begun(draws.first() * recipe.start, levels), None
    levels = levels[int(recipe.options["begin"]) :]
    given = Given.read(recipe, files)
    return (yield from _over(parts, draws, given, levels)), given


def _over(parts: Parts, draws: Draws, given: Given, levels: list[Level]) -> Generator[Ask, tuple[Tensor, ...], Begun]:
    recipe, options = parts.recipe, parts.recipe.options
    native, pure = bool(options.get("inpainting", False)), bool(options["pure_noise"])
    clean: Tensor | None = None
    if not (native and pure):
        clean = yield from _encoded(parts, draws, from_image(given.picture, draws.like()) * 2 - 1, "picture")
    noise = draws.first()
    first = levels[0]
    x = noise * recipe.start if pure or clean is None else first.alpha * clean + first.sigma * noise
    if given.hard is None:
        return Begun(x, levels)
    hard = torch_mask(given.hard, noise)
    redrawn = _cells(hard, recipe.latent[1:])
    beside: Tensor | None = None
    if native:
        hidden = (from_image(given.picture, noise) * 2 - 1) * (1 - hard)
        masked = yield from _encoded(parts, draws, hidden, "masked picture")
        beside = _beside(redrawn, masked)
    elif options.get("spread", True):
        draws.next()
    if options["inpaint_fill"] == "noise" and not pure:
        fill = first.alpha * draws.next() + first.sigma * noise
        x = redrawn * fill + (1 - redrawn) * x
    if native or clean is None:
        return Begun(x, levels, None, beside)
    return Begun(x, levels, Kept(redrawn, clean, noise, first if pure else None))


def _encoded(parts: Parts, draws: Draws, pixels: Tensor, what: str) -> Course:
    """The latent of a picture of this plan's. Its encoding is the same for every image of the plan."""
    options = parts.recipe.options
    named = [options.get(name) for name in ("init", "resize", "mask", "mask_invert", "region")]
    key = content_hash([what, *named, parts.recipe.width, parts.recipe.height])
    spread = draws.next if options.get("spread", True) else (lambda: draws.like())
    return (yield from encode_picture(parts, pixels, spread, key))


def torch_mask(hard: pictures.Grey, like: Tensor) -> Tensor:
    """[1, H, W]."""
    import torch

    return torch.from_numpy(hard)[None].to(like)


def _cells(hard: Tensor, shape: Sequence[int]) -> Tensor:
    """[1, h, w]: a latent cell is redrawn where any of its pixels is, so that no thin stroke is lost."""
    import torch

    return torch.nn.functional.adaptive_max_pool2d(hard, (shape[0], shape[1]))


def _beside(redrawn: Tensor, masked: Tensor) -> Tensor:
    import torch

    return torch.cat((redrawn, masked))
