#!/usr/bin/env python3
"""Acknowledged means durable: what was answered 250 is in the mailbox, whole and once, whatever
is killed at whatever moment, with a full disk, and when a call on the store's files fails. Our own
client and Postfix's smtp-source write at the same time.

HAMLET_COUNT kills (20; 500 with HAMLET_LONG), HAMLET_SEED repeats a run.
"""
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "bench")]
import load  # noqa: E402
import peers  # noqa: E402
from suite import Suite, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

COUNT = int(os.environ.get("HAMLET_COUNT", "500" if os.environ.get("HAMLET_LONG") else "20"))
SEED = int(os.environ.get("HAMLET_SEED", time.time_ns() % 1000000))
PASSWORD = "secret-secret"
BOXES = ["bob@b.test", "carol@b.test", "dave@a.test"]
MANY = COUNT > 100  # then the writers pause, so that the mailboxes can be compared in minutes
KILLED = ["stored", "stored", "smtpd", "hamletd"]


def start_senders(suite, count, label, pause=0.0):
    stop = threading.Event()
    senders = [load.Sender(suite.ports["smtp"], f"{label}{i}", BOXES, stop, pause=pause)
               for i in range(count)]
    for s in senders:
        s.start()
    return senders, stop


def start_sources(suite, binary, stop):
    """One smtp-source for each mailbox: it sends to one recipient at a time."""
    sources = [load.SmtpSource(binary, peers.environment(), suite.dir, suite.ports["smtp"], box,
                               stop, 1 if MANY else 0) for box in BOXES]
    for s in sources:
        s.start()
    return sources


def end_senders(senders, stop):
    stop.set()
    for s in senders:
        s.join(60)
    return sum(len(s.acked) for s in senders)


def new_suite(**more):
    limits = "connections-per-address 1000\n"
    suite = Supervised(["smtpd", "pop3d"], conf={"smtpd": limits, "pop3d": limits}, **more)
    for box in BOXES:
        suite.account(box, PASSWORD)
    return suite


def kill_one(suite, name):
    if name == "hamletd":
        suite.hamletd.kill()
        suite.hamletd.wait()
        suite.start_hamletd()
        return
    for pid in suite.pids(name):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Kills:
    """One run of kills with all writers; then what each kind of writer was promised."""

    def __init__(self, tap, binary):
        self.tap, self.own, self.sources = tap, [], []
        self.found = {"own": [], "sources": []}
        rng = random.Random(SEED)
        suite = new_suite(processes={"smtpd": 2})
        try:
            self.own, stop = start_senders(suite, 6, f"k{SEED}y", 0.1 if MANY else 0.0)
            self.sources = start_sources(suite, binary, stop) if binary else []
            self.kill(suite, rng)
            for kind, senders in (("own", self.own), ("sources", self.sources)):
                if senders:
                    before = sum(len(s.acked) for s in senders)
                    time.sleep(1)  # it still works
                    if sum(len(s.acked) for s in senders) <= before:
                        self.found[kind].append("nothing was accepted after the last kill")
            end_senders(self.own + self.sources, stop)
            self.compare(suite)
        finally:
            for p in suite.close():
                tap.note(p)

    def kill(self, suite, rng):
        for i in range(COUNT):
            time.sleep(rng.uniform(0.02, 0.5))
            kill_one(suite, rng.choice(KILLED))
            if i % 50 == 49:
                self.tap.note(f"{i + 1} kills, acknowledged: {self.acked(self.own)}, "
                              f"smtp-source {self.acked(self.sources)}")
        suite.wait_ready()
        time.sleep(0.5)

    @staticmethod
    def acked(senders):
        return sum(len(s.acked) for s in senders)

    def compare(self, suite):
        boxes = load.mailboxes(BOXES, suite.ports["pop3"], PASSWORD)
        for kind, senders in (("own", self.own), ("sources", self.sources)):
            self.found[kind] += load.compare_boxes(senders, boxes)
            self.tap.note(f"seed {SEED}, {COUNT} kills, {kind}: {self.acked(senders)} "
                          f"acknowledged, {sum(s.broken for s in senders)} times cut off, "
                          f"{sum(s.refused for s in senders)} times refused for now")
        stored = sum(len(seen) for seen, _ in boxes.values())
        self.tap.note(f"{stored} messages in the mailboxes")
        self.found["own"] += suite.ctl("check").splitlines()

    def result(self, kind):
        return self.found[kind]


def mount(suite, size):
    store = suite.dir / "store"
    store.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", store], check=True)


class SmallDisk(Supervised):
    """The store's folder is a small disk of its own."""

    def start_all(self):
        mount(self, "24m")
        super().start_all()

    def close(self):
        problems = super().close()
        subprocess.run(["umount", "-l", self.dir / "store"], check=False)
        return problems


