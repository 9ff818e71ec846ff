#!/usr/bin/env python3
"""Abuse from one address: 10,000 connections, over the limit and within it, half-open ones, slow
writers, clients that do not read. The daemons answer properly, their memory is bounded, and others
are served."""
import pathlib
import poplib
import resource
import smtplib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

PASSWORD = "secret-secret"
MANY = 10000
PER_ADDRESS = 50
CONF = (f"connections-per-address {PER_ADDRESS}\n")
MEMORY_MAX = 16 << 20  # of one daemon's processes, beyond what they had
IDLE_MAX = 4096  # of a connection that was greeted: 2 KiB, and the RSS of shared pages


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


def many_connections(suite, tap, daemon, kind, busy):
    """All of them are open before the first answer is read."""
    before = rss(suite, daemon)
    socks = [connected(suite, kind) for _ in range(MANY)]
    first = [answer(s) for s in socks]
    refused = sum(line.startswith(busy) for line in first)
    problems = served(suite)
    grown = rss(suite, daemon) - before
    for s in socks:
        s.close()
    tap.note(f"{daemon}: {refused} refused with {busy.decode()}, {grown >> 10} KiB more memory")
    if refused != MANY - PER_ADDRESS:
        odd = sorted({bytes(line) for line in first if not line.startswith(busy)})[:5]
        problems.append(f"{refused} of {MANY - PER_ADDRESS} were refused; also: {odd}")
    if grown > MEMORY_MAX:
        problems.append(f"{daemon} grew by {grown} bytes")
    return problems


def connected(suite, kind, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", suite.ports[kind]), 20, (source, 0))


def answer(sock):
    try:
        return sock.recv(200)
    except OSError as e:
        return repr(e).encode()


def all_admitted(suite, tap, daemon, kind, greeting):
    """Where the administrator sets no limit for an address, each has its greeting, and little
    memory."""
    before = rss(suite, daemon)
    socks = [connected(suite, kind) for _ in range(MANY)]
    greeted = sum(answer(s).startswith(greeting) for s in socks)
    problems = served(suite)
    each = (rss(suite, daemon) - before) // MANY
    for s in socks:
        s.close()
    tap.note(f"{daemon}: {greeted} greeted, {each} bytes each")
    problems += [] if greeted == MANY else [f"{greeted} of {MANY} were greeted"]
    sanitized = BUILD.name == "san"
    return problems + ([] if sanitized or each <= IDLE_MAX else [f"a connection costs {each} bytes"])


def slow_writers(suite, tap):
    """A byte at a time, on all the connections that an address may have: commands and messages.
    Others are served meanwhile, and whoever comes to an end in time has a proper reply. (Who does
    not is sent home: t/wire/smtpd_limits.t.)"""
    before = rss(suite, "smtpd")
    socks = [connected(suite, "smtp") for _ in range(PER_ADDRESS)]
    problems = []

    def drip(text, want):
        for byte in text:
            for s in socks:
                s.sendall(bytes([byte]))
            time.sleep(0.01)
        got = {answer(s)[:3] for s in socks}
        problems.extend([] if got == {want} else [f"{text!r} was answered with {got}"])

    for s in socks:
        answer(s)
    drip(b"HELO slow\r\n", b"250")
    drip(b"MAIL FROM:<x@a.test>\r\n", b"250")
    drip(b"RCPT TO:<bob@b.test>\r\n", b"250")
    problems += served(suite)
    drip(b"DATA\r\n", b"354")
    drip(b"Subject: slow\r\n\r\n" + b"..slow\r\n" * 10 + b".\r\n", b"250")
    grown = rss(suite, "smtpd") - before
    for s in socks:
        s.close()
    tap.note(f"smtpd: {grown >> 10} KiB more memory")
    return problems + ([f"smtpd grew by {grown} bytes"] if grown > MEMORY_MAX else [])


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
    tap = Tap(9)
    suite = Supervised(["smtpd", "pop3d"], conf={"smtpd": CONF, "pop3d": CONF})
    try:
        suite.account("bob@b.test", PASSWORD)
        tap.test("10,000 SMTP connections from one address", many_connections, suite, tap,
                 "smtpd", "smtp", b"421")
        tap.test("10,000 POP3 connections from one address", many_connections, suite, tap,
                 "pop3d", "pop3", b"-ERR")
        tap.test("slow writers", slow_writers, suite, tap)
        tap.test("a client that does not read", no_reader, suite)
        tap.test("half-open connections and silent TLS", half_open, suite)
    finally:
        problems = suite.close()
    tap.ok(not problems, "the suite ends cleanly", "\n".join(problems))
    open_door = "connections-per-address 0\nconnections 12000\n"
    suite = Supervised(["smtpd", "pop3d"], conf={"smtpd": open_door, "pop3d": open_door})
    try:
        suite.account("bob@b.test", PASSWORD)
        tap.test("10,000 SMTP connections that may come", all_admitted, suite, tap, "smtpd", "smtp",
                 b"220")
        tap.test("10,000 POP3 connections that may come", all_admitted, suite, tap, "pop3d",
                 "pop3", b"+OK")
    finally:
        problems = suite.close()
    tap.ok(not problems, "that suite ends cleanly", "\n".join(problems))
    tap.done()


main()
