"""What tests of mail that leaves share: who submits it, and what the queue says of it."""
import json
import smtplib
import ssl
import time

WAIT = 30


class Sender:
    """Alice, who submits."""

    def __init__(self, suite, address="alice@a.test", password="secret-alice"):
        self.suite, self.address, self.password = suite, address, password
        self.tls = ssl.create_default_context(cafile=str(suite.ca))
        self.tls.check_hostname = False

    def login(self):
        """A session, as smtplib has it."""
        c = smtplib.SMTP_SSL("127.0.0.1", self.suite.ports["submissions"], timeout=WAIT,
                             context=self.tls)
        c.login(self.address, self.password)
        c.ehlo("client.test")
        return c

    def submit(self, text, *to, options=(), rcpt_options=()):
        """Returns the message's id."""
        with self.login() as c:
            if "SMTPUTF8" in options:
                c.command_encoding = "utf-8"
            code, reply = c.mail(self.address, list(options))
            if code != 250:
                raise RuntimeError(f"MAIL: {code} {reply}")
            for rcpt in to:
                code, reply = c.rcpt(rcpt, list(rcpt_options))
                if code != 250:
                    raise RuntimeError(f"RCPT {rcpt}: {code} {reply}")
            code, reply = c.data(text)
            if code != 250:
                raise RuntimeError(f"DATA: {code} {reply}")
        return reply.decode().split()[-1]


def text_of(name):
    return (f"From: alice@a.test\r\nTo: x@b.test\r\nSubject: {name}\r\nMessage-ID: <{name}@a.test>"
            "\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nhello\r\n").encode()


def subject(message):
    for line in message.content.split(b"\r\n"):
        if line.startswith(b"Subject: "):
            return line[9:].decode()
    return None


def until(what, fn, seconds=WAIT):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = fn()
        if got:
            return got
        time.sleep(0.05)
    raise RuntimeError(f"{what}: not in {seconds} s")


def rows(suite, mid):
    """The recipients of a message, as the queue shows them."""
    return [json.loads(line) for line in
            suite.ctl("--json", "queue", "show", mid).splitlines()]


def state(suite, mid, want):
    return until(f"{mid} {want}", lambda: [r for r in rows(suite, mid) if r["state"] == want])


def settled(suite, mid):
    """Until the store knows of each recipient's delivery."""
    done = ("relayed", "passed", "done")
    until(f"{mid} is delivered", lambda: all(r["state"] in done for r in rows(suite, mid)))
