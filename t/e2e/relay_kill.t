#!/usr/bin/env python3
"""Mail leaves while everything is killed: what was acknowledged reaches its peers, and twice only
what was under way when something died. Then a long queue: listed, flushed and drained in memory
that does not grow with it.

HAMLET_COUNT kills (8; 200 with HAMLET_LONG), HAMLET_SEED repeats a run; HAMLET_QUEUED messages (2000;
100000 with HAMLET_LONG).
"""
import os
import pathlib
import random
import signal
import smtplib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from peer import Peer  # noqa: E402
from sending import WAIT, Sender, subject, text_of, until  # noqa: E402
from suite import Suite, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

LONG = bool(os.environ.get("HAMLET_LONG"))
COUNT = int(os.environ.get("HAMLET_COUNT", "200" if LONG else "8"))
SEED = int(os.environ.get("HAMLET_SEED", time.time_ns() % 1000000))
QUEUED = int(os.environ.get("HAMLET_QUEUED", "100000" if LONG else "2000"))
# What they may have more at the end: a fraction of what the messages are; stored keeps 32 MiB of
# its database.
MORE_KIB = {"smtpd": 8192, "stored": 16384 if QUEUED < 5000 else 49152}
PASSWORD = "secret-alice"
DOMAINS = [f"b{i}.test" for i in range(4)]
CONNECTIONS, PROCESSES = 3, 2
KILLED = ["smtpd", "smtpd", "stored", "hamletd"]
END = 120
DNS = "dns {\n\tserver 127.0.0.1:9\n\tdeadline 1s\n}\n"


class Writer(threading.Thread):
    """Submits until it is stopped; each message to one, two or three of the domains."""

    def __init__(self, suite, label, stop):
        super().__init__(daemon=True)
        self.sender, self.label, self.stop = Sender(suite), label, stop
        self.rng = random.Random(f"{SEED}{label}")
        self.acked = []  # (name, domain)
        self.session = None

    def submit(self, name, domains):
        if self.session is None:
            self.session = self.sender.login()
        self.session.sendmail("alice@a.test", [f"x@{d}" for d in domains], text_of(name))

    def run(self):
        n = 0
        while not self.stop.is_set():
            n += 1
            name = f"{self.label}.{n}"
            domains = self.rng.sample(DOMAINS, self.rng.randint(1, 3))
            try:
                self.submit(name, domains)
                self.acked += [(name, d) for d in domains]
            except (OSError, smtplib.SMTPException):
                self.session = None
            time.sleep(0.05)


def moody(rng, lock):
    """The reply to the content, in the end a good one."""
    def step(_peer, _session, _line):
        with lock:
            mood, pause = rng.random(), rng.uniform(0, 0.05)
        time.sleep(pause)
        if mood < 0.05:
            return "451 4.3.0 not in the mood"
        return "250 2.0.0 taken"
    return step