def full_disk(tap):
    suite = SmallDisk(["smtpd", "pop3d"])
    try:
        for box in BOXES:
            suite.account(box, PASSWORD)
        senders, stop = start_senders(suite, 4, "d")
        end = time.monotonic() + 60
        while time.monotonic() < end and sum(s.refused for s in senders) < 20:
            time.sleep(0.1)
        refused = sum(s.refused for s in senders)
        full = sum(len(s.acked) for s in senders)
        subprocess.run(["mount", "-o", "remount,size=200m", suite.dir / "store"], check=True)
        time.sleep(3)
        acked = end_senders(senders, stop)
        tap.note(f"{full} acknowledged until full, {refused} refused, {acked} after more room")
        problems = [] if refused >= 20 else ["the disk did not become full"]
        problems += [] if acked > full else ["nothing was accepted when there was room again"]
        problems += load.compare(senders, suite.ports["pop3"], PASSWORD)
        findings = suite.ctl("check")
        return problems + ([findings] if findings else [])
    finally:
        for p in suite.close():
            tap.note(p)


# Failing calls on the store's files: early ones hit the accounts, later ones mail; with + all that
# follow fail as well. The database files proper are written by checkpoints only, which wait for a
# pause in the load. A call that fails once may leave nothing to refuse: it is tried again.
FAULTS = ["fsync@wal:25", "write@wal:120", "torn@wal:150", "kill@wal:200", "fsync@seg:3",
          "write@seg:4", "torn@seg:5", "kill@seg:6", "full@wal:100", "full@seg:3",
          "full@wal:100+", "full@seg:3+", "fsync@db:1", "write@db:2"]
REFUSES = ["fsync@wal:25", "write@wal:120", "fsync@seg:3", "write@seg:4", "full@wal:100+",
           "full@seg:3+"]


class Fault:
    """stored alone, so that its end can be seen; it is started again without the fault."""

    def __init__(self, spec):
        self.suite = Suite(["smtpd", "pop3d"], conf={"smtpd": "connections-per-address 1000\n"})
        self.spec, self.senders, self.stop = spec, [], None
        for box in BOXES:
            self.suite.account(box, PASSWORD)

    def fired(self):
        return self.stored.poll() == -signal.SIGKILL or \
            "fault-injected" in (self.suite.dir / "stored.log").read_text()

    def wait_fired(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.fired():
            time.sleep(0.02)
        return self.fired()

    def load(self):
        more, self.stop = start_senders(self.suite, 4, f"f{len(self.senders)}y")
        self.senders += more

    def acked(self):
        return sum(len(s.acked) for s in self.senders)

    def run(self, tap):
        suite = self.suite
        suite.stop("stored")
        suite.fault = self.spec
        suite.start("stored")
        self.stored = suite.processes.pop("stored")
        for _ in range(10):
            self.load()
            if self.wait_fired(1):
                break
            end_senders(self.senders, self.stop)
            if self.wait_fired(0.6):
                self.load()
                break
        hit = self.fired()
        time.sleep(0.7)  # what it says with the fault behind it, or at it
        ended = self.stored.poll() is not None
        if not ended:
            self.stored.send_signal(signal.SIGTERM)
            self.stored.wait(20)
        suite.fault = None
        suite.start("stored")
        before = self.acked()
        time.sleep(1)
        acked = end_senders(self.senders, self.stop)
        refused = sum(s.refused for s in self.senders)
        tap.note(f"{self.spec}: stored {'stopped' if ended else 'went on'}, {before} "
                 f"acknowledged, {refused} refused, {acked - before} more after the restart")
        problems = [] if hit else ["no call failed: the test shows nothing"]
        problems += ["nothing was refused"] if self.spec in REFUSES and not refused else []
        problems += [] if acked > before else ["nothing was accepted after the restart"]
        problems += load.compare(self.senders, suite.ports["pop3"], PASSWORD)
        return problems + suite.ctl("check").splitlines()


def one_fault(tap, spec):
    fault = Fault(spec)
    try:
        return fault.run(tap)
    finally:
        for p in fault.suite.close():
            tap.note(p)


def kill_tests(tap):
    try:
        binary, why = peers.smtp_source(), ""
    except (RuntimeError, OSError) as e:
        binary, why = None, str(e)
    own = f"{COUNT} kills lose, tear and double nothing"
    theirs = f"{COUNT} kills lose, tear and double nothing of smtp-source's, at the same time"
    try:
        run = Kills(tap, binary)
    except Exception:  # a test's own failure is a failed test
        tap.ok(False, own, traceback.format_exc())
        tap.ok(False, theirs, "see above")
        return
    tap.test(own, run.result, "own")
    if binary:
        tap.test(theirs, run.result, "sources")
    else:
        tap.skip(theirs, f"smtp-source cannot be had: {why}")


def main():
    is_root = os.geteuid() == 0
    if is_root and "HAMLET_OWN_MOUNTS" not in os.environ:
        os.environ["HAMLET_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])
    tap = Tap(3 + len(FAULTS))
    kill_tests(tap)
    if is_root:
        tap.test("a full disk refuses, loses nothing, and goes on with more room", full_disk, tap)
    else:
        tap.skip("a full disk", "mounting one needs root")
    for spec in FAULTS:
        tap.test(f"fault {spec}", one_fault, tap, spec)
    tap.done()


main()
