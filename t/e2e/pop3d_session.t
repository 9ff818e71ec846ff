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
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from client import Client, context, refused, scram_tests  # noqa: E402
from suite import BUILD, Suite  # noqa: E402
from tap import Tap  # noqa: E402

IDLE = 2000
PASSWORD = "secret-alice"


class Pop(Client):
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


def login_tests(suite):
    return scram_tests(suite, lambda tls: Pop(suite, "pop3s", tls), "+ ", "+OK", "-ERR [AUTH]")


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
        c = Pop(suite, kind, context(suite) if kind == "pop3s" else None)
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
    Pop(suite, "pop3").close()
    time.sleep(0.3)
    before = pss(suite)
    clients = [Pop(suite, "pop3") for _ in range(IDLE)]
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
    idle = Pop(suite, "pop3")
    busy = Pop(suite, "pop3")
    busy.login()
    busy.ask("DELE 1")
    process = suite.processes["pop3d"]
    process.send_signal(signal.SIGTERM)
    reply = idle.reply()
    yield "a drain sends idle sessions home", reply.startswith("-ERR [SYS/TEMP]"), reply
    yield "nobody new is let in", refused(Pop, suite, "pop3"), "connected"
    yield "the daemon waits for the open mailbox", process.poll() is None, "it has ended"
    reply = busy.ask("RETR 2")
    busy.body()
    yield "which goes on", reply.startswith("+OK"), reply
    reply = busy.ask("QUIT")
    yield "and finishes", reply == "+OK 1 messages deleted, bye", reply
    # Clients that do not close hold it up for seconds only.
    status = process.wait(30)
    yield "the daemon ends with success", status == 0, f"status {status}"
    del suite.processes["pop3d"]
    idle.close()
    busy.close()


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tap = Tap()
    suite = Suite(["pop3d", "smtpd"], {"pop3d": "connections-per-address 0\nlogin-timeout 10m\n"})
    try:
        suite.account("alice@a.test", PASSWORD)
        for tests in (memory_tests, login_tests, large_mail_tests, drain_tests):
            tap.each(tests(suite))
    finally:
        tap.ends(suite)
    tap.done()


main()