class Kills:
    def __init__(self):
        rng, lock = random.Random(SEED), threading.Lock()
        self.rng = rng
        self.peers = {d: Peer() for d in DOMAINS}
        for p in self.peers.values():
            p.say("content", moody(rng, lock))
        routes = "".join(f"route {d} {{\n\thost 127.0.0.1 {p.port}\n\ttls none\n"
                         f"\tconnections {CONNECTIONS}\n}}\n" for d, p in self.peers.items())
        self.suite = Supervised(
            ["smtpd"], processes={"smtpd": PROCESSES},
            conf={"smtpd": DNS + "relay {\n\tlease 10s\n}\nroute * {\n\tretry-first 1s\n"
                  "\tretry-longest 1s\n}\n" + routes, "stored": "send-limit 0"})
        self.suite.account("alice@a.test", PASSWORD)
        self.deaths = []  # when smtpd died, or time passed at once: a lease may be another's

    def kill(self, name):
        if name != "stored":
            self.deaths.append(time.monotonic())
        if name == "hamletd":
            self.suite.hamletd.kill()
            self.suite.hamletd.wait()
            self.suite.start_hamletd()
            return
        for pid in self.suite.pids(name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def arrivals(self):
        """(name, domain) -> when it was taken."""
        found = {}
        for d, p in self.peers.items():
            for m in list(p.messages):
                found.setdefault((subject(m), d), []).append(m.at)
        return found

    def run(self, tap):
        stop = threading.Event()
        writers = [Writer(self.suite, f"w{i}", stop) for i in range(3)]
        for w in writers:
            w.start()
        for _ in range(COUNT):
            time.sleep(self.rng.uniform(0.05, 0.6))
            self.kill(self.rng.choice(KILLED))
        self.suite.wait_ready()
        time.sleep(0.5)
        stop.set()
        for w in writers:
            w.join(60)
        acked = {a for w in writers for a in w.acked}
        self.come(acked)
        return self.problems(acked, tap)

    def come(self, acked):
        """The leases of the dead run out. Time passes at once when nothing comes any more."""
        end, last, since = time.monotonic() + END, -1, 0.0
        while time.monotonic() < end:
            n = sum(len(p.messages) for p in self.peers.values())
            if acked <= self.arrivals().keys():
                return
            if n != last:
                last, since = n, time.monotonic()
            elif time.monotonic() > since + 2:
                self.deaths.append(time.monotonic())
                self.suite.move_clock(11)
                since = time.monotonic()
            time.sleep(0.1)

    def problems(self, acked, tap):
        came = self.arrivals()
        twice = {k: sorted(v) for k, v in came.items() if len(v) > 1}
        tap.note(f"seed {SEED}, {COUNT} kills: {len(acked)} acknowledged, {len(came)} came, "
                 f"{len(twice)} of them more than once")
        problems = [f"lost: {a}" for a in sorted(acked - came.keys())]
        of_death = {}
        for key, times in twice.items():
            for first, second in zip(times, times[1:]):
                after = [d for d in self.deaths if first - 0.2 <= d <= second]
                if after:
                    of_death[after[0]] = of_death.get(after[0], 0) + 1
                else:
                    problems.append(f"{key} came twice and smtpd had not died")
        most = CONNECTIONS * len(DOMAINS) * PROCESSES
        problems += [f"{n} came twice by one death" for n in of_death.values() if n > most]
        return problems + self.rest()

    def rest(self):
        """Nothing is left in the queue, and the store is sound."""
        until("the queue is empty", lambda: not self.suite.ctl("--json", "queue", "list"), 60)
        return self.suite.ctl("check").splitlines()


def killed(tap):
    kills = Kills()
    try:
        return kills.run(tap)
    finally:
        for p in kills.suite.close():
            tap.note(p)


class LongQueue:
    """Messages of 16 KiB that are refused for an hour, and then taken."""

    def __init__(self, tap):
        self.tap, self.peer = tap, Peer()
        self.peer.say("MAIL", "451 4.3.0 in an hour")
        self.suite = Suite(["smtpd"], conf={
            "smtpd": DNS + "relay {\n\tletters 100\n\tmemory 8M\n}\n"
            f"route b.test {{\n\thost 127.0.0.1 {self.peer.port}\n\ttls none\n"
            "\tretry-first 4h\n}\n", "stored": "send-limit 0"})
        self.suite.account("alice@a.test", PASSWORD)

    def peak(self):
        """The most KiB that smtpd and stored have had."""
        out = {}
        for name in ("smtpd", "stored"):
            text = pathlib.Path(f"/proc/{self.suite.processes[name].pid}/status").read_text()
            out[name] = int(text.split("VmHWM:")[1].split()[0])
        return out

    def sanitized(self, name):
        """Freed memory stays with a sanitizer."""
        return "asan" in pathlib.Path(f"/proc/{self.suite.processes[name].pid}/maps").read_text()

    def submit(self, count, label):
        body = b"x" * 70 + b"\r\n"

        def some(k):
            sender = Sender(self.suite)
            c = sender.login()
            for n, i in enumerate(range(k, count, 4)):
                if n % 900 == 899:  # a session takes no more than a thousand
                    c.quit()
                    c = sender.login()
                c.sendmail("alice@a.test", ["x@b.test"], text_of(f"{label}.{i}") + body * 225)
            c.quit()

        threads = [threading.Thread(target=some, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def listed(self):
        return len(self.suite.ctl("--json", "queue", "list").splitlines())

    def tried(self, n):
        until("all are tried", lambda: sum(line.startswith("MAIL") for line in self.peer.lines) >= n,
              20 + QUEUED / 50)

    def run(self):
        few = QUEUED // 4
        self.submit(few, "few")
        self.tried(few)
        problems = [] if self.listed() == few else [f"{self.listed()} listed, not {few}"]
        before = self.peak()
        self.submit(QUEUED - few, "many")
        self.tried(QUEUED)
        problems += [] if self.listed() == QUEUED else [f"{self.listed()} listed"]
        self.peer.forget()
        self.suite.ctl("queue", "flush", "--all")
        self.peer.wait(QUEUED, 20 + QUEUED / 50)
        until("the queue is empty", lambda: self.listed() == 0, 60)
        after = self.peak()
        self.tap.note(f"KiB at {few}: {before}, at {QUEUED}: {after}")
        problems += [f"{name} grew" for name in after if after[name] > before[name] + MORE_KIB[name]
                     and not self.sanitized(name)]
        names = [subject(m) for m in self.peer.messages]
        if len(set(names)) != QUEUED or len(names) != QUEUED:
            problems.append(f"{len(names)} came, {len(set(names))} different ones")
        return problems


def long_queue(tap):
    q = LongQueue(tap)
    try:
        return q.run()
    finally:
        for p in q.suite.close():
            tap.note(p)


def main():
    tap = Tap(2)
    tap.test(f"{COUNT} kills lose nothing, and double only what was under way", killed, tap)
    tap.test("a long queue is listed, flushed and drained in bounded memory", long_queue, tap)
    tap.done()


main()
