#!/usr/bin/env python3
"""Mail leaves: one suite, and mail servers that follow a script. What is delivered, what is tried
again and when, what the queue shows, and that no crash, restart or drain loses a message or, where
it need not, delivers one twice."""
import os
import pathlib
import re
import signal
import smtplib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from peer import DROP, Peer  # noqa: E402
from sending import (WAIT, Sender, rows, settled, state, subject, text_of,  # noqa: E402
                     until)
from suite import Suite, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

PASSWORD = "secret-alice"
STEPS = ["banner", "EHLO", "MAIL", "RCPT", "DATA", "content"]
peers = {}


def route(domain, more=""):
    """A peer for the domain, and its block of smtpd.conf."""
    peers[domain] = Peer()
    return f"route {domain} {{\n\thost 127.0.0.1 {peers[domain].port}\n\ttls none\n{more}}}\n"


def conf():
    steps = "".join(route(f"{step}.test".lower()) for step in STEPS)
    peers["data.test"].extensions.remove("CHUNKING")  # else there is no DATA
    return ("relay {\n\tlease 10s\n}\ndns {\n\tserver 127.0.0.1:9\n\tdeadline 1s\n}\n"
            + route("b.test") + route("one.test", "\tconnections 1\n")
            + route("dead.test") + steps)


# --- tests of one suite; each has its own messages
def byte_for_byte(suite, sender):
    body = (b"." + b"\r\n..\r\n.\r\n" + b"x" * 990 + b"\r\n" + "äöü\r\n".encode() + b"\r\n" * 3
            + b"".join(b"line %d\r\n" % i for i in range(30000)) + b"last\r\n")
    mid = sender.submit(text_of("bytes") + body, "x@b.test", options=["BODY=8BITMIME"])
    m = peers["b.test"].wait(1)[-1]
    settled(suite, mid)
    problems = []
    if not m.content.endswith(text_of("bytes") + body):
        problems.append(f"{len(m.content)} octets came, not the ones that were sent")
    if not m.content.startswith(b"Received: from client.test"):
        problems.append(f"begins with {m.content[:100]}")
    if m.helo != "mail.a.test" or not m.sender.startswith("<alice@a.test>"):
        problems.append(f"{m.helo} {m.sender}")
    return problems


def one_transaction(suite, sender):
    peer = peers["b.test"]
    before = len(peer.messages)
    mid = sender.submit(text_of("many"), *[f"u{i}@b.test" for i in range(50)],
                        options=["ENVID=e1", "RET=HDRS"], rcpt_options=["NOTIFY=SUCCESS"])
    m = peer.wait(before + 1)[-1]
    settled(suite, mid)
    problems = [] if len(m.rcpts) == 50 else [f"{len(m.rcpts)} recipients"]
    if "ENVID=e1" not in m.sender or "RET=HDRS" not in m.sender \
            or "NOTIFY=SUCCESS" not in m.rcpts[0]:
        problems.append(f"{m.sender}, {m.rcpts[0]}")
    if any(r["state"] != "passed" for r in rows(suite, mid)):
        problems.append("the notice is not the next host's")
    return problems


def later(suite, sender):
    peer = peers["b.test"]
    before = len(peer.messages)
    peer.say("RCPT", "450 4.2.1 later please", times=1)
    mid = sender.submit(text_of("later"), "x@b.test")
    row = state(suite, mid, "due")[0]
    until("an attempt", lambda: rows(suite, mid)[0]["attempts"] == 1)
    row = rows(suite, mid)[0]
    problems = [] if (row["code"], row["status"]) == (450, "4.2.1") else [str(row)]
    time.sleep(0.5)
    if len(peer.messages) != before:
        problems.append("it was tried again at once")
    suite.move_clock(90)
    peer.wait(before + 1)
    settled(suite, mid)
    return problems


def refused(suite, sender):
    peer = peers["b.test"]
    peer.say("RCPT", "550 5.1.1 nobody of that name", match="who@")
    before = len(peer.messages)
    mid = sender.submit(text_of("refused"), "who@b.test", "x@b.test")
    peer.wait(before + 1)
    row = state(suite, mid, "failed")[0]
    peer.forget()
    problems = []
    if (row["code"], row["status"], row["host"]) != (550, "5.1.1", "127.0.0.1") \
            or "nobody of that name" not in row["text"]:
        problems.append(str(row))
    state(suite, mid, "passed")
    return problems


