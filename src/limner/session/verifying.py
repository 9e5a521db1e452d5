"""``limner models verify``: a model's files, keys and pictures looked at, and the pictures compared with diffusers'."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from limner.config import Settings
from limner.errors import LimnerError, MissingExtra
from limner.image import Image
from limner.models.catalog import Catalog
from limner.models.family import Files
from limner.models.hub.repo import Report as Downloading
from limner.models.machine import gigabytes, probe
from limner.models.resolving.layout import INDEX
from limner.models.resolving.resolve import Resolved, resolve
from limner.models.verify import PROMPTS, SEEDS, Difference, Drawing, Finding, Report, machine_facts
from limner.session.composer import Session
from limner.types import Pixels, Plan, Request, now
from limner.version import VERSION

NATIVE = ("sd", "sdxl")  # families whose networks are ours
OWN_SCHEDULER = "lcm"  # consistency models keep theirs: it is what they were trained for
SOLVER = "ddim"  # the same formula in both programs, and no noise of its own
TIMEOUT_S = 24 * 3600


@dataclass(slots=True)
class Verification:
    """One run of it. ``told`` hears what is being done, in a line each; ``downloading`` of downloaded bytes."""

    name: str
    settings: Settings
    fields: Mapping[str, object]
    told: Callable[[str], None] = lambda line: None
    downloading: Downloading | None = None
    findings: list[Finding] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def run(self) -> Report:
        """Look at everything that can be looked at. Raises ``MissingExtra``, and any ``LimnerError`` before the first
        picture is planned; later faults are findings."""
        missing = [name for name in ("diffusers", "transformers") if find_spec(name) is None]
        if missing:
            raise MissingExtra("models", missing)
        self.told("fetching and hashing its files")
        resolved = resolve(self.name, self.settings, Catalog.load(), report=self.downloading)
        self._look_at_files(resolved)
        plan, images = self._draw(resolved)
        if images:
            self._compare(resolved, plan, images)
        return self._report(resolved, plan)

    def _look_at_files(self, resolved: Resolved) -> None:
        files = resolved.files.paths
        size = gigabytes(sum(path.stat().st_size for path in files.values()))
        if resolved.ref.commit is None:
            said = f"{len(files)} files, {size}, on this machine only: there is no publisher's hash to compare with"
            self.findings.append(Finding(name="files", ok=None, said=said))
        else:
            said = f"{len(files)} files, {size}, each equal to the hash that its publisher's repo gives"
            self.findings.append(Finding(name="files", ok=True, said=said))
        for notice in resolved.notices:
            self.findings.append(Finding(name=notice.code, ok=None, said=notice.message))

    def _draw(self, resolved: Resolved) -> tuple[Plan, list[Image]]:
        """Our pictures. What the networks' loader refuses (names, shapes, values) is a finding."""
        images: list[Image] = []
        with Session(settings=self.settings, keep=False) as session:
            plans = [session.plan(self._request(resolved, k))[0] for k in range(len(PROMPTS))]
            try:
                for plan in plans:
                    self.told(f"drawing {plan.prompt!r}")
                    images += session.run([plan]).result()
            except LimnerError as error:
                said = self._shareable(error.message, resolved)
                self.findings.append(Finding(name="drawing", ok=False, said=f"{error.code}: {said}"))
                return plans[0], []
        parts = ", ".join(part.name for part in plans[0].estimate.parts) or "all parts"
        self.findings.append(
            Finding(name="keys", ok=True, said=f"every name, shape and value of {parts} was taken by its network")
        )
        flat = [image for image in images if int(image.pixels.max()) - int(image.pixels.min()) < 16]
        said = f"{len(images)} pictures drawn, {len(images) - len(flat)} of them more than one colour"
        self.findings.append(Finding(name="drawing", ok=not flat, said=said))
        self.drawings.append(_ours(images))
        return plans[0], images

    def _request(self, resolved: Resolved, k: int) -> Request:
        native = resolved.card.family in NATIVE
        solver = {} if not native or self._own_scheduler(resolved.files) else {"solver": SOLVER}
        return Request.of(
            prompt=PROMPTS[k], seed=SEEDS[k], model=self.name, **{"dtype": "float32", **solver, **self.fields}
        )

    def _own_scheduler(self, files: Files) -> bool:
        path = files.paths.get("scheduler/scheduler_config.json")
        return path is not None and "LCMScheduler" in path.read_text("utf-8", "replace")

    def _compare(self, resolved: Resolved, plan: Plan, images: list[Image]) -> None:
        if plan.recipe.family == "dalle-mini":
            said = "no reference tokens of DALL-E mini are stored yet, so its pictures were compared with nothing"
            self.findings.append(Finding(name="reference", ok=None, said=said))
            return
        files = _with_index(resolved.files)
        if files is None:
            said = "diffusers reads folders with a model_index.json, and these files have none"
            self.findings.append(Finding(name="reference", ok=None, said=said))
            return
        self.told("drawing the same with diffusers")
        with tempfile.TemporaryDirectory(prefix="limner-verify-") as made:
            drawn = self._reference(files, plan, Path(made), resolved)
            if drawn is None:
                return
            for image, theirs in zip(images, drawn, strict=True):
                self.differences.append(difference(image, theirs))
        if plan.numerics.dtype != "float32":
            said = f"drawn in {plan.numerics.dtype}, where rounding alone makes a difference: float32 verifies"
            self.findings.append(Finding(name="number format", ok=None, said=said))

    def _reference(self, files: Files, plan: Plan, out: Path, resolved: Resolved) -> list[Pixels] | None:
        from limner.models.pipelines.folder import only

        with only(files) as folder:
            done = subprocess.run(
                [sys.executable, "-m", "limner.session.verify_reference"],
                input=json.dumps(_job(plan, folder, out)),
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "DIFFUSERS_DISABLE_REMOTE_CODE": "1"},
            )
        if done.returncode:
            last = next(iter(reversed(done.stderr.strip().splitlines())), "it said nothing")
            said = f"diffusers could not draw it: {self._shareable(last, resolved, folder)}"
            self.findings.append(Finding(name="reference", ok=None, said=said))
            return None
        told = json.loads(done.stdout.strip().splitlines()[-1])
        self.drawings.append(
            Drawing(
                program="diffusers",
                version=told["version"],
                load_seconds=told["load_seconds"],
                seconds=tuple(told["seconds"]),
                peak_bytes=told["peak_bytes"],
            )
        )
        self.findings.append(Finding(name="reference", ok=True, said=f"diffusers {told['version']} drew the same"))
        return [np.load(out / f"{k}.npy") for k in range(len(PROMPTS))]

    def _shareable(self, text: str, resolved: Resolved, *folders: Path) -> str:
        """Text without the places of this machine."""
        places = {str(resolved.files.root), str(Path.home()), *(str(folder) for folder in folders)}
        for place in sorted((each for each in places if len(each) > 1), key=len, reverse=True):
            text = text.replace(place, "...")
        return text[:500]

    def _report(self, resolved: Resolved, plan: Plan) -> Report:
        ref, recipe = resolved.ref, plan.recipe
        return Report(
            model=ref.name if ref.repo else f"a model of the family {ref.family}",
            family=ref.family,
            repo=ref.repo,
            commit=ref.commit,
            weights=ref.weights_hash(),
            date=now()[:10],
            machine=machine_facts(probe(), plan.device),
            device=plan.device,
            dtype=plan.numerics.dtype,
            width=recipe.width,
            height=recipe.height,
            steps=plan.request.steps,
            guidance=plan.request.guidance or recipe.guidance,
            solver=recipe.solver,
            findings=tuple(self.findings),
            drawings=tuple(self.drawings),
            differences=tuple(self.differences),
        )


