"""An InfluxDB that talks TLS only, with a certificate of its own, and wants a user and a password."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stack.influxd import influxd
from stack.server import HOST, NotReady, Server

USER, PASSWORD = "writer", "a:secret"
CONFIGURATION = """\
reporting-disabled = true
bind-address = "{host}:{backup_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "{host}:{port}"
  auth-enabled = true
  https-enabled = true
  https-certificate = "{certificate}"
  https-private-key = "{key}"
"""


class GuardedInfluxDB(Server):
    name = "guarded InfluxDB"
    ports_needed = 2

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    def environment(self) -> dict[str, str]:
        return {}

    def _prepare(self, ports: list[int]) -> list[str]:
        key, configuration = self.folder / "key.pem", self.folder / "influxdb.conf"
        _write_certificate(self.certificate, key)
        configuration.write_text(
            CONFIGURATION.format(
                host=HOST,
                port=ports[0],
                backup_port=ports[1],
                folder=self.folder,
                certificate=self.certificate,
                key=key,
            )
        )
        return [str(influxd()), "run", "-config", str(configuration)]

    def _check_ready(self) -> None:
        try:
            with urllib3.PoolManager(ca_certs=str(self.certificate), retries=False) as http:
                statement = f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES"
                http.request("POST", f"{self.url}/query", fields={"q": statement})
                headers = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
                http.request("POST", f"{self.url}/query", fields={"q": "CREATE DATABASE guarded"}, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise NotReady(str(error)) from error


def _write_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Scoreline test")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
