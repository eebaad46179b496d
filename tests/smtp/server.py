"""A mail server for tests: `server.py PORT FILE` appends a line of JSON to FILE for each mail.

The response depends on the recipient: refused@ is unknown, policy@ refuses the sender, and later@ refuses for now.
For lost@, the server closes the connection instead of accepting the first mail. For held@, it accepts a mail only
once FILE.go exists.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import pathlib
import ssl
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# Some tests log in without TLS.
warnings.simplefilter("ignore")
logging.getLogger("mail.log").setLevel(logging.CRITICAL)

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("file", type=pathlib.Path)
parser.add_argument("--certificate", help="speak TLS from the first byte, with this certificate and key")
parser.add_argument("--login", help="require USER:PASSWORD")
options = parser.parse_args()

REFUSALS = {
    "refused": "550 5.1.1 No such user",
    "policy": "550 5.7.1 Sender not allowed",
    "later": "451 4.3.0 Try again later",
}
lost = set()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        refusal = REFUSALS.get(address.split("@")[0])
        if refusal:
            record({"to": address, "answer": refusal})
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        [address] = envelope.rcpt_tos
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        record(
            {
                "to": address,
                "from": envelope.mail_from,
                "greeting": session.host_name,
                "login": session.auth_data,
                "headers": {name: str(value) for name, value in mail.items()},
                "text": mail.get_body(["plain"]).get_content(),
                "html": mail.get_body(["html"]).get_content(),
            }
        )
        name = address.split("@")[0]
        if name == "lost" and address not in lost:
            lost.add(address)
            server.transport.abort()
        while name == "held" and not options.file.with_suffix(".go").exists():
            await asyncio.sleep(0.05)
        return "250 2.0.0 Taken"


def record(mail):
    with options.file.open("a") as file:
        file.write(json.dumps(mail) + "\n")


def authenticate(server, session, envelope, mechanism, data):
    given = f"{data.login.decode()}:{data.password.decode()}"
    return AuthResult(success=given == options.login, handled=False, auth_data=given)


async def main():
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)

    def session():
        return SMTP(
            Handler(),
            hostname="mail.example.com",
            authenticator=authenticate,
            auth_required=bool(options.login),
            auth_require_tls=False,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", options.port, ssl=tls)
    await server.serve_forever()


asyncio.run(main())
