"""A certificate authority for one run, so that the stand-in for SQS can speak TLS as SQS does."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from local.ports import LOOPBACK

_LIFETIME = datetime.timedelta(days=1)

type _Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Certificates:
    """Where the files are."""

    chain: Path
    """The server's certificate with its key."""

    authority: Path
    """The certificate of our authority alone."""

    bundle: Path
    """What a client trusts: the usual public authorities (reading them is part of what TLS costs), and ours."""


def make(directory: Path, public_authorities: Path) -> Certificates:
    """Write a server certificate for the loopback address below `directory`, and the bundle that vouches for it."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    # AWS endpoints show RSA 2048 certificates.
    server_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Honnin bench authority")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Honnin bench SQS")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])

    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signs_certificates(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    server = (
        _builder(server_name, authority_name, server_key)
        .add_extension(address, critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )

    files = Certificates(directory / "server.pem", directory / "authority.pem", directory / "authorities.pem")
    pem = serialization.Encoding.PEM
    key = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files.chain.touch(mode=0o600)
    files.chain.write_bytes(server.public_bytes(pem) + key)
    files.authority.write_bytes(authority.public_bytes(pem))
    files.bundle.write_bytes(public_authorities.read_bytes() + b"\n" + authority.public_bytes(pem))
    return files


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _signs_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