def difference(image: Image, theirs: Pixels) -> Difference:
    """How far a picture is from the reference's; one of another size differs in everything."""
    prompt, seed = image.record.prompt, image.record.seed.seed
    if theirs.shape != image.pixels.shape:
        return Difference(prompt=prompt, seed=seed, largest=255, mean=255.0, near=0.0)
    apart = np.abs(image.pixels.astype(np.int16) - theirs.astype(np.int16))
    return Difference(
        prompt=prompt,
        seed=seed,
        largest=int(apart.max()),
        mean=float(apart.mean()),
        near=float((apart <= 2).mean()),
    )


def _ours(images: list[Image]) -> Drawing:
    records = [image.record for image in images]
    return Drawing(
        program="limner",
        version=VERSION,
        load_seconds=sum(record.timings.get("load", 0.0) for record in records),
        seconds=tuple(record.timings.get("total", 0.0) - record.timings.get("load", 0.0) for record in records),
        peak_bytes=max((record.peak_bytes for record in records if record.peak_bytes), default=None),
    )


def _with_index(files: Files) -> Files | None:
    """The files and their ``model_index.json``, which our own families have no need of."""
    if INDEX in files.paths:
        return files
    index = files.root / INDEX
    return replace(files, paths={**files.paths, INDEX: index}) if index.is_file() else None


def _job(plan: Plan, folder: Path, out: Path) -> dict[str, object]:
    request, recipe = plan.request, plan.recipe
    call = {"num_inference_steps": request.steps, "guidance_scale": request.guidance}
    return {
        "folder": str(folder),
        "out": str(out),
        "prompts": PROMPTS,
        "seeds": SEEDS,
        "device": plan.device,
        "dtype": plan.numerics.dtype,
        "solver": recipe.solver if recipe.solver == SOLVER else None,
        "call": {"width": recipe.width, "height": recipe.height, **{k: v for k, v in call.items() if v is not None}},
    }
