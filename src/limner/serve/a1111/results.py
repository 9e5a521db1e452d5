"""What is answered when pictures are drawn: the pictures, what was asked, and ``info``, a JSON text within JSON."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from limner.library import a1111
from limner.sampling.catalog import A1111_NAMES, SOLVERS
from limner.serve.a1111.wording import answer
from limner.serve.openai.encoding import Wish, aside, in_base64, written

if TYPE_CHECKING:
    from pydantic import JsonValue

    from limner.library.entries import Entry
    from limner.serve.a1111.asking import Draft
    from limner.serve.a1111.bodies import Drawing
    from limner.serve.a1111.state import Task
    from limner.serve.jobs import Job
    from limner.serve.service import Service
    from limner.types import Record

Said = dict[str, "JsonValue"]
OF_INFO = frozenset(
    {"Steps", "Sampler", "CFG scale", "Seed", "Size", "Model hash", "Model", "Clip skip", "Version", "VAE", "VAE hash"}
    | {"Variation seed", "Variation seed strength", "Denoising strength"}
)
"""Settings of an infotext that ``info`` has a place of its own for."""


async def result(own: Service, body: Drawing, drafted: Draft, job: Job, task: Task) -> Said:
    """The answer to a request. Raises ``PictureNotFound``, ``LibraryError``."""
    entries = [await asyncio.to_thread(own.session.library.get, each) for each in job.made]
    images: list[JsonValue] = []
    if body.send_images:
        wish = Wish(size=drafted.answered)
        files = await asyncio.gather(*(aside(written, own, each, wish) for each in entries))
        images = [in_base64(each) for each in files]
    told = info(body, drafted, job, task, entries)
    return {"images": images, "parameters": parameters(body, entries), "info": _text(told)}


def parameters(body: Drawing, entries: list[Entry]) -> Said:
    """What was asked; what was left to the model is what it took."""
    without = body.unsent - ({"init_images", "mask"} if getattr(body, "include_init_images", False) else set())
    said: Said = {
        name: None if name in without else value
        for name, value in body.model_dump(mode="json", include=set(type(body).model_fields)).items()
    }
    record = entries[0].record if entries else None
    if record is not None:
        taken = {
            "width": record.recipe.width,
            "height": record.recipe.height,
            "steps": steps(record),
            "cfg_scale": record.recipe.guidance,
            "sampler_name": sampler(record),
        }
        said |= {name: value for name, value in taken.items() if said.get(name) is None}
    return said


def info(body: Drawing, drafted: Draft, job: Job, task: Task, entries: list[Entry]) -> Said:
    """All that is known of the pictures: lists have an item for each, the rest is of the first. ``limner_notices``:
    what was not honoured, approximated or changed."""
    first = entries[0].record if entries else None
    prompts: list[JsonValue] = [each.prompt for each in entries]
    negatives: list[JsonValue] = [each.negative for each in entries]
    seeds: list[JsonValue] = [each.seed for each in entries]
    subseeds: list[JsonValue] = [_subseed(each) for each in entries]
    infotexts = [a1111.infotext(each.record, A1111_NAMES) if each.record else "" for each in entries]
    request = drafted.request
    said: Said = {
        "prompt": prompts[0] if prompts else body.prompt,
        "all_prompts": prompts,
        "negative_prompt": negatives[0] if negatives else body.negative_prompt,
        "all_negative_prompts": negatives,
        "seed": seeds[0] if seeds else request.seed,
        "all_seeds": seeds,
        "subseed": subseeds[0] if subseeds else request.variation_seed,
        "all_subseeds": subseeds,
        "subseed_strength": request.variation,
        "width": request.width,
        "height": request.height,
        "sampler_name": body.sampler,
        "cfg_scale": request.guidance,
        "steps": request.steps,
        "batch_size": body.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": request.model,
        "sd_model_hash": None,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": request.strength if request.hires is None else request.hires_strength,
        "extra_generation_params": _extra(infotexts[0]) if infotexts else {},
        "index_of_first_image": 0,
        "infotexts": list(infotexts),
        "styles": list(body.styles),
        "job_timestamp": stamp(task.began),
        "clip_skip": request.clip_skip or 1,
        "is_using_inpainting_conditioning": False,
    }
    return {**said, **({} if first is None else _of_record(first)), **_ours(job, task)}


def sampler(record: Record) -> str | None:
    """The web UI's name of the sampler, the schedule apart."""
    solver = record.recipe.solver or ""
    return SOLVERS[solver].a1111 if solver in SOLVERS else solver or None


def steps(record: Record) -> int:
    return record.request.steps or max(len(record.recipe.levels) - 1, 0)


def stamp(moment: float) -> str:
    """A time as the web UI writes it: 20261122224820, local."""
    return time.strftime("%Y%m%d%H%M%S", time.localtime(moment))


def _of_record(record: Record) -> Said:
    """What was taken in the end, of what may have been left open."""
    vae = next((each for each in record.adapters if each.kind == "vae"), None)
    return {
        "width": record.recipe.width,
        "height": record.recipe.height,
        "sampler_name": sampler(record),
        "cfg_scale": record.recipe.guidance,
        "steps": steps(record),
        "sd_model_name": record.model.name,
        "sd_model_hash": a1111.model_hash(record.model),
        "sd_vae_name": None if vae is None else vae.name,
        "sd_vae_hash": None if vae is None else vae.hash.removeprefix("sha256:")[:10],
        "clip_skip": record.request.clip_skip or 1,
        "version": f"limner {record.versions.get('limner', '')}".rstrip(),
    }


def _ours(job: Job, task: Task) -> Said:
    notices: list[JsonValue] = [{"code": each.code, "message": each.message} for each in job.notices]
    missing = job.n - len(job.made)
    if missing:
        why = "interrupted" if task.interrupted else "cancelled"
        notices.append({"code": why, "message": f"{why}: {missing} of {job.n} pictures were not drawn"})
    if task.skipped:
        message = "skip has no effect: pictures are drawn side by side; interrupt stops them all"
        notices.append({"code": "not-honoured", "message": message})
    return {"limner_job": job.id, "limner_pictures": list(job.made), "limner_notices": notices}


def _subseed(entry: Entry) -> int:
    found = None if entry.record is None else entry.record.seed.variation_seed
    return -1 if found is None else found


def _extra(infotext: str) -> Said:
    _, _, said = a1111.read(infotext)
    return {name: value for name, value in said if name not in OF_INFO}


def _text(told: Said) -> str:
    return bytes(answer(told).body).decode("ascii")
