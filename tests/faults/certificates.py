"""Certificates for the sink: valid ones, and expired ones."""

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(subject, issuer, key, first, last):
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
    )


@dataclass
class Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: bytes
    title: str

    def issue(self, expired=False):
        """A key and certificate of the sink in PEM."""
        now = datetime.datetime.now(datetime.UTC)
        first, last = (now - 3 * DAY, now - DAY) if expired else (now - 3 * DAY, now + 3 * DAY)
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.DNSName("sink.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        made = builder("sink.test", self.title, key, first, last).add_extension(
            names, critical=False
        )
        made = made.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
            critical=False,
        ).sign(self.key, hashes.SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private + made.public_bytes(Encoding.PEM)


def authority():
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    title = f"authority {x509.random_serial_number()}"
    made = (
        builder(title, title, key, now - 3 * DAY, now + 3 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, made.public_bytes(Encoding.PEM), title)
