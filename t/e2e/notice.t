#!/usr/bin/env python3
"""Notices to senders, as Python's mail parser reads them."""
import email
import email.policy
import pathlib
import re
import smtplib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from arrived import mailbox  # noqa: E402
from peer import Peer  # noqa: E402
from suite import ROOT, Suite  # noqa: E402
from tap import Tap  # noqa: E402

WAIT = 40
SENDS = (ROOT / "smtpd/relay_work.c").exists()


def send(suite, rcpt, text, notify="", options=(), sender="alice@a.test"):
    """As alice, who has logged in; rcpt: an address or several."""
    with smtplib.SMTP("127.0.0.1", suite.ports["submission"], timeout=30) as c:
        c.ehlo("client.test")
        c.login("alice@a.test", "secret-alice")
        c.sendmail(sender, rcpt, text, mail_options=list(options),
                   rcpt_options=[f"NOTIFY={notify}"] if notify else [])


def notices(suite, n):
    """Waits until alice has n messages."""
    found, end = [], time.monotonic() + WAIT
    while len(found) < n and time.monotonic() < end:
        found += mailbox(suite, "alice@a.test", "secret-alice")
        time.sleep(0.2)
    if len(found) != n:
        raise RuntimeError(f"{len(found)} notices, not {n}: {found}")
    return [email.message_from_bytes(m, policy=email.policy.SMTP) for m in found]


def blocks(part):
    """The groups of fields of a delivery status: Python knows the ASCII kind alone."""
    if part.get_content_type() == "message/delivery-status":
        return part.get_payload()
    text = part.as_bytes().split(b"\r\n\r\n", 1)[1]
    return [email.message_from_bytes(b, policy=email.policy.SMTPUTF8)
            for b in text.strip().split(b"\r\n\r\n")]


class Notice:
    """The parts of one: text, the fields of the message and of each recipient, the original."""

    def __init__(self, message):
        self.head = message
        if message.get_content_type() != "multipart/report" or message.defects:
            raise RuntimeError(f"no report: {message}, {message.defects}")
        human, status, self.original = message.iter_parts()
        self.text = human.get_content()
        self.status_type = status.get_content_type()
        self.message, *self.rcpts = blocks(status)
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


TEXT = "Subject: Hello\r\nMessage-ID: <1@a.test>\r\n\r\nbody\r\n"
FAILED = {"Action": "failed", "Remote-MTA": "dns; [127.0.0.1]"}


def one(suite, fields, words):
    n = Notice(notices(suite, 1)[0])
    return n, n.check(suite) + differs(n, fields, words)


