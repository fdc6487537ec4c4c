"""The local cloud's own CA, which its base image trusts, and the object store's certificate."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud.machines.addresses import OBJECTS_IP
from localcloud.machines.sh import write

MANAGED_LIFE = datetime.timedelta(days=90)  # of a managed certificate, as Let's Encrypt gives
LIFE = datetime.timedelta(days=3650)  # the CA never leaves this machine


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + LIFE)
    )


def issue(folder: Path, names: list[str]) -> tuple[str, str]:
    """A certificate (with the CA below it) for these domain names by the CA in `folder`, and its key, as PEM."""
    ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    ca_key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the CA's key is none of ours")
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(_name(names[0][:64]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + MANAGED_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return cert.public_bytes(pem).decode() + ca.public_bytes(pem).decode(), pem_of(key)


def cross_sign(folder: Path, root: str) -> str:
    """A foreign CA's root (PEM) as an intermediate below the CA in `folder`, and that CA itself."""
    ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    ca_key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    foreign = x509.load_pem_x509_certificate(root.encode())
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the CA's key is none of ours")
    builder = x509.CertificateBuilder(
        issuer_name=ca.subject, subject_name=foreign.subject, public_key=foreign.public_key(),
        serial_number=x509.random_serial_number(), not_valid_before=foreign.not_valid_before_utc,
        not_valid_after=datetime.datetime.now(datetime.UTC) + MANAGED_LIFE,
    )  # fmt: skip
    for extension in foreign.extensions:
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    signed = builder.add_extension(authority, critical=False).sign(ca_key, hashes.SHA256())
    form = serialization.Encoding.PEM
    return signed.public_bytes(form).decode() + ca.public_bytes(form).decode()


def ensure(folder: Path) -> None:
    """Make ca.pem, ca.key, objects.pem and objects.key (keys 0600) in `folder` unless they are all there."""
    if all((folder / n).exists() for n in ("ca.pem", "ca.key", "objects.pem", "objects.key")):
        return
    ca_key = ec.generate_private_key(ec.SECP256R1())
    subject = "Sekha local cloud CA"
    ca = (
        _builder(subject, subject, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=2), critical=True)  # pebble's root and intermediate
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    cert = (
        _builder("local cloud object store", subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(OBJECTS_IP))]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write(folder / "ca.key", pem_of(ca_key), 0o600)
    write(folder / "objects.key", pem_of(key), 0o600)
    write(folder / "objects.pem", cert.public_bytes(serialization.Encoding.PEM).decode())
    write(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM).decode())
