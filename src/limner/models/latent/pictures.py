"""Start pictures and masks as arrays of the size they are drawn at. Pillow and numpy, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from limner.errors import InvalidRequest, UnreadablePicture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Grey: TypeAlias = NDArray[np.float32]
    """Height x width, 0 (kept) to 1 (redrawn)."""

Resize = Literal["crop", "fit", "stretch"]
Size: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[int, int, int, int]
FORMATS = ("PNG", "JPEG", "WEBP")
HALF = 0.5  # where a mask's grey counts as white


@contextmanager
def _upright(path: Path) -> Iterator[Image]:
    """A stored picture, turned as its EXIF block says. Raises ``UnreadablePicture``."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            yield ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise UnreadablePicture(f"{path} is damaged: {error}", hint="give the original file again") from error


def size_of(path: Path) -> Size:
    """Width and height, upright. Raises ``UnreadablePicture``."""
    with _upright(path) as image:
        return image.size


def rgb(path: Path) -> Image:
    """The picture in 8-bit RGB; what is transparent is laid on white. Raises ``UnreadablePicture``."""
    from PIL import Image

    with _upright(path) as image:
        if image.mode.startswith("I"):
            return _eight_bits(image).convert("RGB")
        if not image.has_transparency_data:
            return image.convert("RGB")
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def grey(path: Path) -> Image:
    """A mask in 8-bit grey, white where it is redrawn: the picture's own grey, or where anything in it is transparent,
    what is transparent (the way of OpenAI's image edits). Raises ``UnreadablePicture``."""
    import numpy as np
    from PIL import ImageChops

    with _upright(path) as image:
        if image.has_transparency_data:
            alpha = image.convert("RGBA").getchannel("A")
            if bool((np.asarray(alpha) < 255).any()):
                return ImageChops.invert(alpha)
        return _eight_bits(image) if image.mode.startswith("I") else image.convert("L")


def _eight_bits(image: Image) -> Image:
    """16-bit grey scaled down, where Pillow's own conversion would clip it."""
    import numpy as np
    from PIL import Image as Pillow

    return Pillow.fromarray((np.asarray(image).astype(np.uint32) // 257).clip(0, 255).astype(np.uint8))


def bring(image: Image, size: Size, how: Resize, border: str | None = None) -> Image:
    """The picture at ``size`` (width, height), by Lanczos' filter.

    ``crop`` keeps the proportions and cuts off what is too long, on both sides alike; ``fit`` keeps the whole picture
    and fills the border with ``border``, or where that is left out with the colours of the edge; ``stretch`` changes
    the proportions.
    """
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageOps

    if image.size == size:
        return image
    if how == "stretch":
        return image.resize(size, Pillow.Resampling.LANCZOS)
    if how == "crop":
        return ImageOps.fit(image, size, Pillow.Resampling.LANCZOS)
    inner = ImageOps.contain(image, size, Pillow.Resampling.LANCZOS)
    left, top = (size[0] - inner.width) // 2, (size[1] - inner.height) // 2
    if border is not None:
        return ImageOps.pad(image, size, Pillow.Resampling.LANCZOS, color=border)
    around = ((top, size[1] - inner.height - top), (left, size[0] - inner.width - left), (0, 0))
    return Pillow.fromarray(np.pad(np.asarray(inner), around[: np.asarray(inner).ndim], mode="edge"))


def read_mask(path: Path, own: Size, how: Resize | None, *, invert: bool) -> Grey:
    """What is redrawn (0 or 1), at the size of the start picture (width, height).

    Raises ``InvalidRequest`` where the mask has another size and nothing is said of how it is brought to this one,
    ``UnreadablePicture``.
    """
    image = grey(path)
    if image.size != own:
        if how is None:
            raise InvalidRequest(
                f"mask: it is {image.width}x{image.height} and the start picture {own[0]}x{own[1]}",
                field="mask",
                hint="make them the same size, or say how the mask is brought to it: --resize crop, fit or stretch",
            )
        image = bring(image, own, how, border="black")
    white = threshold(image)
    return white if not invert else (1 - white).astype(white.dtype)


def threshold(image: Image) -> Grey:
    """0 or 1, from a grey picture."""
    import numpy as np

    return (np.asarray(image, dtype=np.float32) / 255 >= HALF).astype(np.float32)


def as_image(mask: Grey) -> Image:
    """An 8-bit grey picture of a mask."""
    import numpy as np
    from PIL import Image

    return Image.fromarray((mask * 255).round().astype(np.uint8))


def feather(hard: Grey, blur: float) -> Grey:
    """The mask with an edge as soft as a Gaussian of ``blur`` pixels makes it."""
    import numpy as np
    from PIL import ImageFilter

    if blur == 0:
        return hard
    soft = np.asarray(as_image(hard).filter(ImageFilter.GaussianBlur(blur)), dtype=np.float32)
    return soft / np.float32(255)


def region(hard: Grey, padding: int, shape: Size) -> Box:
    """The smallest box (left, top, right, bottom) around what is redrawn and ``padding`` pixels more, with the
    proportions of ``shape`` (width, height) as far as the picture has room for them."""
    import numpy as np

    height, width = hard.shape
    rows, columns = np.flatnonzero(hard.any(axis=1)), np.flatnonzero(hard.any(axis=0))
    top, bottom = max(int(rows[0]) - padding, 0), min(int(rows[-1]) + 1 + padding, height)
    left, right = max(int(columns[0]) - padding, 0), min(int(columns[-1]) + 1 + padding, width)
    want = shape[0] / shape[1]
    if (right - left) / (bottom - top) < want:
        left, right = _widened(left, right, round((bottom - top) * want), width)
    else:
        top, bottom = _widened(top, bottom, round((right - left) / want), height)
    return left, top, right, bottom


def _widened(low: int, high: int, length: int, most: int) -> tuple[int, int]:
    """``low`` to ``high`` made ``length`` long around its middle, inside 0 to ``most``."""
    length = min(max(length, high - low), most)
    start = min(max(low - (length - (high - low)) // 2, 0), most - length)
    return start, start + length


def check_mask(hard: Grey) -> None:
    """Raises ``InvalidRequest`` where a mask redraws nothing, or everything."""
    share = float(hard.mean())
    if share == 0:
        raise InvalidRequest(
            "mask: it redraws nothing; white (or transparent) is what is redrawn",
            field="mask",
            hint="--mask-invert takes black for it instead",
        )
    if share == 1:
        raise InvalidRequest(
            "mask: it redraws everything; black (or opaque) is what is kept",
            field="mask",
            hint="leave --mask out and say with --strength how much is redrawn, or use --mask-invert",
        )
