"""Publishes a tone through aiortc with a certificate, suites and curves of choice.

Prints one line of JSON: `connected` with the suite and the group that were agreed, or `failed`.

    STREAM_KEY=... dtls_peer.py URL [--certificate rsa|p256|p384] [--role client|server] [--groups P-384:P-256]
"""

import argparse
import asyncio
import os
from urllib.parse import urljoin

import aiohttp
from aiortc import RTCSessionDescription, rtcdtlstransport
from aiortc_publisher import Start, Tone, add, new_peer, say
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

KEYS = {
    "rsa": lambda: rsa.generate_private_key(65_537, 2_048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
}
ECDSA = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
CONNECT_S = 15


def prepare(kind, groups):
    """aiortc itself knows only P-256 and the suites for it."""
    certificate = rtcdtlstransport.RTCCertificate
    plain = certificate._create_ssl_context

    def generate(cls):
        key = KEYS[kind]()
        return cls(key=key, cert=rtcdtlstransport.generate_certificate(key))

    def context(self, **options):
        made = plain(self, **options)
        made.set_cipher_list(ECDSA.replace(b"ECDSA", b"RSA") + b":" + ECDSA)
        # As a server it then takes the first group of its own.
        made.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
        if groups:
            assert SSL._lib.SSL_CTX_set1_curves_list(made._context, groups.encode()) == 1, groups
        return made

    certificate.generateCertificate = classmethod(generate)
    certificate._create_ssl_context = context


async def publish(arguments, key):
    peer = new_peer()
    add(peer, Tone(Start()), "opus")
    settled = asyncio.get_running_loop().create_future()

    @peer.on("connectionstatechange")
    def changed():
        if peer.connectionState in ("connected", "failed", "closed") and not settled.done():
            settled.set_result(peer.connectionState)

    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp
    if arguments.role == "server":
        offer = offer.replace("a=setup:actpass", "a=setup:passive")
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/sdp"}
    async with aiohttp.ClientSession() as http:
        async with http.post(arguments.url, data=offer, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 201, text
            session = urljoin(arguments.url, answer.headers["Location"])
        await peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
        state = await asyncio.wait_for(settled, CONNECT_S)
        agreed = {}
        if state == "connected":
            tls = peer.getSenders()[0].transport._ssl
            agreed = {"suite": tls.get_cipher_name(), "group": tls.get_group_name(), "answer": text}
        say(state, **agreed)
        async with http.delete(session, headers=headers) as answer:
            assert answer.status == 200, answer.status
    await peer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--certificate", choices=KEYS, default="p256")
    parser.add_argument("--role", choices=("client", "server"), default="client")
    parser.add_argument("--groups")
    arguments = parser.parse_args()
    prepare(arguments.certificate, arguments.groups)
    asyncio.run(publish(arguments, os.environ["STREAM_KEY"]))


if __name__ == "__main__":
    main()
