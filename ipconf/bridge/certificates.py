"""HTTPS: the certificate that was given, or one that we make and sign ourselves."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..errors import ConfigurationError
from .addresses import names_of
from .invitations import write_private
from .settings import BridgeSettings

VALID = datetime.timedelta(days=397)
"""Browsers take no longer ones (CA/Browser Forum's Baseline Requirements, section 6.3.2)."""
RENEW = datetime.timedelta(days=30)
"""So long before its end it is made anew at a start."""
BACKDATED = datetime.timedelta(days=1)
"""For clients whose clock is behind."""


@dataclass(frozen=True, slots=True)
class Tls:
    """What the server speaks HTTPS with."""

    context: ssl.SSLContext
    fingerprint: str
    """SHA-256 of the certificate, as browsers show it, to compare."""


@dataclass(frozen=True, slots=True)
class Made:
    """What `make_certificate` makes; all of it PEM."""

    chain: bytes
    """The certificate, and then the authority's."""
    key: bytes
    authority: bytes
    """What whoever wants no warning has to trust."""


def tls_for(settings: BridgeSettings) -> Tls | None:
    """What these settings ask for; None is plain HTTP.

    Raises ConfigurationError where a file cannot be read or written, or is no such thing.
    """
    if settings.tls_certificate is not None and settings.tls_key is not None:
        return _load(settings.tls_certificate, settings.tls_key)
    if not settings.tls_self_signed:
        return None
    if settings.state_dir is not None:
        return _kept(settings.state_dir, names_of(settings))
    with TemporaryDirectory(prefix="ipconf-") as folder:
        return _kept(Path(folder), names_of(settings))


def _kept(folder: Path, names: Sequence[str]) -> Tls:
    """The certificate in this directory, made where there is none that fits."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (key.exists() and _fits(certificate, names)):
            made = make_certificate(names)
            write_private(folder / "authority.pem", made.authority, replace=True)
            write_private(key, made.key, replace=True)
            write_private(certificate, made.chain, replace=True)
    except OSError as exc:
        raise ConfigurationError(f"the certificate cannot be kept in state_dir: {exc}") from None
    return _load(certificate, key)


def _fits(path: Path, names: Sequence[str]) -> bool:
    """Whether a certificate is there, for these names, and for some time to come."""
    if not path.exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return False
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left > RENEW and set(map(_general_name, names)) <= set(extension.value)


def _load(certificate: Path, key: Path) -> Tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A callable, so that nobody is asked for a password at the terminal of a service.
        context.load_cert_chain(certificate, key, password=lambda: "")
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"tls_certificate {certificate} and tls_key {key} cannot be used: {exc}"
        ) from None
    return Tls(context, first.fingerprint(hashes.SHA256()).hex(":").upper())


def make_certificate(names: Sequence[str]) -> Made:
    """A certificate for these names and addresses, by an authority that signs nothing else.

    The authority is there because phones can be told to trust one, and nothing less; its own key is
    forgotten here, so that trusting it is trusting this one certificate.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _begin("ipconf bridge authority", authority_key.public_key())
        .add_extension(issuer, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _begin("ipconf bridge", key.public_key())
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signed, signer = (
        each.public_bytes(serialization.Encoding.PEM) for each in (certificate, authority)
    )
    return Made(chain=signed + signer, key=secret, authority=signer)


def _begin(name: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    """What both have: who it is for, who signs, the key, how long it holds."""
    now = datetime.datetime.now(datetime.UTC)
    subject, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        for common in (name, "ipconf bridge authority")
    )
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now - BACKDATED + VALID)
    )


def _usage(*, key_cert_sign: bool = False, digital_signature: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
