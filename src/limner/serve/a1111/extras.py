"""``/extra-single-image`` and ``/extra-batch-images``: enlarge pictures that are sent."""

from __future__ import annotations

import asyncio
import html
import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from PIL import Image
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from limner.errors import InvalidRequest
from limner.library import a1111
from limner.library.inputs import Inputs
from limner.models.upscaling.recognise import LARGEST
from limner.serve.a1111.bodies import Encoded, Lenient, Name, Side
from limner.serve.a1111.drawing import finished
from limner.serve.a1111.pictures import decoded, flattened
from limner.serve.a1111.state import Desk, Task, desk
from limner.serve.a1111.wording import answer, worded
from limner.serve.errors import fault_of_trouble
from limner.serve.jobs import Ask, Job
from limner.serve.names import refuse_path
from limner.serve.openai.encoding import Wish, aside, in_base64, written
from limner.serve.shell import service
from limner.serve.uploads import kept

if TYPE_CHECKING:
    from limner.serve.service import Service
    from limner.types import Plan

router = APIRouter()
Inside = Annotated[Desk, Depends(desk)]
Share = Annotated[float, Field(ge=0, le=1)]
CLIENT = "a1111"
MOST = 32


class Enlarging(Lenient):
    """How pictures are enlarged: ``resize_mode`` 0 by a factor, 1 to a size."""

    resize_mode: Annotated[int, Field(ge=0, le=1)] = 0
    show_extras_results: bool = True
    gfpgan_visibility: Share = 0
    codeformer_visibility: Share = 0
    codeformer_weight: Share = 0
    upscaling_resize: Annotated[float, Field(gt=0, le=LARGEST)] = 2
    upscaling_resize_w: Side = 512
    upscaling_resize_h: Side = 512
    upscaling_crop: bool = True
    upscaler_1: Name = "None"
    upscaler_2: Name = "None"
    extras_upscaler_2_visibility: Share = 0
    upscale_first: bool = False

    def notices(self) -> list[str]:
        """What has no effect, in words."""
        said = {
            "gfpgan_visibility": self.gfpgan_visibility > 0,
            "codeformer_visibility": self.codeformer_visibility > 0,
            "upscaler_2": self.upscaler_2 != "None" and self.extras_upscaler_2_visibility > 0,
        }
        why = {"upscaler_2": "pictures are enlarged by one upscaler"}
        found = [
            f"{name} has no effect: {why.get(name, 'no face restorer is here')}" for name, is_ in said.items() if is_
        ]
        return found + [f"parameter {name[:60]} has no effect: it is not known here" for name in self.unknown()]


class One(Enlarging):
    """A picture."""

    image: Encoded


class NamedPicture(Lenient):
    """A picture of several."""

    data: Encoded
    name: Name = ""


class Several(Enlarging):
    """Pictures."""

    images: Annotated[list[NamedPicture], Field(alias="imageList", min_length=1, max_length=MOST)]


@dataclass(frozen=True, slots=True)
class Enlarged:
    """A picture as it is answered, in base64, and what there is to say of it."""

    data: str
    notices: tuple[str, ...] = ()


@router.post("/extra-single-image", response_class=JSONResponse)
async def extra_single_image(request: Request, inside: Inside, body: One) -> Response:
    """Enlarge a picture."""
    with inside.answering("extras", 1) as task:
        found = await _enlarged(request, task, body, body.image)
    if not isinstance(found, Enlarged):
        return found
    return answer({"html_info": _html(body, [found]), "image": found.data})


@router.post("/extra-batch-images", response_class=JSONResponse)
async def extra_batch_images(request: Request, inside: Inside, body: Several) -> Response:
    """Enlarge pictures, one after another."""
    done: list[Enlarged] = []
    with inside.answering("extras", len(body.images)) as task:
        for task.first, each in enumerate(body.images):
            found = await _enlarged(request, task, body, each.data)
            if not isinstance(found, Enlarged):
                return found
            done.append(found)
            if task.interrupted:
                break
    return answer({"html_info": _html(body, done), "images": [each.data for each in done]})


async def _enlarged(request: Request, task: Task, body: Enlarging, data: str) -> Enlarged | Response:
    own = service(request)
    own.admit(1)
    image = flattened((await decoded(data, "image")).image)
    if body.upscaler_1 == "None":
        return Enlarged(await asyncio.to_thread(_plain, image), ("no upscaler was named: the picture is as it was",))
    name = a1111.ours("upscale", body.upscaler_1)
    refuse_path(name, "upscaler_1")
    factor, size = _size(body, image.size)
    plan = await asyncio.to_thread(partial(_plan, own, image, f"{name}:{factor:g}"))
    job = await finished(request, task, await own.submit(_ask(plan)))
    if job.state == "failed" and job.error is not None:
        return worded(request, fault_of_trouble(job.error))
    if not job.made:
        raise InvalidRequest("the picture was not enlarged: it was interrupted", hint="ask again")
    return await _answered(own, job, size)


async def _answered(own: Service, job: Job, size: tuple[int, int] | None) -> Enlarged:
    entry = await asyncio.to_thread(own.session.library.get, job.made[0])
    file = await aside(written, own, entry, Wish(size=size))
    return Enlarged(in_base64(file), tuple(each.message for each in job.notices))


def _plan(own: Service, image: Image.Image, upscaler: str) -> Plan:
    name = kept(own.session, image)
    path = Inputs(own.settings.library_root / "inputs").open_input(name)
    return own.session.plan_upscaling(path, upscaler)


def _ask(plan: Plan) -> Ask:
    return Ask(
        kind="draw",
        body=plan.asked.model_dump(mode="json", exclude_defaults=True),
        plans=(plan.model_dump(mode="json"),),
        title=f"enlarge by {plan.asked.upscale}",
        client=CLIENT,
        previews=False,
        notices=(*plan.notices, *plan.checks),
    )


def _size(body: Enlarging, own: tuple[int, int]) -> tuple[float, tuple[int, int] | None]:
    """(factor, size of the answer where it is cut to one). Raises ``InvalidRequest``."""
    size, factor = None, body.upscaling_resize
    if body.resize_mode == 1:
        wanted = body.upscaling_resize_w, body.upscaling_resize_h
        factor = max(wanted[0] / own[0], wanted[1] / own[1])
        size = wanted if body.upscaling_crop else None
    if not 1 < factor <= LARGEST:
        raise InvalidRequest(
            f"upscaling_resize: a picture is enlarged 1 to {LARGEST:g} times here, not {factor:g}",
            field="upscaling_resize",
            hint="ask for a larger size, or a smaller one",
        )
    return factor, size


def _plain(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    return in_base64(out.getvalue())


def _html(body: Enlarging, done: list[Enlarged]) -> str:
    said = dict.fromkeys([*body.notices(), *(notice for each in done for notice in each.notices)])
    return "".join(f"<p>{html.escape(each)}</p>" for each in said)
