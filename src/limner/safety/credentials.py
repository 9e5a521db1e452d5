"""Content Credentials (C2PA): what a signed manifest says of one of our pictures, and the signing of it.

A manifest says who wrote the file, with what, and that its picture was made by a trained model; the signature binds it
to every byte of the file, so that any later change shows. Specification 2.2, https://c2pa.org/specifications.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from limner.errors import SigningError
from limner.safety.keys import SETTINGS, Key
from limner.version import VERSION

if TYPE_CHECKING:
    from limner.canonical import JSON

Format = Literal["png", "jpeg", "webp"]

LABEL = "limner.picture"
"""Our own assertion in a manifest: which picture this is."""
GENERATOR = "Limner"
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MIME: Mapping[str, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_REINSTALL = "install Limner again: it brings c2pa-python"


@dataclass(frozen=True, slots=True)
class Parent:
    """The file that a picture was drawn over or enlarged from: its bytes, with whatever manifest they carry."""

    data: bytes
    format: Format


@dataclass(frozen=True, slots=True)
class Claim:
    """What a manifest says of a picture. ``source`` is a term of IPTC's digital source types; ``created`` ISO 8601;
    ``picture`` our own assertion, JSON. ``over``: it was drawn over another picture, which ``parent`` is, where its
    file is at hand."""

    source: str
    created: str
    picture: Mapping[str, JSON]
    over: bool = False
    parent: Parent | None = None


def sign(data: bytes, format: Format, claim: Claim, key: Key, *, timestamp: str | None = None) -> bytes:
    """The file with a manifest that covers all its other bytes; one that is there already is replaced.

    ``timestamp`` is the address of a time-stamp authority (RFC 3161), which is sent a hash; without one nothing leaves
    the machine. Raises ``SigningError``.
    """
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError) as error:  # OSError: its native library does not load here
        raise SigningError(f"the library c2pa-python cannot be used: {error}", hint=_REINSTALL) from error
    out = io.BytesIO()
    try:
        info = c2pa.C2paSignerInfo(_algorithm(key), key.chain, key.private, timestamp)
        with (
            c2pa.Signer.from_info(info) as signer,
            c2pa.Settings.from_dict(_SETTINGS) as settings,
            c2pa.Context(settings, signer) as context,
            c2pa.Builder(_manifest(claim), context) as builder,
        ):
            if claim.parent is not None:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
                stated = {"title": "start picture", "relationship": "parentOf"}
                builder.add_ingredient(stated, MIME[claim.parent.format], io.BytesIO(claim.parent.data))
            builder.sign(MIME[format], io.BytesIO(data), out)
    except c2pa.C2paError as error:
        raise _refused(str(error), key, timestamp) from error
    return out.getvalue()


_SETTINGS = {
    # What was signed is read back: a certificate that is not the key's would go unnoticed else.
    "verify": {"verify_after_sign": True, "verify_trust": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


def _manifest(claim: Claim) -> dict[str, object]:
    # Nothing is edited that was not opened, says the standard: without its file a start picture is only told of.
    action: dict[str, object] = {
        "action": "c2pa.created" if claim.parent is None else "c2pa.edited",
        "digitalSourceType": SOURCES + claim.source,
        "when": claim.created,
        "softwareAgent": {"name": GENERATOR, "version": VERSION},
    }
    return {
        "claim_generator_info": [{"name": GENERATOR, "version": VERSION}],
        "title": "picture",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}},
            {"label": LABEL, "data": {**claim.picture, **({"drawn_over_a_picture": True} if claim.over else {})}},
        ],
    }


def _algorithm(key: Key) -> str:
    """Which of C2PA's algorithms a key is for. Keys made here are P-256; of another the certificate has to be asked.
    Raises ``SigningError``."""
    if not key.own:
        return "es256"
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        public = x509.load_pem_x509_certificates(key.chain)[0].public_key()
    except (ValueError, IndexError) as error:
        hint = f"check {SETTINGS} in config.toml: PEM, the signing certificate first"
        raise SigningError("your certificate cannot be read", hint=hint, certificate=True) from error
    if isinstance(public, ec.EllipticCurvePublicKey):
        return {384: "es384", 521: "es512"}.get(public.curve.key_size, "es256")
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519"
    return "ps256" if isinstance(public, rsa.RSAPublicKey) else "es256"


def _refused(said: str, key: Key, timestamp: str | None) -> SigningError:
    """The library's error in plain words."""
    whose = "your certificate" if key.own else "the certificate of this installation"
    hint = f"see {SETTINGS} in config.toml" if key.own else "a new one is made by itself"
    if "not valid at time" in said:
        return SigningError(f"{whose} has expired, or is not valid yet", hint=hint, certificate=True)
    if any(word in said.lower() for word in ("timestamp", "time stamp", "http", "fetch")) and timestamp:
        return SigningError(
            f"the time-stamp authority {timestamp} did not answer: {said}", hint="see [safety] timestamp in config.toml"
        )
    of_key = said.startswith(("Signature", "Verify", "Other")) or "certificate" in said.lower() or "key" in said.lower()
    return SigningError(f"{whose} could not sign: {said}", hint=hint, certificate=of_key)
