#!/usr/bin/env python3
"""A company and other people's mail servers, each on a host of its own: Postfix, Exim and
smtp-sink get mail from hamlet and send some, byte for byte."""
import os
import pathlib
import re
import smtplib
import sys
import threading
import traceback

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "bench")]
import load  # noqa: E402
import mtas  # noqa: E402
import netns  # noqa: E402
from arrived import came_by, differ, notices  # noqa: E402
from company import Company, Names, Submitter, wait_for  # noqa: E402
from mtas import Sink  # noqa: E402
from tap import Tap  # noqa: E402

COUNT = 500 if os.environ.get("HAMLET_LONG") else 20
A, POSTFIX, EXIM, SINK, INTERNET = 1, 3, 4, 5, 53
NAMES = {"a": A, "postfix": POSTFIX, "exim": EXIM, "sink": SINK}
ZONE = "$ORIGIN test.\n" + "".join(f"{n} MX 10 mail.{n}\nmail.{n} A {netns.v4(i)}\n"
                                   for n, i in NAMES.items())


class World:
    def __init__(self, wire):
        self.hosts = {name: wire.host(name, i) for name, i in NAMES.items()}
        self.running = [Names(wire.host("internet", INTERNET), netns.v4(INTERNET), {"test": ZONE})]
        try:
            conf = {"smtpd": f"dns {{ server {netns.v4(INTERNET)} }}\n",
                    "stored": "send-limit 0\n"}
            self.a = Company(self.hosts["a"], "a.test", conf=conf)
            self.running.append(self.a)
            self.a.people("alice")
        except BaseException:
            self.close()
            raise

    def server(self, kind, name):
        """Starts Postfix or Exim as the server of NAME.test."""
        s = kind(self.hosts[name], netns.v4(NAMES[name]), f"{name}.test", netns.v4(INTERNET))
        self.running.append(s)
        return s

    def test(self, tap, name, fn, *args):
        """What a failed one has left is not in the way of the next."""
        if not tap.test(name, fn, self, *args):
            tap.note(self.a.log("hamletd"))
            self.a.clean("alice")

    def close(self):
        return [p for r in reversed(self.running) for p in r.close() or []]


def to_us(w, server, name):
    """bob's server is given mail for alice, and brings it."""
    sent = [load.message(f"{name}{i}") for i in range(COUNT)]
    with w.hosts[name]:
        s = smtplib.SMTP(netns.v4(NAMES[name]), 25, timeout=60)
    with s:
        for text in sent:
            s.sendmail(f"bob@{name}.test", ["alice@a.test"], text)
    got = w.a.arrives("alice", len(sent))
    problems = [p for mail in got for p in came_by(mail, "mail.a.test", "ESMTPS")]
    return (problems + differ(sent, got))[:10]


def submit(w, label, to, count):
    """alice sends messages on one connection; returns them."""
    s = Submitter(w.a, "alice@a.test", label, to, threading.Event(), most=count)
    s.run()
    if len(s.acked) != count:
        raise RuntimeError(f"{len(s.acked)} of {count} acknowledged: {s.wrong}")
    return [load.message(token) for token in s.acked]


def from_us(w, server, name):
    """alice writes to bob."""
    sent = submit(w, name, [f"bob@{name}.test"], COUNT)
    wait_for("all is there", lambda: len(server.mails()) >= COUNT)
    w.a.emptied()
    got = server.mails()
    problems = differ(sent, got)
    problems += [f"without TLS: {m[:500]!r}" for m in got
                 if not re.search(server.by_tls, m.partition(b"\r\n\r\n")[0])]
    return problems[:10]


def unknown(w, server, name):
    """There is no such user there, which alice is told of."""
    who = f"nobody@{name}.test"
    w.a.submit("alice@a.test", [who], load.message("nobody"))
    return notices(w.a, "alice", 1)[who].wrong("failed", who, r"5\.\d\.\d+")


def sink(w):
    """smtp-sink, which sees everything as it is on the wire."""
    with Sink(w.hosts["sink"], netns.v4(SINK)) as server:
        sent = submit(w, "sink", ["x@sink.test"], 5 * COUNT)
        wait_for("all is there", lambda: len(server.mails()) >= len(sent))
        w.a.emptied()
        return differ(sent, server.mails())[:10]


def bad_sink(w, *words):
    """It refuses for now, or hangs up; what it did not acknowledge goes to it again, and once."""
    with Sink(w.hosts["sink"], netns.v4(SINK), *words):
        sent = submit(w, f"bad{words[1]}", ["x@sink.test"], 5)
        rows = w.a.deferred(5)
    with Sink(w.hosts["sink"], netns.v4(SINK)) as server:
        w.a.ctl("queue", "flush", "--all")
        wait_for("all is there", lambda: len(server.mails()) >= len(sent))
        w.a.emptied()
        return differ(sent, server.mails()) + [f"no reason: {r}" for r in rows if not r["text"]]


NEIGHBOUR = [
    (f"brings {COUNT} messages", to_us),
    (f"gets {COUNT} messages, by TLS", from_us),
    ("does not know a user", unknown),
]
SINKS = [
    (f"smtp-sink gets {5 * COUNT} messages", sink, ()),
    ("smtp-sink refuses RCPT for now", bad_sink, ("-r", "rcpt")),
    ("smtp-sink refuses the content for now", bad_sink, ("-r", ".")),
    ("smtp-sink hangs up at DATA", bad_sink, ("-q", "data")),
    ("smtp-sink hangs up at the end of the content", bad_sink, ("-q", ".")),
]
SERVERS = [(mtas.Postfix, "postfix"), (mtas.Exim, "exim")]


def neighbour(tap, w, kind, name):
    """The cases of one of them."""
    server, why = None, ""
    try:
        server = w.server(kind, name)
    except Exception:  # a test's own failure is a failed test
        why = traceback.format_exc()
    for case, fn in NEIGHBOUR:
        if server:
            w.test(tap, f"{kind.__name__} {case}", fn, server, name)
        else:
            tap.ok(False, f"{kind.__name__} {case}", why)


def main():
    names = [f"{kind.__name__} {case}" for kind, _ in SERVERS for case, _ in NEIGHBOUR]
    names += [case for case, _, _ in SINKS] + ["everything ends cleanly"]
    why = "" if os.geteuid() == 0 else "Postfix and Exim need root"
    try:
        if not why:
            mtas.unpack()  # while there is a network
            netns.enter()
            wire = netns.Wire()
    except (netns.Refused, RuntimeError, OSError) as e:
        why = str(e).splitlines()[0]
    tap = Tap(len(names))
    if why:
        for name in names:
            tap.skip(name, why)
        tap.done()
    w = World(wire)
    try:
        for kind, name in SERVERS:
            neighbour(tap, w, kind, name)
        for name, fn, words in SINKS:
            w.test(tap, name, fn, *words)
    finally:
        problems = w.close()
    tap.test("everything ends cleanly", lambda: problems)
    tap.done()


main()
