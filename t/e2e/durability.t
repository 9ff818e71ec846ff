#!/usr/bin/env python3
"""Acknowledged means durable: what was answered 250 is in the mailbox, whole and once, whatever
is killed at whatever moment, and with a full disk.

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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import load  # noqa: E402
from suite import Suite, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

COUNT = int(os.environ.get("HAMLET_COUNT", "500" if os.environ.get("HAMLET_LONG") else "20"))
SEED = int(os.environ.get("HAMLET_SEED", time.time_ns() % 1000000))
PASSWORD = "secret-secret"
BOXES = ["bob@b.test", "carol@b.test", "dave@a.test"]
KILLED = ["stored", "stored", "smtpd", "hamletd"]


def start_senders(suite, count, label, most=100000):
    stop = threading.Event()
    senders = [load.Sender(suite.ports["smtp"], f"{label}{i}", BOXES, stop, most)
               for i in range(count)]
    for s in senders:
        s.start()
    return senders, stop


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


def kills(tap):
    rng = random.Random(SEED)
    suite = new_suite(processes={"smtpd": 2})
    try:
        senders, stop = start_senders(suite, 6, f"k{SEED}y")
        for i in range(COUNT):
            time.sleep(rng.uniform(0.02, 0.5))
            kill_one(suite, rng.choice(KILLED))
            if i % 50 == 49:
                tap.note(f"{i + 1} kills, {sum(len(s.acked) for s in senders)} acknowledged")
        suite.wait_ready()
        time.sleep(0.5)  # some more after the last kill: it still works
        before = sum(len(s.acked) for s in senders)
        time.sleep(1)
        acked = end_senders(senders, stop)
        tap.note(f"seed {SEED}: {COUNT} kills, {acked} messages acknowledged, "
                 f"{sum(s.broken for s in senders)} connections broken, "
                 f"{sum(s.refused for s in senders)} refused for now")
        problems = [] if acked > before else ["nothing was accepted after the last kill"]
        problems += load.compare(senders, suite.ports["pop3"], PASSWORD)
        findings = suite.ctl("check")
        return problems + ([findings] if findings else [])
    finally:
        for p in suite.close():
            tap.note(p)


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


# One failing call each, of the store's files: early ones hit the accounts, later ones mail.
FAULTS = ["fsync@wal:25", "write@wal:120", "torn@wal:150", "kill@wal:200", "fsync@seg:3",
          "write@seg:4", "torn@seg:5", "kill@seg:6", "full@wal:100", "full@seg:3", "fsync@db:1",
          "write@db:2"]


def one_fault(tap, spec):
    """stored alone, so that its end can be seen; it is started again without the fault."""
    suite = Suite(["smtpd", "pop3d"], conf={"smtpd": "connections-per-address 1000\n"})
    try:
        for box in BOXES:
            suite.account(box, PASSWORD)
        suite.stop("stored")
        suite.fault = spec
        suite.start("stored")
        senders, stop = start_senders(suite, 4, "f")
        stored = suite.processes["stored"]
        end = time.monotonic() + 3
        while time.monotonic() < end and stored.poll() is None:
            time.sleep(0.05)
        ended = stored.poll() is not None
        suite.processes.pop("stored")
        if not ended:
            stored.send_signal(signal.SIGTERM)
            stored.wait(20)
        suite.fault = None
        suite.start("stored")
        before = sum(len(s.acked) for s in senders)
        time.sleep(1)
        acked = end_senders(senders, stop)
        tap.note(f"{spec}: stored {'stopped' if ended else 'went on'}, {before} acknowledged, "
                 f"{acked - before} after the restart")
        problems = [] if acked > before else ["nothing was accepted after the restart"]
        problems += load.compare(senders, suite.ports["pop3"], PASSWORD)
        findings = suite.ctl("check")
        return problems + ([findings] if findings else [])
    finally:
        for p in suite.close():
            tap.note(p)


def main():
    is_root = os.geteuid() == 0
    if is_root and "HAMLET_OWN_MOUNTS" not in os.environ:
        os.environ["HAMLET_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])
    tap = Tap(2 + len(FAULTS))
    tap.test(f"{COUNT} kills lose, tear and double nothing", kills, tap)
    if is_root:
        tap.test("a full disk refuses, loses nothing, and goes on with more room", full_disk, tap)
    else:
        tap.skip("a full disk", "mounting one needs root")
    for spec in FAULTS:
        tap.test(f"fault {spec}", one_fault, tap, spec)
    tap.done()


main()
