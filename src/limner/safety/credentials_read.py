"""Reading the manifest (C2PA) of any file: whose, whether the file is as it was signed, and what that proves."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from limner.safety.credentials import GENERATOR, LABEL, MIME, SOURCES, Format
from limner.safety.wrapping import is_as_written

if TYPE_CHECKING:
    from limner.canonical import JSON

State: TypeAlias = Literal["absent", "intact", "trusted", "altered", "unreadable"]

_OF_THE_SIGNER = frozenset(
    {
        "signingCredential.untrusted",
        "signingCredential.expired",
        "claimSignature.outsideValidity",
        "signingCredential.ocsp.inaccessible",
    }
)
"""Failures that say something of the certificate and nothing of the file."""
_BOUND = ("assertion.dataHash.match", "assertion.boxesHash.match", "assertion.bmffHash.match")
_WHY: Mapping[str, str] = {
    "assertion.dataHash.mismatch": "bytes of the file were changed after it was signed",
    "assertion.boxesHash.mismatch": "parts of the file were changed after it was signed",
    "assertion.hashedURI.mismatch": "what the manifest says was changed after it was signed",
    "assertion.missing": "a part of the manifest is gone",
    "claimSignature.mismatch": "the signature is not of this manifest",
    "claimSignature.missing": "the signature is gone",
    "claim.missing": "the claim is gone",
    "claim.multiple": "there is more than one claim",
    "signingCredential.expired": "the certificate had expired when it was signed",
    "claimSignature.outsideValidity": "it was signed outside of the time that the certificate is good for",
    "signingCredential.untrusted": "",
    "signingCredential.revoked": "the certificate was revoked",
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a file's manifest says, and how far it can be believed.

    ``state``: ``absent``; ``intact``: the file is as it was signed, by someone whom nobody vouches for; ``trusted``:
    so, and the signer's certificate leads to one that you trust; ``altered``: the file or its manifest was changed
    since; ``unreadable``: there is one and it cannot be read. ``here``: it was signed with this installation's key.
    ``source`` is the IPTC term (``trainedAlgorithmicMedia``), ``picture`` Limner's own assertion, ``reasons`` the
    findings in words. Of an altered or unreadable manifest, everything it says is hearsay.
    """

    state: State
    signer: str = ""
    generator: str = ""
    source: str = ""
    when: str = ""
    timestamped: bool = False
    here: bool = False
    parents: int = 0
    picture: Mapping[str, JSON] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """The file is as it was signed."""
        return self.state in ("intact", "trusted")


def read(data: bytes, format: Format, *, anchors: bytes = b"", local: bytes = b"") -> Credentials:
    """The manifest of a file's bytes, whoever wrote it. Never raises, never asks the network.

    ``anchors`` are certificates (PEM) of authorities that the user trusts, ``local`` the one of this installation's
    key.
    """
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError) as error:
        there = b"c2pa" in data and b"jumb" in data
        why = f"a manifest is there, and the library that reads it cannot be used: {error}"
        return Credentials("unreadable", reasons=(why,)) if there else Credentials("absent")
    try:
        told = _told(data, format, anchors)
        if told is None:
            return Credentials("absent")
        here = bool(local) and _state(_told(data, format, local)) == "Trusted"
    except (c2pa.C2paError, ValueError, UnicodeError, RecursionError) as error:
        return _unread(str(error), data)
    return _understood(told, data, format, here=here)


def _told(data: bytes, format: Format, anchors: bytes) -> Mapping[str, JSON] | None:
    """The reader's report; ``None`` where there is no manifest."""
    import c2pa

    verify = {"verify_trust": bool(anchors), "remote_manifest_fetch": False, "ocsp_fetch": False}
    said: dict[str, object] = {"verify": verify}
    if anchors:
        said["trust"] = {"user_anchors": anchors.decode("ascii", "replace")}
    with c2pa.Settings.from_dict(said) as settings, c2pa.Context(settings) as context:
        reader = c2pa.Reader.try_create(MIME[format], io.BytesIO(data), context=context)
        if reader is None:
            return None
        with reader:
            told: Mapping[str, JSON] = json.loads(reader.json())
            return told


