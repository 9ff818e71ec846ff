#!/usr/bin/env python3
"""A company and other people's mail servers, each on a host of its own: Postfix, Exim and
smtp-sink get mail from hamlet and send some, byte for byte."""
import os
import pathlib
import smtplib
import sys
import traceback

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "bench")]
import load  # noqa: E402
import mtas  # noqa: E402
import netns  # noqa: E402
import peers  # noqa: E402
from arrived import came_by, differ  # noqa: E402
from company import Company, Names  # noqa: E402
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
            self.a = Company(self.hosts["a"], "a.test")
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

    def close(self):
        return [p for r in reversed(self.running) for p in r.close() or []]


def to_us(w, name):
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


def neighbour(tap, w, kind, name):
    """The cases of one of them."""
    cases = [(f"{kind.__name__} brings {COUNT} messages", to_us)]
    try:
        w.server(kind, name)
    except Exception:  # a test's own failure is a failed test
        for case, _ in cases:
            tap.ok(False, case, traceback.format_exc())
        return
    for case, fn in cases:
        tap.test(case, fn, w, name)


def main():
    plan = 3
    why = "" if os.geteuid() == 0 else "Postfix and Exim need root"
    try:
        if not why:
            peers.nsd()
            mtas.unpack()  # while there is a network
            netns.enter()
            wire = netns.Wire()
    except (netns.Refused, RuntimeError, OSError) as e:
        why = str(e).splitlines()[0]
    tap = Tap(plan)
    if why:
        for i in range(plan):
            tap.skip(f"mail between us and others, {i + 1}", why)
        tap.done()
    w = World(wire)
    try:
        neighbour(tap, w, mtas.Postfix, "postfix")
        neighbour(tap, w, mtas.Exim, "exim")
    finally:
        problems = w.close()
    tap.test("everything ends cleanly", lambda: problems)
    tap.done()


main()
