"""A self-signed certificate for 127.0.0.1, as two PEM files."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Certificate:
    """Where the files are."""

    certificate: Path
    key: Path

    def settings(self):
        """The environment by which a server takes it."""
        return {"HEADWATER_HTTP__TLS__CERTIFICATE": str(self.certificate), "HEADWATER_HTTP__TLS__KEY": str(self.key)}

    def write(self, days=30):
        """Makes a new pair; returns its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "headwater e2e")])
        now = datetime.datetime.now(datetime.UTC)
        serial = x509.random_serial_number()
        made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                .serial_number(serial).not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(days=days))
                .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
                .sign(key, hashes.SHA256()))
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return serial


def in_folder(folder):
    """A certificate in that folder, written."""
    certificate = Certificate(Path(folder) / "certificate.pem", Path(folder) / "key.pem")
    certificate.write()
    return certificate


def served(host, port):
    """The serial number of the certificate that a new connection gets."""
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, port), timeout=10))
    return x509.load_der_x509_certificate(der).serial_number