def failure(suite, peer):
    peer.say("RCPT", "550 5.1.1 no such user", match="who@")
    send(suite, ["who@b.test", "bob@b.test"], TEXT, options=["RET=FULL"])
    n, bad = one(suite, FAILED | {
        "Subject": "Not delivered: Hello", "Final-Recipient": "rfc822; who@b.test",
        "Status": "5.1.1", "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "original": "message/rfc822"}, ["will not be tried again", "550 5.1.1 no such user"])
    original = n.original.get_payload(0)
    if not original.as_bytes().endswith(TEXT.encode().replace(b"\r\n", b"\n")) and \
            not original.as_bytes().endswith(TEXT.encode()):
        bad.append(f"the original is {original.as_bytes()}")
    if len(peer.wait(1)) != 1:
        bad.append("bob did not get it")
    return bad


def no_notice(suite, peer):
    """NOTIFY=NEVER, NOTIFY=SUCCESS, and mail without a sender; then one that is told of."""
    send(suite, "who@b.test", TEXT, "NEVER")
    send(suite, "who@b.test", TEXT, "SUCCESS")
    suite.ctl("alias", "add", "forward@a.test", "who@b.test")
    with smtplib.SMTP("127.0.0.1", suite.ports["smtp"], timeout=30) as c:
        c.sendmail("", "forward@a.test", TEXT)
    send(suite, "who@b.test", TEXT.replace("Hello", "Last"))
    bad = one(suite, FAILED | {"Subject": "Not delivered: Last",
                               "original": "text/rfc822-headers"}, [])[1]
    left = suite.ctl("queue", "list")
    return bad + ([left] if "who@" in left else [])


def notice_that_fails(suite, peer):
    """To a sender elsewhere, whose host refuses it: nobody is told."""
    peer.say("RCPT", "550 5.1.1 unknown", match="eve@")
    with smtplib.SMTP("127.0.0.1", suite.ports["smtp"], timeout=30) as c:
        c.sendmail("eve@b.test", "forward@a.test", TEXT)
    end = time.monotonic() + WAIT
    while not any("eve@b.test" in t for t in peer.lines if t.startswith("RCPT")) and \
            time.monotonic() < end:
        time.sleep(0.1)
    send(suite, "who@b.test", TEXT.replace("Hello", "Last"))
    bad = one(suite, FAILED | {"Subject": "Not delivered: Last"}, [])[1]
    tries = [t for t in peer.lines if t.startswith("RCPT") and "eve@b.test" in t]
    return bad + ([] if len(tries) == 1 else [f"{tries}"])


def relayed(suite, peer):
    """To a host that knows DSN, which tells then; and to one that does not."""
    before = len(peer.messages)
    send(suite, "bob@b.test", TEXT, "SUCCESS")
    passed = peer.wait(before + 1)[-1].rcpts[0]
    send(suite, "carol@c.test", TEXT, "SUCCESS,FAILURE")
    n, bad = one(suite, {"Subject": "Relayed: Hello", "Action": "relayed", "Status": "2.0.0",
                         "Final-Recipient": "rfc822; carol@c.test",
                         "original": "text/rfc822-headers"}, ["handed on"])
    return bad + ([] if "NOTIFY=SUCCESS" in passed else [passed])


def international(suite, peer):
    peer.say("RCPT", "550 5.1.1 gibt es nicht: \u00f6", match="\u00f6@")
    send(suite, "\u00f6@b.test", "Subject: \u00fc\r\n\r\nbody\r\n".encode(),
         options=["SMTPUTF8", "BODY=8BITMIME"])
    return one(suite, FAILED | {
        "Final-Recipient": "utf-8; \u00f6@b.test", "status": "message/global-delivery-status",
        "Diagnostic-Code": "smtp; 550 5.1.1 gibt es nicht: \u00f6",
        "original": "message/global-headers"}, ["\u00f6@b.test", "Subject: \u00fc"])[1]


def late(suite, peer):
    """Delayed, and then given up."""
    peer.say("RCPT", "450 4.2.1 later", match="slow@")
    send(suite, "slow@b.test", TEXT)
    for hours in (1, 3, 1):
        suite.move_clock(hours * 3600)
        suite.ctl("queue", "flush", "--all")
    n, bad = one(suite, {
        "Subject": "Delayed: Hello", "Action": "delayed", "Status": "4.2.1",
        "Diagnostic-Code": "smtp; 450 4.2.1 later", "original": "text/rfc822-headers"},
        ["It will be tried again; you need not do anything.", "It will be tried until"])
    if not n.rcpts[0]["Will-Retry-Until"]:
        bad.append("no Will-Retry-Until")
    suite.move_clock(6 * 86400)
    suite.ctl("queue", "flush", "--all")
    return bad + one(suite, {
        "Subject": "Not delivered: Hello", "Action": "failed", "Status": "5.2.1",
        "Diagnostic-Code": "smtp; 450 4.2.1 later"}, ["It was tried "])[1]


def in_time(suite, peer):
    send(suite, "slow@b.test", TEXT, options=["BY=60;R"])
    suite.move_clock(120)
    suite.ctl("queue", "flush", "--all")
    n, bad = one(suite, {"Action": "failed"}, ["You asked for it to be delivered by"])
    return bad + ([] if n.message["Deliver-By-Date"] else ["no Deliver-By-Date"])


def main():
    tap = Tap(9)
    peer, plain = Peer(), Peer()
    plain.extensions.remove("DSN")
    route = "".join(f"route {d} {{\n host 127.0.0.1 {p.port}\n}}\n"
                    for d, p in (("*", peer), ("c.test", plain)))
    suite = Suite(["smtpd", "pop3d"], {"smtpd": route, "stored": "delay-notice 2h"})
    try:
        suite.account("alice@a.test", "secret-alice")
        suite.account("bob@a.test", "secret-bob")
        tap.test("NOTIFY=SUCCESS, delivered here", success, suite)
        for name, fn in (("a failure, with the message", failure),
                         ("no notice that nobody wants", no_notice),
                         ("no notice of a notice", notice_that_fails),
                         ("relayed", relayed), ("SMTPUTF8", international),
                         ("delayed, and given up", late), ("DELIVERBY", in_time)):
            if SENDS:
                tap.test(name, fn, suite, peer)
            else:
                tap.skip(name, "there is no sending half in this tree")
    finally:
        problems = suite.close()
        peer.close()
        plain.close()
    tap.ok(not problems, "the daemons end cleanly", "\n".join(problems))
    tap.done()


main()
