"""What a secured local server needs: an authority, a certificate for this machine's loopback, and a user with a password."""

import ipaddress
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER: Final = "scoreline"
_AUTHORITY_DAYS: Final = 3_650
_SERVER_DAYS: Final = 365
_RENEWED_DAYS: Final = 30
"""A server's certificate is made again at a start from so long before its end on."""


class Security:
    """Files in one folder that only its owner may read. `prepare` makes what is missing; the authority and password stay.

    No other machine trusts this authority, and nobody else has its key: it is for servers that this user runs himself.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "authority.pem"
        """Clients trust this: KAFKA_SSL_CA and INFLUXDB_CA name it."""
        self.certificate = folder / "server.pem"
        self.key = folder / "server-key.pem"
        self.keystore = folder / "server-keystore.pem"
        """Key and certificate in one file, as Kafka reads them."""
        self._authority_key = folder / "authority-key.pem"
        self._password = folder / "password"

    @property
    def password(self) -> str:
        return self._password.read_text()

    def prepare(self) -> None:
        """Make what is not there yet, or about to expire."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._password.exists():
            _write(self._password, secrets.token_urlsafe(32).encode())
        if not self.authority.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            _write(self._authority_key, _pem(key))
            signed = _builder("Scoreline's local authority", key, _AUTHORITY_DAYS).issuer_name(
                _name("Scoreline's local authority")
            )
            for extension in (x509.BasicConstraints(ca=True, path_length=0), _usage(signs=True)):
                signed = signed.add_extension(extension, critical=True)
            _write(self.authority, signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        if not self.keystore.exists() or self._ends_soon():
            self._make_certificate()

    def _ends_soon(self) -> bool:
        kept = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return kept.not_valid_after_utc < datetime.now(UTC) + timedelta(days=_RENEWED_DAYS)

    def _make_certificate(self) -> None:
        authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
        signer = serialization.load_pem_private_key(self._authority_key.read_bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        )
        signed = (
            _builder("Scoreline's local server", key, _SERVER_DAYS)
            .issuer_name(authority.subject)
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .sign(signer, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        _write(self.certificate, signed)
        _write(self.key, _pem(key))
        _write(self.keystore, _pem(key) + signed)


def _builder(name: str, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _usage(signs: bool) -> x509.KeyUsage:
    others = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, **others)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """As a whole, for its owner alone."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_bytes(content)
    new.replace(path)
