#!/usr/bin/env python3
"""Mail of this machine's users by smtpd's local socket: who they are is the kernel's word."""
import os
import pathlib
import poplib
import pwd
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import Suite, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

# A client of its own process, so that it can have a user of its own.
CLIENT = """
import socket, sys
c = socket.socket(socket.AF_UNIX)
c.settimeout(30)
c.connect(sys.argv[1])
f = c.makefile("rb")
def reply():
    while True:
        line = f.readline().decode().rstrip()
        print(line)
        if line[3:4] != "-":
            return
reply()
for line in sys.argv[2:]:
    c.sendall(line.encode() + b"\\r\\n")
    reply()
"""
NOBODY = 64321  # a number without a name


def talk(suite, *lines, uid=None):
    """The replies, one a line."""
    who = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
    r = subprocess.run([*who, sys.executable, "-c", CLIENT, suite.run / "local/smtp.sock", *lines],
                       capture_output=True, text=True, timeout=90, check=False)
    if r.returncode:
        raise RuntimeError(r.stderr)
    return r.stdout.splitlines()


def wants(replies, *prefixes):
    """What is not as it should be."""
    last = [r for r in replies if r[3:4] != "-"]
    bad = [f"{p!r} for {r!r}" for r, p in zip(last, prefixes, strict=False) if not r.startswith(p)]
    if len(last) != len(prefixes):
        bad.append(f"{len(last)} replies: {replies}")
    return bad


def mailbox(suite):
    p = poplib.POP3("127.0.0.1", suite.ports["pop3"], timeout=30)
    p.user("alice@a.test")
    p.pass_("secret-alice")
    texts = [b"\n".join(p.retr(i + 1)[1]).decode() for i in range(p.stat()[0])]
    for i in range(len(texts)):
        p.dele(i + 1)
    p.quit()
    return texts


MESSAGE = "From: boss@a.test\r\nSubject: x\r\n\r\nhello\r\n."
GREETED = ("220 mail.a.test", "250 ")


def own_name(suite):
    name = pwd.getpwuid(os.getuid()).pw_name
    replies = talk(suite, "EHLO localhost")
    bad = wants(replies, *GREETED)
    if f"250-XLOCAL {name}@mail.a.test" not in replies:
        bad.append(replies)
    return bad + [r for r in replies if "AUTH" in r or "STARTTLS" in r]


def trusted(suite):
    bad = wants(talk(suite, "EHLO localhost", "MAIL FROM:<x@elsewhere.example>",
                     "RCPT TO:<alice@a.test>", "RCPT TO:<away@elsewhere.example>", "DATA",
                     MESSAGE, "QUIT"), *GREETED, "250 ", "250 ", "250 ", "354 ", "250 ", "221 ")
    text = mailbox(suite)[0]
    if "(userid 0 by mail.a.test)" not in text or "Sender:" in text:
        bad.append(text)
    if "x@elsewhere.example" not in suite.ctl("queue", "list"):
        bad.append("nothing is queued for elsewhere")
    return bad


def others(suite):
    bad = wants(talk(suite, "EHLO localhost", "MAIL FROM:<x@elsewhere.example>",
                     "MAIL FROM:<alice@a.test>", "MAIL FROM:<uid-64321>", "RCPT TO:<alice@a.test>",
                     "DATA", MESSAGE, "MAIL FROM:<>", "RSET", "STARTTLS", "AUTH PLAIN AGEAYg==",
                     uid=NOBODY),
                *GREETED, "550 5.7.1", "550 5.7.1", "250 ", "250 ", "354 ", "250 ", "250 ", "250 ",
                "503 ", "503 ")
    text = mailbox(suite)[0]
    for part in (f"(userid {NOBODY} by mail.a.test)", "Sender: uid-64321@mail.a.test",
                 "Return-Path: <uid-64321@mail.a.test>", "From: boss@a.test"):
        if part not in text:
            bad.append(f"{part!r} is not in {text}")
    return bad


def sender_field(suite):
    start = ("EHLO localhost", "MAIL FROM:<uid-64321>", "RCPT TO:<alice@a.test>", "DATA")
    ok = (*GREETED, "250 ", "250 ", "354 ")
    bad = wants(talk(suite, *start, "Sender: alice@a.test\r\n" + MESSAGE, uid=NOBODY), *ok,
                "550 5.7.1")
    bad += wants(talk(suite, *start, "Sender: uid-64321@mail.a.test\r\n" + MESSAGE, uid=NOBODY),
                 *ok, "250 ")
    bad += [t for t in mailbox(suite) if t.count("Sender:") != 1]
    return bad


def rate(suite):
    """local-rate is 5 a minute here; the trusted have none."""
    lines = ["EHLO localhost"] + 12 * ["MAIL FROM:<>", "RSET"]
    last = talk(suite, *lines, uid=NOBODY + 1)
    bad = [] if any(r.startswith("451 4.7.1") for r in last) else [last]
    return bad + [r for r in talk(suite, *lines) if r.startswith("451")]


def store_away(suite):
    """A store that is restarted is waited for; one that says no is the end."""
    suite.stop("stored")
    with open(suite.dir / "stored.conf", "a") as f:
        f.write("local-submission off\n")
    suite.start("stored")
    return wants(talk(suite), "554 5.7.1")


def not_for_the_network(suite):
    """The listener takes Unix sockets alone."""
    path = suite.dir / "wrong.conf"
    path.write_text("version 1\nlocal 127.0.0.1:25\n")
    r = subprocess.run([suite_binary("smtpd"), "-n", "-f", path], capture_output=True, text=True,
                       timeout=30, check=False)
    return [] if r.returncode == 78 and "not a Unix socket" in r.stderr else [r]


def suite_binary(name):
    return pathlib.Path(__file__).resolve().parents[2] / os.environ.get("HAMLET_BUILD",
                                                                       "build") / name


def ended(suite):
    return suite.close()


def main():
    root = os.geteuid() == 0
    tap = Tap(9)
    conf = {"smtpd": "local-rate 5\n"}
    suite = (Supervised if root else Suite)(["smtpd", "pop3d"], conf)
    suite.account("alice@a.test", "secret-alice")
    tap.test("the user is named, without AUTH or STARTTLS", own_name, suite)
    for name, test in (("a trusted user gives any sender and writes to the outside", trusted),
                       ("any other gives the own address; Sender says who it was", others),
                       ("a Sender field must be the own address", sender_field),
                       ("messages of a user and minute are limited", rate)):
        if root:
            tap.test(name, test, suite)
        else:
            tap.skip(name, "needs root, for clients with other uids")
    tap.test("only Unix sockets", not_for_the_network, suite)
    tap.test("the daemons end cleanly", ended, suite)
    suite = Suite(["smtpd"])
    tap.test("a store that takes no local mail", store_away, suite)
    tap.test("these daemons end cleanly", ended, suite)
    tap.done()


main()
