#!/usr/bin/env python3
"""What dialogues cannot say: SCRAM with its proofs, and a drain that lets transactions finish."""
import base64
import pathlib
import signal
import socket
import ssl
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from scram import Scram  # noqa: E402
from suite import Suite  # noqa: E402


class Client:
    def __init__(self, suite, kind, tls=None):
        self.sock = socket.create_connection(("127.0.0.1", suite.ports[kind]), timeout=15)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="mail.a.test")
        self.file = self.sock.makefile("rb")
        self.reply()

    def reply(self):
        """Code and text of a reply; "" at the end of the connection."""
        while True:
            line = self.file.readline().decode().rstrip("\r\n")
            if line[3:4] != "-":
                return line

    def ask(self, line):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()


def context(suite, version):
    ctx = ssl.create_default_context(cafile=str(suite.ca))
    ctx.maximum_version = version
    return ctx


def scram(suite, mech, password, version=ssl.TLSVersion.TLSv1_3, bind=None):
    """The last reply, and whether the server proved that it knows the password."""
    c = Client(suite, "submissions", context(suite, version))
    c.ask("EHLO client.test")
    binding = bind or (c.sock.get_channel_binding("tls-unique") if mech.endswith("PLUS") else None)
    s = Scram("alice@a.test", password, ("tls-unique", binding) if binding else None)
    challenge = c.ask(f"AUTH {mech} {base64.b64encode(s.first()).decode()}")
    if not challenge.startswith("334 "):
        return challenge, False
    answer = s.final(base64.b64decode(challenge[4:]))
    proof = c.ask(base64.b64encode(answer).decode())
    if not proof.startswith("334 "):
        return proof, False
    return c.ask(""), s.verify(base64.b64decode(proof[4:]))


def scram_tests(suite):
    tls12 = ssl.TLSVersion.TLSv1_2
    reply, proved = scram(suite, "SCRAM-SHA-256", "secret-alice")
    yield "SCRAM-SHA-256", reply.startswith("235 ") and proved, reply
    reply, proved = scram(suite, "SCRAM-SHA-256", "wrong")
    yield "SCRAM-SHA-256 with a wrong password", reply.startswith("535 "), reply
    reply, proved = scram(suite, "SCRAM-SHA-256-PLUS", "secret-alice", tls12)
    yield "SCRAM-SHA-256-PLUS", reply.startswith("235 ") and proved, reply
    reply, proved = scram(suite, "SCRAM-SHA-256-PLUS", "secret-alice", tls12, b"x" * 12)
    yield "SCRAM-SHA-256-PLUS over somebody else's channel", reply.startswith("535 "), reply


def drain_tests(suite):
    idle = Client(suite, "smtp")
    idle.ask("EHLO client.test")
    busy = Client(suite, "smtp")
    for line in ("EHLO client.test", "MAIL FROM:<>", "RCPT TO:<alice@a.test>", "DATA"):
        busy.ask(line)
    process = suite.processes["smtpd"]
    process.send_signal(signal.SIGTERM)
    reply = idle.reply()
    yield "a drain sends idle sessions home", reply.startswith("421 "), reply
    try:
        Client(suite, "smtp")
        refused = False
    except OSError:
        refused = True
    yield "nobody new is let in", refused, "connected"
    yield "the daemon waits for the transaction", process.poll() is None, "it has ended"
    reply = busy.ask("hello\r\n.")
    yield "which finishes", reply.startswith("250 "), reply
    reply = busy.reply()
    yield "and is sent home then", reply.startswith("421 "), reply
    busy.sock.close()
    idle.sock.close()
    status = process.wait(15)
    yield "the daemon ends with success", status == 0, f"status {status}"
    del suite.processes["smtpd"]


def main():
    suite = Suite(["smtpd"])
    n = bad = 0
    try:
        suite.account("alice@a.test", "secret-alice")
        for tests in (scram_tests, drain_tests):
            for name, good, why in tests(suite):
                n += 1
                bad += not good
                print(f"{'ok' if good else 'not ok'} {n} - {name}")
                if not good:
                    print(f"# {why}")
    finally:
        problems = suite.close()
    n += 1
    print(f"{'not ok' if problems else 'ok'} {n} - the daemons end cleanly")
    for p in problems:
        print("\n".join("# " + t for t in p.splitlines()))
    print(f"1..{n}")
    return 1 if bad or problems else 0


sys.exit(main())