def held_and_flushed(suite, sender):
    peer = peers["b.test"]
    before = len(peer.messages)
    peer.say("content", "451 4.3.0 no", times=1)
    mid = sender.submit(text_of("held"), "x@b.test")
    until("an attempt", lambda: rows(suite, mid)[0]["attempts"] == 1)
    suite.ctl("queue", "hold", mid)
    suite.move_clock(300)
    time.sleep(2)
    problems = [] if len(peer.messages) == before else ["it was sent though it was held"]
    peer.say("content", "451 4.3.0 no", times=1)
    suite.ctl("queue", "release", mid)
    until("another attempt", lambda: rows(suite, mid)[0]["attempts"] == 2)
    suite.ctl("queue", "flush", mid)
    peer.wait(before + 1)
    settled(suite, mid)
    return problems


def flushed_though_it_was_dead(suite, sender):
    """A destination that answered nothing is tried at once when the administrator says so."""
    peer = peers["dead.test"]
    before = len(peer.messages)
    peer.say("banner", "421 4.3.2 closed", times=1)
    mid = sender.submit(text_of("dead"), "x@dead.test")
    until("an attempt", lambda: rows(suite, mid)[0]["attempts"] == 1)
    suite.ctl("queue", "flush", mid)
    peer.wait(before + 1)
    settled(suite, mid)
    return []


def killed(suite, sender):
    """The peer has the message, and we die before its reply: it is sent again."""
    peer = peers["b.test"]
    before = len(peer.messages)
    held = peer.hold("content", then=DROP)
    mid = sender.submit(text_of("killed"), "x@b.test")
    if not held.reached.wait(WAIT):
        return ["it was not sent"]
    suite.stop("smtpd", signal.SIGKILL)
    suite.start("smtpd")
    held.set()
    time.sleep(1)
    problems = [] if len(peer.messages) == before else ["it was sent while the lease was running"]
    suite.move_clock(11)
    peer.wait(before + 1)
    settled(suite, mid)
    return problems


def killed_at_each_step(suite, sender):
    """Every peer keeps us waiting at another step when we die."""
    held, mids = [], []
    for step in STEPS:
        held.append(peers[f"{step}.test".lower()].hold(step, then=DROP))
        mids.append(sender.submit(text_of(step), f"x@{step}.test"))
    problems = [f"{step} was not reached" for step, h in zip(STEPS, held)
                if not h.reached.wait(WAIT)]
    suite.stop("smtpd", signal.SIGKILL)
    suite.start("smtpd")
    for h in held:
        h.set()
    suite.move_clock(11)
    for mid in mids:
        settled(suite, mid)
    for step in STEPS:
        n = len(peers[f"{step}.test".lower()].messages)
        problems += [] if n == 1 else [f"killed at {step}: {n} messages"]
    return problems


def store_away(suite, sender):
    """What was delivered while the store was away is not delivered again."""
    peer = peers["b.test"]
    before = len(peer.messages)
    held = peer.hold("content")
    mid = sender.submit(text_of("away"), "x@b.test")
    if not held.reached.wait(WAIT):
        return ["it was not sent"]
    suite.stop("stored", signal.SIGKILL)
    held.set()
    peer.wait(before + 1)
    suite.start("stored")
    settled(suite, mid)
    suite.move_clock(60)
    time.sleep(1.5)
    n = len(peer.messages) - before
    return [] if n == 1 else [f"delivered {n} times"]


def drained(suite, sender):
    """A drain ends the letter under way and gives back what waits, as if it had never been had."""
    peer = peers["one.test"]
    before = len(peer.messages)
    held = peer.hold("content")
    mids = [sender.submit(text_of("drain0"), "x@one.test")]
    if not held.reached.wait(WAIT):
        return ["it was not sent"]
    mids += [sender.submit(text_of(f"drain{i}"), "x@one.test") for i in (1, 2)]
    state(suite, mids[2], "leased")
    process = suite.processes["smtpd"]
    process.send_signal(signal.SIGTERM)
    state(suite, mids[2], "due")
    problems = [f"{m}: an attempt counts" for m in mids[1:] if rows(suite, m)[0]["attempts"]]
    if process.poll() is not None:
        problems.append("it did not wait for the letter under way")
    held.set()
    if process.wait(WAIT) != 0:
        problems.append(f"ended with {process.returncode}")
    del suite.processes["smtpd"]
    settled(suite, mids[0])
    suite.start("smtpd")
    peer.wait(before + 3)
    for mid in mids:
        settled(suite, mid)
    names = sorted(subject(m) for m in peer.messages[before:])
    return problems + ([] if names == ["drain0", "drain1", "drain2"] else [str(names)])


