#!/usr/bin/env python3
"""Abuse from one address: 10,000 connections, half-open ones, writers of a byte a second, clients
that do not read. The daemons answer properly, their memory is bounded, and others are served."""
import pathlib
import poplib
import resource
import smtplib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import Supervised  # noqa: E402
from tap import Tap  # noqa: E402

PASSWORD = "secret-secret"
MANY = 10000
PER_ADDRESS = 50
CONF = (f"connections-per-address {PER_ADDRESS}\n")
MEMORY_MAX = 64 << 20  # of one daemon's processes, beyond what they had


def rss(suite, name):
    total = 0
    for pid in suite.pids(name):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def served(suite):
    """Somebody at another address is served meanwhile."""
    with smtplib.SMTP("127.0.0.1", suite.ports["smtp"], timeout=20,
                      source_address=("127.0.0.9", 0)) as s:
        s.sendmail("x@a.test", ["bob@b.test"], "Subject: x\r\n\r\nhello\r\n")
    pop = socket.create_connection(("127.0.0.1", suite.ports["pop3"]), 20, ("127.0.0.9", 0))
    line = pop.recv(100)
    pop.close()
    return [] if line.startswith(b"+OK") else [f"pop3 said {line!r}"]


def many_connections(suite, daemon, kind, busy):
    before = rss(suite, daemon)
    socks, refused, greeted = [], 0, 0
    for _ in range(MANY):
        s = socket.socket()
        s.settimeout(20)
        s.connect(("127.0.0.1", suite.ports[kind]))
        socks.append(s)
        if len(socks) > PER_ADDRESS:
            line = s.recv(200)
            if line.startswith(busy) or line == b"":
                refused += 1
            else:
                greeted += 1
            s.close()
    problems = served(suite)
    grown = rss(suite, daemon) - before
    for s in socks:
        s.close()
    if refused != MANY - PER_ADDRESS:
        problems.append(f"{refused} of {MANY - PER_ADDRESS} were refused, {greeted} greeted")
    if grown > MEMORY_MAX:
        problems.append(f"{daemon} grew by {grown} bytes")
    return problems


def slow_writers(suite):
    """A byte at a time, on all the connections that an address may have."""
    socks = [socket.create_connection(("127.0.0.1", suite.ports["smtp"]), 20)
             for _ in range(PER_ADDRESS)]
    for s in socks:
        s.recv(200)
    for byte in b"EHLO slow":
        for s in socks:
            s.sendall(bytes([byte]))
    problems = served(suite)
    for s in socks:
        s.close()
    return problems


def no_reader(suite):
    """A client that asks for much and reads nothing: the server stops producing."""
    for _ in range(40):
        with smtplib.SMTP("127.0.0.1", suite.ports["smtp"], timeout=20,
                          source_address=("127.0.0.8", 0)) as s:
            s.sendmail("x@a.test", ["bob@b.test"], "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * 9000)
    before = rss(suite, "pop3d")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(20)
    s.connect(("127.0.0.1", suite.ports["pop3"]))
    s.sendall(f"USER bob@b.test\r\nPASS {PASSWORD}\r\n".encode())
    s.sendall(b"".join(b"RETR %d\r\n" % i for i in range(2, 40)))
    time.sleep(2)
    grown = rss(suite, "pop3d") - before
    problems = served(suite)
    s.close()
    return problems + ([f"pop3d grew by {grown} bytes"] if grown > 16 << 20 else [])


def half_open(suite):
    """Connections that end without a word, and TLS ones that never shake hands."""
    for kind in ("smtp", "pop3", "submissions", "pop3s"):
        for _ in range(200):
            s = socket.create_connection(("127.0.0.1", suite.ports[kind]), 20, ("127.0.0.7", 0))
            s.close()
    silent = [socket.create_connection(("127.0.0.1", suite.ports["submissions"]), 20)
              for _ in range(20)]
    for s in silent:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
    problems = served(suite)
    for s in silent:
        s.close()
    pop = poplib.POP3("127.0.0.1", suite.ports["pop3"], timeout=20)
    pop.quit()
    return problems


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    tap = Tap(6)
    suite = Supervised(["smtpd", "pop3d"], conf={"smtpd": CONF, "pop3d": CONF})
    try:
        suite.account("bob@b.test", PASSWORD)
        tap.test("10,000 SMTP connections from one address", many_connections, suite, "smtpd",
                 "smtp", b"421")
        tap.test("10,000 POP3 connections from one address", many_connections, suite, "pop3d",
                 "pop3", b"-ERR")
        tap.test("slow writers", slow_writers, suite)
        tap.test("a client that does not read", no_reader, suite)
        tap.test("half-open connections and silent TLS", half_open, suite)
    finally:
        problems = suite.close()
    tap.ok(not problems, "the suite ends cleanly", "\n".join(problems))
    tap.done()


main()
