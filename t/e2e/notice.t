#!/usr/bin/env python3
"""Notices to senders, as Python's mail parser reads them."""
import email
import email.policy
import pathlib
import poplib
import re
import smtplib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import Suite  # noqa: E402
from tap import Tap  # noqa: E402

WAIT = 40


def send(suite, rcpt, text, notify="", options=(), sender="alice@a.test"):
    """As alice, who has logged in; rcpt: an address or several."""
    with smtplib.SMTP("127.0.0.1", suite.ports["submission"], timeout=30) as c:
        c.ehlo("client.test")
        c.login("alice@a.test", "secret-alice")
        c.sendmail(sender, rcpt, text, mail_options=list(options),
                   rcpt_options=[f"NOTIFY={notify}"] if notify else [])


def mailbox(suite, user, password):
    """All messages of the user, as bytes; they are deleted."""
    c = poplib.POP3("127.0.0.1", suite.ports["pop3"], timeout=30)
    c.user(user)
    c.pass_(password)
    found = [b"\r\n".join(c.retr(i + 1)[1]) + b"\r\n" for i in range(c.stat()[0])]
    for i in range(len(found)):
        c.dele(i + 1)
    c.quit()
    return found


def notices(suite, n):
    """Waits until alice has n messages."""
    found, end = [], time.monotonic() + WAIT
    while len(found) < n and time.monotonic() < end:
        found += mailbox(suite, "alice@a.test", "secret-alice")
        time.sleep(0.2)
    if len(found) != n:
        raise RuntimeError(f"{len(found)} notices, not {n}: {found}")
    return [email.message_from_bytes(m, policy=email.policy.SMTP) for m in found]


class Notice:
    """The parts of one: text, the fields of the message and of each recipient, the original."""

    def __init__(self, message):
        self.head = message
        if message.get_content_type() != "multipart/report" or message.defects:
            raise RuntimeError(f"no report: {message}, {message.defects}")
        human, status, self.original = message.iter_parts()
        self.text = human.get_content()
        self.status_type = status.get_content_type()
        self.message, *self.rcpts = status.get_payload()
        self.original_type = self.original.get_content_type()

    def check(self, suite):
        """Problems that any notice would have."""
        head = {"From": "Mail Delivery System <mailer-daemon@mail.a.test>",
                "To": "alice@a.test", "Return-Path": "<>", "MIME-Version": "1.0",
                "Auto-Submitted": "auto-replied"}
        bad = [f"{k}: {self.head[k]}" for k, v in head.items() if self.head[k] != v]
        bad += [f"no {k}" for k in ("Date", "Message-ID", "Received", "Subject")
                if not self.head[k]]
        if self.message["Reporting-MTA"] != "dns; mail.a.test":
            bad.append(f"Reporting-MTA: {self.message['Reporting-MTA']}")
        log = (suite.dir / "smtpd.log").read_text()
        nid = re.match(r"by \S+ id (\w+);", self.head["Received"])[1]
        if f"notice id={nid} of=" not in log:
            bad.append(f"{nid} is not in the log")
        return bad


def differs(n, fields, words):
    """What is not so in a notice of one recipient; words: of its text."""
    have = {"status": n.status_type, "original": n.original_type}
    for part in (n.head, n.message, n.rcpts[0]):
        have.update((k, str(v)) for k, v in part.items())
    bad = [f"{k}: {have.get(k)!r}, not {v!r}" for k, v in fields.items() if have.get(k) != v]
    text = " ".join(n.text.split())
    bad += [f"no {w!r} in: {text}" for w in words if w not in text]
    return bad + ([] if len(n.rcpts) == 1 else [f"{len(n.rcpts)} recipients"])


def success(suite):
    send(suite, "bob@a.test", "Subject: Hello\r\nMessage-ID: <1@a.test>\r\n\r\nbody\r\n",
         "SUCCESS", ["ENVID=e+2B1", "RET=FULL"])
    n = Notice(notices(suite, 1)[0])
    r = n.rcpts[0]
    return n.check(suite) + differs(n, {
        "Subject": "Delivered: Hello", "In-Reply-To": "<1@a.test>", "References": "<1@a.test>",
        "Original-Envelope-Id": "e+1", "Final-Recipient": "rfc822; bob@a.test",
        "Action": "delivered", "Status": "2.1.5", "status": "message/delivery-status",
        "original": "text/rfc822-headers"}, ["It was delivered", "bob@a.test"])


def main():
    tap = Tap(2)
    suite = Suite(["smtpd", "pop3d"])
    try:
        suite.account("alice@a.test", "secret-alice")
        suite.account("bob@a.test", "secret-bob")
        tap.test("NOTIFY=SUCCESS, delivered here", success, suite)
    finally:
        problems = suite.close()
    tap.ok(not problems, "the daemons end cleanly", "\n".join(problems))
    tap.done()


main()