def logged(suite, sender):
    text = (suite.dir / "smtpd.log").read_text()
    problems = []
    for event in ("delivered", "deferred", "failed"):
        lines = [t for t in text.splitlines() if f" {event} id=" in t]
        if not lines or not all(k in lines[0] for k in
                                (" to=", " host=", " code=", " status=", " reply=", " delay=")):
            problems.append(f"{event}: {lines[:1]}")
    return problems


# --- replaced again and again while mail is submitted
def holder(suite, port):
    """The smtpd that has a connection to the port."""
    for pid in suite.pids("smtpd"):
        table = [line.split() for line in
                 pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        ours = {f"socket:[{row[9]}]" for row in table if row[2].endswith(f":{port:04X}")}
        if ours & {os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}:
            return pid
    raise RuntimeError(f"no connection to port {port}")


def lost_leases(suite):
    return sum(map(int, re.findall(r"leases_lost_total\s+(\d+)",
                                   suite.ctl("daemon", "stats", "smtpd"))))


def lease_lost(suite):
    """A process that stood still until another one had its letter breaks off its transaction."""
    peer, sender = peers["data.test"], Sender(suite)
    before = len(peer.messages)
    held = peer.hold("DATA")
    mid = sender.submit(text_of("lost"), "x@data.test")
    if not held.reached.wait(WAIT):
        return ["it was not sent"]
    slow = holder(suite, peer.port)
    os.kill(slow, signal.SIGSTOP)
    try:
        suite.move_clock(11)
        peer.wait(before + 1)
    finally:
        os.kill(slow, signal.SIGCONT)
    until("the lease is lost", lambda: lost_leases(suite) == 1)
    held.set()
    settled(suite, mid)
    time.sleep(1)
    n = len(peer.messages) - before
    return [] if n == 1 else [f"delivered {n} times"]


def replaced(suite, tap):
    peer = peers["b.test"]
    before = len(peer.messages)
    stop, sent, problems = threading.Event(), [], []

    def submit(k):
        sender, n = Sender(suite), 0
        while not stop.is_set():
            n += 1
            name = f"r{k}.{n}"
            try:
                sender.submit(text_of(name), "x@b.test")
                sent.append(name)
            except smtplib.SMTPResponseException as e:
                if e.smtp_code != 421:  # sent home by the old process
                    problems.append(f"{name}: {e!r}")
            except RuntimeError as e:
                if ": 421 " not in str(e):
                    problems.append(f"{name}: {e!r}")

    threads = [threading.Thread(target=submit, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for _ in range(3):
        time.sleep(1)
        suite.ctl("daemon", "restart", "smtpd")
    stop.set()
    for t in threads:
        t.join(60)
    tap.note(f"{len(sent)} messages")

    def names():
        return [subject(m) for m in list(peer.messages)[before:]]

    # More may come than we know of: those whose QUIT met the drain.
    until("all came", lambda: set(sent) <= set(names()), 60)
    until("the counters", lambda: "relay_delivered" in suite.ctl("daemon", "stats", "smtpd"))
    came = names()
    twice = {n for n in came if came.count(n) > 1}
    return problems + ([f"twice: {twice}"] if twice else [])


def end(tap, suite, name):
    problems = suite.close()
    tap.ok(not problems, name, "\n".join(problems))


def main():
    tests = [("what was sent comes, byte for byte", byte_for_byte),
             ("many recipients are one transaction, with their notices", one_transaction),
             ("a refusal for now is tried again in its time", later),
             ("a refusal for good fails, and the queue shows why", refused),
             ("held, released, flushed", held_and_flushed),
             ("flushed though the destination was dead", flushed_though_it_was_dead),
             ("killed while a peer has the message", killed),
             ("killed at each step of a delivery", killed_at_each_step),
             ("the store is away when the reply comes", store_away),
             ("a drain gives back what waits", drained),
             ("what became of each is logged", logged)]
    tap = Tap(len(tests) + 4)
    suite = Suite(["smtpd"], conf={"smtpd": conf()})
    try:
        suite.account("alice@a.test", PASSWORD)
        sender = Sender(suite)
        for name, fn in tests:
            tap.test(name, fn, suite, sender)
    finally:
        end(tap, suite, "the suite ends cleanly")
    suite = Supervised(["smtpd"], conf={"smtpd": conf(), "stored": "send-limit 0"},
                       processes={"smtpd": 2})
    try:
        suite.account("alice@a.test", PASSWORD)
        tap.test("a letter whose lease was lost is withdrawn", lease_lost, suite)
        tap.test("jailed, and replaced while mail leaves", replaced, suite, tap)
    finally:
        end(tap, suite, "the supervised suite ends cleanly")
    tap.done()


main()