def _unread(said: str, data: bytes) -> Credentials:
    """The reader gave up: on a broken manifest, or on a file that is none (then there is nothing to be read)."""
    if b"c2pa" not in data:
        return Credentials("absent")
    return Credentials("unreadable", reasons=(f"there is a manifest, damaged or cut short ({said})",))


def _state(told: Mapping[str, JSON] | None) -> str:
    return str((told or {}).get("validation_state", ""))


def _understood(told: Mapping[str, JSON], data: bytes, format: Format, *, here: bool) -> Credentials:
    manifest = _object(_object(told.get("manifests")).get(str(told.get("active_manifest"))))
    results = _object(told.get("validation_results"))
    active = _object(results.get("activeManifest"))
    failed, passed = _codes(active.get("failure")) | _of_parents(results), _codes(active.get("success"))
    bound = "claimSignature.validated" in passed and any(code in passed for code in _BOUND)
    intact = bound and failed <= _OF_THE_SIGNER
    reasons = [_WHY.get(code, code) for code in sorted(failed)]
    if intact and _is_ours(manifest) and not is_as_written(data, format, _ours(told)):
        # The standard leaves some of a manifest's bytes out of every hash: padding, box types, check sums.
        intact, reasons = False, ["bytes around the manifest are not as Limner writes them"]
    signature = _object(manifest.get("signature_info"))
    state: State = "altered" if not intact else "trusted" if _state(told) == "Trusted" else "intact"
    action = _made(manifest)
    return Credentials(
        state=state,
        signer=_signer(signature),
        generator=_generator(manifest),
        source=str(action.get("digitalSourceType", "")).removeprefix(SOURCES),
        when=str(signature.get("time") or action.get("when") or ""),
        timestamped="time" in signature,
        here=here,
        parents=len(_list(manifest.get("ingredients"))),
        picture=_assertion(manifest, LABEL),
        reasons=tuple(reason for reason in reasons if reason),
    )


def _of_parents(results: Mapping[str, JSON]) -> frozenset[str]:
    """What is wrong with the manifests of parents now and was not when this file was signed."""
    deltas = [_object(each).get("validationDeltas") for each in _list(results.get("ingredientDeltas"))]
    return frozenset(code for delta in deltas for code in _codes(_object(delta).get("failure")))


def _is_ours(manifest: Mapping[str, JSON]) -> bool:
    return _generator(manifest).startswith(f"{GENERATOR} ")


def _ours(told: Mapping[str, JSON]) -> list[str]:
    """Labels of the manifests that Limner wrote: this one, and its parents'."""
    return [label for label, each in _object(told.get("manifests")).items() if _is_ours(_object(each))]


def _signer(signature: Mapping[str, JSON]) -> str:
    names = (signature.get("common_name"), signature.get("issuer"))
    return ", ".join(dict.fromkeys(str(name) for name in names if name))


def _generator(manifest: Mapping[str, JSON]) -> str:
    for info in map(_object, _list(manifest.get("claim_generator_info"))):
        return f"{info.get('name', '')} {info.get('version', '')}".strip()
    return str(manifest.get("claim_generator", ""))


def _made(manifest: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """The action that says where the picture's content comes from."""
    for label in ("c2pa.actions.v2", "c2pa.actions"):
        for action in map(_object, _list(_assertion(manifest, label).get("actions"))):
            if "digitalSourceType" in action:
                return action
    return {}


def _assertion(manifest: Mapping[str, JSON], label: str) -> Mapping[str, JSON]:
    for each in map(_object, _list(manifest.get("assertions"))):
        if each.get("label") == label:
            return _object(each.get("data"))
    return {}


def _codes(results: JSON) -> frozenset[str]:
    return frozenset(str(_object(each).get("code")) for each in _list(results))


def _object(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []
