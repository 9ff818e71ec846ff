#!/usr/bin/env python3
"""What dialogues cannot say of pop3d: SCRAM with its proofs, large mail byte for byte to a slow
reader, the memory of idle connections, and a drain that lets open mailboxes finish."""
import base64
import pathlib
import random
import re
import resource
import signal
import smtplib
import socket
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from scram import Scram  # noqa: E402
from suite import BUILD, Suite  # noqa: E402

IDLE = 2000
PASSWORD = "secret-alice"


class Client:
    def __init__(self, suite, kind, tls=None):
        self.sock = socket.create_connection(("127.0.0.1", suite.ports[kind]), timeout=20)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="mail.a.test")
        self.file = self.sock.makefile("rb")
        self.reply()

    def reply(self):
        return self.file.readline().decode().rstrip("\r\n")

    def ask(self, line):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()

    def login(self):
        self.ask("USER alice@a.test")
        return self.ask(f"PASS {PASSWORD}")

    def body(self):
        """The lines of a multi-line reply, without their dots."""
        out = []
        while True:
            line = self.file.readline()
            if line in (b".\r\n", b""):
                return b"".join(out)
            out.append(line[1:] if line.startswith(b".") else line)

    def close(self):
        self.file.close()
        self.sock.close()


def scram(suite, mech, password, version=ssl.TLSVersion.TLSv1_3, bind=None):
    """The last reply, and whether the server proved that it knows the password."""
    ctx = ssl.create_default_context(cafile=str(suite.ca))
    ctx.maximum_version = version
    c = Client(suite, "pop3s", ctx)
    binding = bind or (c.sock.get_channel_binding("tls-unique") if mech.endswith("PLUS") else None)
    s = Scram("alice@a.test", password, ("tls-unique", binding) if binding else None)
    challenge = c.ask(f"AUTH {mech} {base64.b64encode(s.first()).decode()}")
    proof = c.ask(base64.b64encode(s.final(base64.b64decode(challenge[2:]))).decode())
    if not proof.startswith("+ "):
        c.close()
        return proof, False
    reply = c.ask("")
    c.ask("QUIT")
    c.close()
    return reply, s.verify(base64.b64decode(proof[2:]))


def scram_tests(suite):
    tls12 = ssl.TLSVersion.TLSv1_2
    reply, proved = scram(suite, "SCRAM-SHA-256", PASSWORD)
    yield "SCRAM-SHA-256", reply.startswith("+OK") and proved, reply
    reply, _ = scram(suite, "SCRAM-SHA-256", "wrong")
    yield "SCRAM-SHA-256 with a wrong password", reply.startswith("-ERR [AUTH]"), reply
    reply, proved = scram(suite, "SCRAM-SHA-256-PLUS", PASSWORD, tls12)
    yield "SCRAM-SHA-256-PLUS", reply.startswith("+OK") and proved, reply
    reply, _ = scram(suite, "SCRAM-SHA-256-PLUS", PASSWORD, tls12, b"x" * 12)
    yield "... over somebody else's channel", reply.startswith("-ERR [AUTH]"), reply


def large_mail_tests(suite):
    rnd = random.Random(1)
    sent = []
    for size in (10, 4000, 200_000, 5_000_000):
        lines = [b"Subject: large", b""]
        while size > 0:
            line = b"." * rnd.randrange(3) + base64.b64encode(rnd.randbytes(rnd.randrange(60)))
            lines.append(line)
            size -= len(line) + 2
        sent.append(b"\r\n".join(lines) + b"\r\n")
    with smtplib.SMTP("127.0.0.1", suite.ports["smtp"]) as smtp:
        for message in sent:
            smtp.sendmail("x@b.test", ["alice@a.test"], message)
    for kind in ("pop3", "pop3s"):
        tls = ssl.create_default_context(cafile=str(suite.ca)) if kind == "pop3s" else None
        c = Client(suite, kind, tls)
        c.login()
        c.sock.sendall(b"".join(b"RETR %d\r\n" % (i + 1) for i in range(len(sent))))
        time.sleep(0.5)  # the replies pile up
        for i, message in enumerate(sent):
            first = c.reply()
            got = c.body()
            yield f"{kind}: {len(message)} octets come back as they were", \
                first.startswith("+OK") and got.endswith(message), first
        c.ask("QUIT")
        c.close()


def pss(suite):
    text = pathlib.Path(f"/proc/{suite.processes['pop3d'].pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1)) * 1024


def memory_tests(suite):
    Client(suite, "pop3").close()
    time.sleep(0.3)
    before = pss(suite)
    clients = [Client(suite, "pop3") for _ in range(IDLE)]
    for c in clients:
        c.ask("CAPA")
    time.sleep(0.5)
    each = (pss(suite) - before) // IDLE
    for c in clients:
        c.close()
    print(f"# an idle connection costs {each} octets")
    sanitized = BUILD.name == "san"
    yield "an idle connection costs at most 2 KiB", sanitized or each <= 2048, f"{each} octets"


def drain_tests(suite):
    idle = Client(suite, "pop3")
    busy = Client(suite, "pop3")
    busy.login()
    busy.ask("DELE 1")
    process = suite.processes["pop3d"]
    process.send_signal(signal.SIGTERM)
    reply = idle.reply()
    yield "a drain sends idle sessions home", reply.startswith("-ERR [SYS/TEMP]"), reply
    try:
        Client(suite, "pop3").close()
        refused = False
    except OSError:
        refused = True
    yield "nobody new is let in", refused, "connected"
    yield "the daemon waits for the open mailbox", process.poll() is None, "it has ended"
    reply = busy.ask("RETR 2")
    busy.body()
    yield "which goes on", reply.startswith("+OK"), reply
    reply = busy.ask("QUIT")
    yield "and finishes", reply == "+OK 1 messages deleted, bye", reply
    # Clients that do not close hold it up for seconds only.
    status = process.wait(15)
    yield "the daemon ends with success", status == 0, f"status {status}"
    del suite.processes["pop3d"]
    idle.close()
    busy.close()


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    suite = Suite(["pop3d", "smtpd"], {"pop3d": "connections-per-address 0\nlogin-timeout 10m\n"})
    n = bad = 0
    try:
        suite.account("alice@a.test", PASSWORD)
        for tests in (memory_tests, scram_tests, large_mail_tests, drain_tests):
            for name, good, why in tests(suite):
                n += 1
                bad += not good
                print(f"{'ok' if good else 'not ok'} {n} - {name}", flush=True)
                if not good:
                    print(f"# {why}", flush=True)
    finally:
        problems = suite.close()
    n += 1
    print(f"{'not ok' if problems else 'ok'} {n} - the daemons end cleanly")
    for p in problems:
        print("\n".join("# " + t for t in p.splitlines()))
    print(f"1..{n}")
    return 1 if bad or problems else 0


sys.exit(main())
