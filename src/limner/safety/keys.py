"""The key that signs pictures: one of this installation's own, made here when first needed, or the user's.

A key made here proves that a file is as *this installation* wrote it, and nothing of who runs it: no authority that
others trust has looked at it, so other programs call the signer untrusted. The chain is an authority of our own and a
leaf (C2PA refuses a signer that certifies itself); the authority's private key is thrown away once it has signed the
leaf, so nobody can make more such leaves, not even we.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from limner.errors import SigningError
from limner.types import Notice

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.x509 import Certificate, Name

FILE = "signing.pem"
YEARS = 20
"""How long a key made here is good for. An expired one is replaced, and the old file kept beside it."""
SETTINGS = "[safety] certificate and key"
_END_KEY = b"-----END PRIVATE KEY-----\n"


@dataclass(frozen=True, slots=True)
class Key:
    """A private key with its certificates, PEM, the signing one first. ``stored``: it outlives this process."""

    chain: bytes
    private: bytes
    own: bool = False
    stored: bool = True

    @property
    def authority(self) -> bytes:
        """The last certificate of the chain, PEM: what a reader has to know to recognise pictures of this key."""
        last = self.chain.rindex(b"-----BEGIN CERTIFICATE-----")
        return self.chain[last:]


def own_key(certificate: Path | None, private: Path | None) -> Key:
    """The user's own. Raises ``SigningError`` where a file cannot be read, or only one is given."""
    if certificate is None or private is None:
        missing = "certificate" if certificate is None else "key"
        hint = f"set both of {SETTINGS} in config.toml"
        raise SigningError(f"[safety] {missing} is not set, and the other of the two is", hint=hint, certificate=True)
    try:
        return Key(certificate.read_bytes(), private.read_bytes(), own=True)
    except OSError as error:
        raise SigningError(
            f"{error.filename} cannot be read: {(error.strerror or str(error)).lower()}",
            hint=f"check {SETTINGS} in config.toml",
            certificate=True,
        ) from error


def local_key(folder: Path) -> tuple[Key, tuple[Notice, ...]]:
    """This installation's key in ``folder``, made where there is none. Where the folder can be neither read nor
    written, a key for this process alone, and a Notice that says so. Raises ``SigningError`` where the libraries that
    make keys are missing."""
    path = folder / FILE
    try:
        return _parsed(path.read_bytes(), path), ()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        why = f"{path} cannot be read ({(error.strerror or str(error)).lower()})"
        return _for_now(why)
    except SigningError as error:
        _set_aside(path)
        return _made(path, (Notice(code="new-signing-key", message=f"{error.message}; a new key was made"),))
    return _made(path, ())


def renewed(folder: Path, why: str) -> tuple[Key, tuple[Notice, ...]]:
    """A new key of this installation's in the place of one that no longer signs; the old file is kept beside it."""
    path = folder / FILE
    _set_aside(path)
    return _made(path, (Notice(code="new-signing-key", message=f"{why}; this installation has a new signing key"),))


def recognised(folder: Path) -> bytes:
    """The authority of this installation's key, PEM; empty where it has none yet. Makes nothing."""
    try:
        return _parsed((folder / FILE).read_bytes(), folder / FILE).authority
    except (OSError, SigningError):
        return b""


def _made(path: Path, notices: tuple[Notice, ...]) -> tuple[Key, tuple[Notice, ...]]:
    key = new_key()
    try:
        kept = _kept(path, key.private + key.chain)
    except OSError as error:
        return _for_now(f"{path.parent} cannot be written ({(error.strerror or str(error)).lower()})", key)
    return _parsed(kept, path), notices


def _for_now(why: str, key: Key | None = None) -> tuple[Key, tuple[Notice, ...]]:
    message = f"{why}: pictures are signed with a key for this run alone, which limner inspect will not recognise later"
    made = key or new_key()
    return Key(made.chain, made.private, stored=False), (Notice(code="signing-key-not-kept", message=message),)


def _kept(path: Path, data: bytes) -> bytes:
    """Write for the user's eyes only (0600), unless another process was faster: then what it wrote. Whole or not
    there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(prefix=".signing-", dir=path.parent)  # 0600 from the beginning
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)  # never over a key that is there, as rename would
        except FileExistsError:
            return path.read_bytes()
        except OSError:  # a filesystem without hard links
            os.replace(temporary, path)  # noqa: PTH105
        return data
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108


def _set_aside(path: Path) -> None:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    with contextlib.suppress(OSError):
        path.replace(path.with_name(f"{path.stem}-until-{moment}{path.suffix}"))


def _parsed(data: bytes, path: Path) -> Key:
    """Key first, then certificates, as ``_made`` writes them."""
    private, end, chain = data.partition(_END_KEY)
    if not end or chain.count(b"-----BEGIN CERTIFICATE-----") < 2:
        raise SigningError(f"{path} is damaged", hint="remove it: a new key is made", certificate=True)
    return Key(chain, private + end)


def new_key(*, start: datetime | None = None, years: float = YEARS) -> Key:
    """A fresh ES256 (P-256) key with a leaf and an authority, valid from ``start`` (now) for ``years``. Raises
    ``SigningError`` where ``cryptography`` is missing."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise SigningError(
            "a signing key cannot be made: the Python library cryptography is not installed",
            hint="install Limner again, or set " + SETTINGS,
        ) from error
    moment = (start or datetime.now(UTC)) - timedelta(minutes=5)  # a clock set back a little must not refuse it
    life = (moment, moment + timedelta(days=365.25 * years))
    above, below = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name("Limner local authority")
    root = _certificate(issuer, above.public_key(), issuer, above, life, authority=True)
    subject = _name(f"Limner, an installation ({_short(below.public_key())})")  # others read it too: not "this"
    leaf = _certificate(subject, below.public_key(), issuer, above, life, authority=False)
    pem = serialization.Encoding.PEM
    chain = leaf.public_bytes(pem) + root.public_bytes(pem)
    return Key(chain, below.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def _short(public: EllipticCurvePublicKey) -> str:
    """Eight hex digits that tell one installation's key from another's: the head of the subject key identifier."""
    from cryptography import x509

    return x509.SubjectKeyIdentifier.from_public_key(public).digest.hex()[:8]


def _name(common: str) -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "self-signed, not verified"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certificate(
    subject: Name,
    public: EllipticCurvePublicKey,
    issuer: Name,
    signer: EllipticCurvePrivateKey,
    life: tuple[datetime, datetime],
    *,
    authority: bool,
) -> Certificate:
    """As the C2PA specification (2.2, 14.5) wants signing certificates: key usage, extended key usage, key ids."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    issued = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(life[0])
        .not_valid_after(life[1])
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(issued, critical=False)
    )
    if not authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=True)
    return builder.sign(signer, hashes.SHA256())
