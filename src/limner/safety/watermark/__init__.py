"""The invisible watermark: a faint periodic pattern that says "made by a machine", and which record it belongs to.

It needs no weights and no original; it is found again after compression, rescaling to half or double, cropping,
mirroring and quarter turns. It helps honest marking: whoever wants to remove it can, and its absence proves nothing.

Each module is one idea: ``bands`` (which frequencies), ``keys`` (phases), ``pattern`` (tiles), ``code`` (error
correction), ``texture`` (how strong where), ``embed``, ``spectrum`` (what the detector sees), ``search``, ``detect``
(views, thresholds)."""

from limner.safety.watermark.detect import Detection, detect
from limner.safety.watermark.embed import Marked, embed
from limner.safety.watermark.payload import payload_of, remark

__all__ = ["Detection", "Marked", "detect", "embed", "payload_of", "remark"]
