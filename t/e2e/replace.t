#!/usr/bin/env python3
"""Replacing any daemon under load refuses no connection and loses no session that could finish:
mail is sent and polled all the while, in the clear and over TLS with a full handshake each time, and
every transaction and every poll ends with success. Only between two transactions of one connection
may a server that is going away say 421."""
import pathlib
import poplib
import smtplib
import ssl
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

    def __init__(self, port, user, stop, tls=None):
        super().__init__(daemon=True)
        self.port, self.user, self.stop, self.tls = port, user, stop, tls
        self.rounds, self.problems = 0, []

    def connect(self):
        if self.tls:
            return poplib.POP3_SSL("localhost", self.port, timeout=20, context=self.tls)
        return poplib.POP3("127.0.0.1", self.port, timeout=20)

    def poll(self):
        pop = self.connect()
        pop.user(self.user)
        pop.pass_(PASSWORD)
        count, _ = pop.stat()
        if count:
            pop.retr(count)
        pop.quit()
        self.rounds += 1

    def run(self):
        while not self.stop.is_set():
            try:
                self.poll()
            except (poplib.error_proto, OSError) as e:
                self.problems.append(f"pop3: {e!r}")


class Submitter(threading.Thread):
    """A user's mail program: connects over TLS, logs in, sends one message, leaves. acked: as a
    load.Sender has it. Its one message is all it comes for: nothing but success is right."""

    def __init__(self, port, name, recipients, stop, tls):
        super().__init__(daemon=True)
        self.port, self.label, self.recipients, self.stop = port, name, recipients, stop
        self.tls, self.acked, self.wrong, self.problems = tls, {}, [], []

    def send(self, token):
        with smtplib.SMTP_SSL("localhost", self.port, timeout=20, context=self.tls) as smtp:
            smtp.ehlo("user.test")
            smtp.user, smtp.password = BOXES[0], PASSWORD
            smtp.auth("PLAIN", smtp.auth_plain)  # login() goes on with the next after a 421
            text = load.message(token).replace(b"alice@a.test", BOXES[0].encode())
            smtp.sendmail(BOXES[0], self.recipients, text)
            self.acked[token] = self.recipients

    def run(self):
        n = 0
        while not self.stop.is_set():
            n += 1
            token = f"{self.label}x{n}"
            try:
                self.send(token)
            except (smtplib.SMTPException, OSError) as e:
                if token in self.acked and getattr(e, "smtp_code", 0) == 421:
                    continue  # instead of QUIT's answer
                self.problems.append(f"submission: {e!r}")

    @property
    def rounds(self):
        return len(self.acked)


class Careful(load.Sender):
    """A sender to which only success may happen, and 421 where a transaction would begin."""

    def __init__(self, *args):
        super().__init__(*args)
        self.problems = []

    def reply(self, sock, want):
        try:
            super().reply(sock, want)
        except load.Refused as e:
            if self.step in ("banner", "message") or not str(e).startswith("421"):
                self.problems.append(f"smtp, {self.step}: {e}")
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
    tls = ssl.create_default_context(cafile=str(suite.ca))
    senders = [Careful(suite.ports["smtp"], f"{name}{i}", BOXES, stop) for i in range(3)]
    users = [Poller(suite.ports["pop3"], BOXES[0], stop),
             Poller(suite.ports["pop3s"], BOXES[1], stop, tls),
             Submitter(suite.ports["submissions"], f"{name}s", BOXES, stop, tls)]
    for t in senders + users:
        t.start()
    time.sleep(0.5)
    before = set(suite.pids(name))
    for _ in range(2):
        suite.ctl("daemon", "restart", name)
        time.sleep(0.5)
    after = set(suite.pids(name))
    rounds = [u.rounds for u in users]
    time.sleep(1)
    more = [u.rounds for u in users]
    stop.set()
    for t in senders + users:
        t.join(60)
    acked = sum(len(s.acked) for s in senders)
    tap.note(f"{name}: {acked} messages, {more[0]} polls, over TLS {more[1]} polls and {more[2]} "
             "submissions meanwhile")
    problems = [p for t in senders + users for p in t.problems][:10]
    problems += [] if acked and all(m > r for m, r in zip(more, rounds)) \
        else ["not everything went on afterwards"]
    problems += [f"{name} was not replaced"] if before & after else []
    return problems + load.compare([*senders, users[2]], suite.ports["pop3"], PASSWORD)


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
