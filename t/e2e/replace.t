#!/usr/bin/env python3
"""Replacing any daemon under load refuses no connection and loses no session that could finish:
mail is sent and polled all the while, and every transaction ends with success or with the 421 /
[SYS/TEMP] of a server that is going away between two transactions."""
import pathlib
import poplib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import load  # noqa: E402
from suite import Supervised  # noqa: E402
from tap import Tap  # noqa: E402

PASSWORD = "secret-secret"
BOXES = ["bob@b.test", "carol@b.test"]


class Poller(threading.Thread):
    """Logs in, looks, reads the newest message, leaves; over and over."""

    def __init__(self, port, user, stop):
        super().__init__(daemon=True)
        self.port, self.user, self.stop = port, user, stop
        self.polls, self.problems = 0, []

    def run(self):
        while not self.stop.is_set():
            try:
                pop = poplib.POP3("127.0.0.1", self.port, timeout=20)
                pop.user(self.user)
                pop.pass_(PASSWORD)
                count, _ = pop.stat()
                if count:
                    pop.retr(count)
                pop.quit()
                self.polls += 1
            except poplib.error_proto as e:
                if "SYS/TEMP" not in str(e):
                    self.problems.append(f"pop3: {e}")
            except OSError as e:
                self.problems.append(f"pop3: {e!r}")


class Careful(load.Sender):
    """A sender to which only success and 421 may happen."""

    def __init__(self, *args):
        super().__init__(*args)
        self.problems = []

    def reply(self, sock, want):
        try:
            super().reply(sock, want)
        except load.Refused as e:
            if not str(e).startswith("421"):
                self.problems.append(f"smtp: {e}")
            raise
        except OSError as e:
            self.problems.append(f"smtp: {e!r}")
            raise

    def open(self):
        try:
            return super().open()
        except OSError as e:
            self.problems.append(f"smtp: connecting: {e!r}")
            raise


def replace(suite, tap, name):
    stop = threading.Event()
    senders = [Careful(suite.ports["smtp"], f"{name}{i}", BOXES, stop) for i in range(3)]
    pollers = [Poller(suite.ports["pop3"], box, stop) for box in BOXES]
    for t in senders + pollers:
        t.start()
    time.sleep(0.5)
    before = set(suite.pids(name))
    for _ in range(2):
        suite.ctl("daemon", "restart", name)
        time.sleep(0.5)
    after = set(suite.pids(name))
    time.sleep(0.5)
    stop.set()
    for t in senders + pollers:
        t.join(60)
    acked = sum(len(s.acked) for s in senders)
    tap.note(f"{name}: {acked} messages, {sum(p.polls for p in pollers)} polls meanwhile")
    problems = [p for t in senders + pollers for p in t.problems][:10]
    problems += [] if acked and all(p.polls for p in pollers) else ["nothing went through"]
    problems += [f"{name} was not replaced"] if before & after else []
    return problems + load.compare(senders, suite.ports["pop3"], PASSWORD)


def bad_config(suite, name):
    """A replacement that cannot start leaves the old one running, and says why."""
    before = suite.pids(name)
    conf = suite.dir / f"{name}.conf"
    good = conf.read_text()
    conf.write_text(good + "nonsense 1\n")
    why = suite.ctl("daemon", "restart", name, ok=False)
    conf.write_text(good)
    problems = [] if "nonsense" in why else [f"the reason is not told: {why}"]
    return problems + ([] if suite.pids(name) == before else ["the old processes are gone"])


def main():
    names = ["smtpd", "pop3d", "keyd", "stored"]
    tap = Tap(len(names) + 2)
    limits = "connections-per-address 1000\n"
    suite = Supervised(["smtpd", "pop3d"], conf={"smtpd": limits, "pop3d": limits},
                       processes={"smtpd": 2, "pop3d": 2})
    problems = []
    try:
        for box in BOXES:
            suite.account(box, PASSWORD)
        for name in names:
            tap.test(f"{name} is replaced under load", replace, suite, tap, name)
        tap.test("a wrong configuration replaces nothing", bad_config, suite, "smtpd")
    finally:
        problems = suite.close()
    tap.ok(not problems, "the suite ends cleanly", "\n".join(problems))
    tap.done()


main()
