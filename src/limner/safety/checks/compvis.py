"""The safety checker that came with Stable Diffusion: CLIP L/14's view of a picture against vectors of concepts.

How it works is known from its published code and from Rando et al. 2022 (arXiv:2210.04610), who read its vectors:
seventeen concepts of sexual content, each with a threshold, and three of "special care" (children, they found) that
lower all thresholds by 0.01 when one of them is met. Its own code paints such pictures black; here it only speaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limner.errors import CorruptFile
from limner.models.inspect import read_json
from limner.models.packages import File, Package
from limner.safety.checks.check import CheckCard, Finding
from limner.safety.checks.networked import Networked
from limner.types import Pixels

if TYPE_CHECKING:
    import torch

    from limner.safety.checks.compvis_net import SafetyChecker
    from limner.safety.checks.seeing import Eye

REPO, COMMIT = "CompVis/stable-diffusion-safety-checker", "main"
MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's
STD = (0.26862954, 0.26130258, 0.27577711)
MARGIN = 0.01
"""Of a cosine: how much lower ``possible`` lies than the published thresholds. It is the step that the authors' own
code takes where it wants to be stricter."""
OVER = 0.001  # margins are rounded to three places as in the published code, and must be above 0


@dataclass(frozen=True, slots=True)
class Loaded:
    net: SafetyChecker
    eye: Eye
    device: torch.device


class CompVis(Networked[Loaded]):
    """See its card."""

    package: ClassVar[Package] = Package(
        "compvis",
        (
            File(REPO, COMMIT, "config.json", "config.json"),
            File(REPO, COMMIT, "model.safetensors", "model.safetensors"),
        ),
        kind="safety",
    )
    card: ClassVar[CheckCard] = CheckCard(
        name="compvis",
        title="Stable Diffusion's safety checker (CompVis)",
        revision="1",
        categories=("sexual", "sexual_minors"),
        scale="cosine above the concept's threshold (above 0: met)",
        source="huggingface.co/CompVis/stable-diffusion-safety-checker; Rando et al. 2022, arXiv:2210.04610",
        domain="photographs and art of Stable Diffusion 1",
        reported="none by its publisher; others report F1 of 0.26 to 0.36 on unsafe pictures of several kinds",
        limits="sexual content alone; simple means pass by it (Rando et al.); what it takes for children is a guess",
        licence="CreativeML OpenRAIL-M",
        restrictions="the licence forbids a list of harmful uses",
        repo=REPO,
        commit=COMMIT,
        size_bytes=1_216_000_000,
        memory_bytes=1_400_000_000,
    )

    def _load(self, files: Mapping[str, Path], device: torch.device) -> Loaded:
        from limner.models.nets.clip_vision import ClipVisionConfig
        from limner.models.nets.fields import Fields
        from limner.models.whole import read_into
        from limner.safety.checks.compvis_net import SafetyChecker, names
        from limner.safety.checks.seeing import Eye

        config = read_json(files["config.json"])
        vision = config.get("vision_config")
        if not isinstance(vision, Mapping):
            raise CorruptFile("the config.json of compvis describes no picture tower", hint="fetch it again")
        shape = ClipVisionConfig.from_json(vision)
        projection = Fields(config, "safety checker").integer("projection_dim", 768)
        net = read_into(lambda: SafetyChecker(shape, projection), files["model.safetensors"], names, device)
        return Loaded(net, Eye(shape.image_size, MEAN, STD), device)

    def _findings(self, loaded: Loaded, pixels: Pixels) -> Sequence[Finding]:
        from limner.safety.checks.compvis_net import worst

        margins = loaded.net.margins(loaded.eye.see(pixels).to(loaded.device))
        # Both in one view: a child here and a statue there are two things. NaN is neither, and is refused first.
        both = [each.concept for each in margins if not each.special <= 0]
        return [
            self.finding("sexual", worst(each.concept for each in margins), possible=-MARGIN + OVER, likely=OVER),
            self.finding("sexual_minors", worst(both), possible=OVER, likely=OVER),
        ]
