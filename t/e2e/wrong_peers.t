#!/usr/bin/env python3
"""Mail servers that answer every wrong and slow thing: what the queue and the log say of each, what
the sender is told, how often the message arrives, and that other mail passes meanwhile.

All peers are wrong at the same time. Then they mend their ways, smtpd starts anew and time has
passed: what was deferred arrives, and nothing else does.
"""
import email
import pathlib
import poplib
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from peer import DROP, EXTENSIONS, SILENCE, Peer, certificate, server_tls  # noqa: E402
from sending import Sender, rows, settled, subject, text_of, until  # noqa: E402
from suite import Suite  # noqa: E402
from tap import Tap  # noqa: E402

PASSWORD = "secret-alice"
SLOW = 60
EVENT = {"due": "deferred", "failed": "failed", "passed": "delivered", "relayed": "delivered",
         "done": "delivered"}


def drip(text):
    """An octet a second."""
    def step(_peer, session, _line):
        for octet in text:
            session.send(bytes([octet]))
            time.sleep(1)
        return DROP
    return step


def endless(piece):
    def step(_peer, session, _line):
        while True:
            session.send(piece)
    return step


def then_drop(text):
    """Says it, and is gone."""
    def step(peer, session, _line):
        if b"taken" in text:
            peer.take_session(session)
        session.send(text)
        return DROP
    return step


def stall(text):
    def step(_peer, session, _line):
        session.send(text)
        return SILENCE
    return step


class Case:
    def __init__(self, name, want, *script, ext=None, tls="none", certificate=False, lmtp=False,
                 time=None, more="", to=("x",), came=0, most=1, options=(), head=b"",
                 body=b""):
        """want: (state, code, status, part of the text), of each recipient in `to`.
        script: (step, what[, match]). time: "rcpt 1s" of the timeouts. came: how often the content
        came whole; most: how often at the end, when the peer has mended its ways."""
        self.name, self.want, self.script = name, want if isinstance(want, list) else [want], script
        self.domain = re.sub("[^a-z0-9]+", "-", name.lower()) + ".test"
        self.ext, self.tls, self.certificate = ext, tls, certificate
        self.lmtp, self.time, self.more = lmtp, time, more
        self.to = [f"{u}@{self.domain}" for u in to]
        self.came, self.most, self.options = came, most, list(options)
        self.head, self.body = head, body
        self.peer = self.mid = None

    def start(self, context):
        self.peer = Peer(tls=context if self.certificate else None, lmtp=self.lmtp)
        if self.ext is not None:
            self.peer.extensions = list(self.ext)
        for step, what, *match in self.script:
            self.peer.say(step, what, match=match[0] if match else None)

    def route(self):
        lines = [f"route {self.domain} {{", f"\thost 127.0.0.1 {self.peer.port}",
                 f"\ttls {self.tls}", self.more]
        if self.lmtp:
            lines.append("\tprotocol lmtp")
        if self.time:
            lines.append(f"\ttimeouts {{\n\t\t{self.time}\n\t}}")
        return "\n".join([*lines, "}"]) + "\n"

    def mend(self):
        self.peer.forget()
        self.peer.extensions = list(EXTENSIONS)

    def deferred(self):
        return any(w[0] == "due" for w in self.want)


BUSY = ("due", 450, "4.3.2", "busy")
NO = ("failed", 550, "5.7.1", "never")
FINE = ("passed", 250, "2.0.0", "taken")
LATE = ("due", 0, "4.4.2", "no answer in time")
GONE = ("due", 0, "4.4.2", "")
SAYS_BUSY, SAYS_NO = "450 4.3.2 busy", "550 5.7.1 never"
ONE_BY_ONE = [e for e in EXTENSIONS if e not in ("PIPELINING", "CHUNKING")]
AT_ONCE = [e for e in EXTENSIONS if e != "CHUNKING"]
NO_CODE = ("due", 0, "4.5.0", "no reply code")
MISFIT = ("due", 0, "4.5.0", "a reply that does not fit")


def refusals():
    for step in ("banner", "MAIL", "RCPT", "DATA", "content"):
        yield Case(f"4xx to {step}", BUSY, (step, SAYS_BUSY), ext=AT_ONCE,
                   came=step == "content", most=2)
        yield Case(f"5xx to {step}", NO, (step, SAYS_NO), ext=AT_ONCE, came=step == "content")
        yield Case(f"5xx to {step}, one by one", NO, (step, SAYS_NO), ext=ONE_BY_ONE,
                   came=step == "content")
    yield Case("4xx to EHLO", BUSY, ("EHLO", SAYS_BUSY))
    yield Case("5xx to EHLO, not to HELO", ("relayed", 250, "2.0.0", "taken"),
               ("EHLO", "500 5.5.1 what?"), came=1)
    yield Case("5xx to EHLO and HELO", NO, ("EHLO", SAYS_NO), ("HELO", SAYS_NO))
    for how, ext in (("at once", AT_ONCE), ("one by one", ONE_BY_ONE), ("BDAT", None)):
        yield Case(f"one later, one never, {how}", [BUSY, NO, FINE], ("RCPT", SAYS_BUSY, "<a@"),
                   ("RCPT", SAYS_NO, "<b@"), to="abc", ext=ext, came=1, most=2)
    yield Case("552 to a recipient", ("due", 552, "5.5.3", "too many"),
               ("RCPT", "552 5.5.3 too many"))
    yield Case("MAIL refused, the rest taken", BUSY, ("MAIL", SAYS_BUSY), ("RCPT", "250 ok"),
               ("DATA", "503 5.5.1 no"), ext=AT_ONCE)


def ends():
    for step, came in (("banner", 0), ("EHLO", 0), ("MAIL", 0), ("RCPT", 0), ("DATA", 0),
                       ("content", 1)):
        yield Case(f"closes at {step}", GONE, (step, DROP), came=came, most=1 + came,
                   ext=AT_ONCE)
    yield Case("closes behind the reply to DATA", GONE, ("DATA", then_drop(b"354 go\r\n")),
               ext=AT_ONCE)
    yield Case("closes behind the last reply", FINE, came=1,
               *[("content", then_drop(b"250 2.0.0 taken\r\n"))])
    yield Case("closes inside the last reply", GONE, ("content", then_drop(b"250 2.0")), came=1,
               most=2)
    for step in ("banner", "MAIL", "RCPT", "DATA", "content"):
        yield Case(f"421 to {step}", ("due", 421, "4.3.2", "off"),
                   (step, then_drop(b"421 4.3.2 off\r\n")), ext=AT_ONCE, came=step == "content",
                   most=2)
    yield Case("421 to the second recipient",
               [("due", 421, "4.3.2", "off")] * 3,
               ("RCPT", then_drop(b"421 4.3.2 off\r\n"), "<b@"), to="abc", ext=AT_ONCE)


def slow():
    for step, word in (("banner", "greeting"), ("EHLO", "hello"), ("MAIL", "mail"),
                       ("RCPT", "rcpt"), ("DATA", "data"), ("content", "end")):
        came = step == "content"
        yield Case(f"silent at {step}", LATE, (step, SILENCE), time=f"{word} 1s", ext=AT_ONCE,
                   came=came, most=1 + came)
    yield Case("an octet a second as banner", LATE, ("banner", drip(b"220-slow and slower\r\n")),
               time="greeting 2s")
    yield Case("an octet a second behind the content", LATE,
               ("content", drip(b"250-slow and slower\r\n")), time="end 2s", came=1, most=2)
    yield Case("commands at once are lost", LATE, ("RCPT", SILENCE), ext=AT_ONCE, time="rcpt 1s")


def garbage():
    yield Case("another protocol", NO_CODE, ("banner", b"SSH-2.0-OpenSSH_9\r\n"))
    yield Case("octets of any kind", NO_CODE, ("EHLO", bytes(range(256)) + b"\n"))
    yield Case("no line end ever", ("due", 0, "4.5.0", "reply too long"),
               ("banner", endless(b"220-" + b"x" * 5000)))
    yield Case("lines without end", ("due", 0, "4.5.0", ""), ("EHLO", endless(b"250-more\r\n")))
    yield Case("lines without end behind the content", ("due", 0, "4.5.0", ""),
               ("content", endless(b"250-more\r\n")), came=1, most=2)
    yield Case("garbage behind the content", NO_CODE, ("content", b"thank you\r\n"), came=1, most=2)
    yield Case("NUL and 8 bits in a refusal", ("failed", 550, "5.1.1", "no ?? ?1 here"),
               ("RCPT", b"550 5.1.1 no \xff\x80 \x001 here\r\n"))
    yield Case("control octets in a refusal", ("failed", 550, "5.1.1", "?[2J ?x?"),
               ("RCPT", b"550-5.1.1 \x1b[2J \rx\x07\n550 5.1.1 .\r\n"))
    yield Case("NUL in a good reply", ("passed", 250, "2.0.0", "tak?en"),
               ("content", b"250 2.0.0 tak\0en\r\n"), came=1)
    yield Case("2xx to DATA", MISFIT, ("DATA", b"250 2.0.0 ok\r\n"), ext=ONE_BY_ONE)
    yield Case("3xx to MAIL", MISFIT, ("MAIL", b"354 go on\r\n"), ext=ONE_BY_ONE)
    yield Case("3xx to the content", MISFIT, ("content", b"354 go on\r\n"), came=1, most=2)
    yield Case("codes that contradict", ("due", 0, "4.5.0", "contradict"),
               ("RCPT", b"250-ok\r\n550 no\r\n"))
    yield Case("a reply behind the banner", ("due", 0, "4.5.0", ""),
               ("banner", b"220 peer.test\r\n250 ok\r\n"))
    yield Case("all replies before the commands", ("due", 0, "4.5.0", ""),
               ("EHLO", b"250-peer.test\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n"
                b"250 2.0.0 taken\r\n"))
    yield Case("the last reply before the content", ("due", 0, "4.5.0", ""),
               ("DATA", b"354 go\r\n250 2.0.0 taken\r\n"), ext=AT_ONCE)


def tls():
    yield Case("STARTTLS refused, may", FINE, ("STARTTLS", "454 4.7.0 not now"), tls="may",
               certificate=True, came=1)
    yield Case("STARTTLS refused, must", ("due", 454, "4.7.0", "not now"),
               ("STARTTLS", "454 4.7.0 not now"), tls="must", certificate=True)
    yield Case("STARTTLS not offered, may", FINE, tls="may", came=1)
    yield Case("STARTTLS not offered, must", ("due", 0, "4.7.4", "not offered"), tls="must")
    # RFC 8689 4 waives what the recipient's domain asks for; this is our administrator's will.
    yield Case("STARTTLS not offered, must, TLS-Required: No",
               ("due", 0, "4.7.4", "not offered"), tls="must", head=b"TLS-Required: No\r\n")
    broken = ("STARTTLS", b"220 go on\r\nthis is no TLS at all\r\n")
    yield Case("broken handshake, may", FINE, ("STARTTLS", then_drop(b"220 go\r\n")), tls="may",
               certificate=True, came=1)
    yield Case("broken handshake, must", ("due", 0, "4.7.5", ""),
               ("STARTTLS", then_drop(b"220 go\r\n")), tls="must", certificate=True)
    yield Case("no TLS behind the reply, may", FINE, broken, tls="may", certificate=True, came=1,
               time="hello 1s")
    yield Case("silent handshake, may", FINE, ("STARTTLS", stall(b"220 go\r\n")), tls="may",
               certificate=True, came=1, time="hello 1s")
    yield Case("silent handshake, must", ("due", 0, "4.7.5", "too long"),
               ("STARTTLS", stall(b"220 go\r\n")), tls="must", certificate=True, time="hello 1s")
    yield Case("another's certificate, must", FINE, tls="must", certificate=True, came=1)
    yield Case("an untrusted certificate, verify", ("due", 0, "4.7.5", ""), tls="verify",
               certificate=True, more="\ttls-name peer.test\n\ttls-ca OTHER")
    yield Case("a certificate of another name, verify", ("due", 0, "4.7.5", ""), tls="verify",
               certificate=True, more="\ttls-name other.test\n\ttls-ca OWN")
    yield Case("the right certificate, verify", FINE, tls="verify", certificate=True, came=1,
               more="\ttls-name peer.test\n\ttls-ca OWN")


def limits():
    yield Case("smaller than the message", ("failed", 0, "5.3.4", "larger"),
               ext=["PIPELINING", "SIZE 100"])
    yield Case("too large, it says to MAIL", ("failed", 552, "5.3.4", "large"),
               ("MAIL", "552 5.3.4 too large"))
    yield Case("too large, it says to the content", ("failed", 552, "5.3.4", "large"),
               ("content", "552 5.3.4 too large"), came=1)
    yield Case("7 bits, the message has 8", ("failed", 0, "5.6.3", "8-bit"),
               ext=["PIPELINING"], options=["BODY=8BITMIME"], body="äöü\r\n".encode())
    yield Case("LMTP, one never and one later",
               [("passed", 250, "2.0.0", "taken"), BUSY, NO], ("content", SAYS_BUSY, "<b@"),
               ("content", SAYS_NO, "<c@"), to="abc", lmtp=True, came=1, most=2)
    yield Case("LMTP, a reply too few",
               [("passed", 250, "2.0.0", "taken"), LATE], ("content", SILENCE, "<b@"), to="ab",
               lmtp=True, came=1, most=2, time="end 1s")
    yield Case("LMTP, replies too many",
               [("passed", 250, "2.0.0", "taken"), ("passed", 250, "2.0.0", "taken")],
               ("content", b"250 2.0.0 taken\r\n250 2.0.0 taken\r\n250 2.0.0 taken\r\n", "<b@"),
               to="ab", lmtp=True, came=1)


CASES = [*refusals(), *ends(), *slow(), *garbage(), *tls(), *limits()]


class Stuck:
    """Takes connections and says nothing, until it is let go."""

    def __init__(self, step):
        self.domain = f"stuck-{step.lower()}.test"
        self.peer = Peer()
        self.held = self.peer.hold(step, times=None)

    def route(self):
        return (f"route {self.domain} {{\n\thost 127.0.0.1 {self.peer.port}\n\ttls none\n"
                "\tconnections 3\n}\n")


class Good:
    domain = "good.test"

    def __init__(self):
        self.peer = Peer()

    route = Stuck.route


class World:
    """The suite and its peers. What is checked of each case is gathered once."""

    def __init__(self, folder):
        own, key = certificate(folder, "peer.test")
        other, _ = certificate(folder, "elsewhere.test")
        context = server_tls(own, key)
        for case in CASES:
            case.start(context)
        self.stuck = [Stuck(step) for step in ("banner", "MAIL", "content")]
        self.good = Good()
        routes = "".join(p.route() for p in [*CASES, *self.stuck, self.good])
        routes = routes.replace("OTHER", str(other)).replace("OWN", str(own))
        conf = ("dns {\n\tserver 127.0.0.1:9\n\tdeadline 1s\n}\nroute * {\n\tretry-first 10m\n}\n"
                + routes)
        self.suite = Suite(["smtpd", "pop3d"], conf={"smtpd": conf})
        self.suite.account("alice@a.test", PASSWORD)
        self.sender = Sender(self.suite)
        self.mails = []

    def others_pass(self):
        """Mail to peers that keep us waiting, then to all the wrong ones, then to a good one: that
        arrives while the first still wait."""
        for s in self.stuck:
            for i in range(10):
                self.sender.submit(text_of(f"{s.domain}.{i}"), f"x@{s.domain}")
        problems = [f"{s.domain} was not reached" for s in self.stuck if not s.held.reached.wait(30)]
        for c in CASES:
            c.mid = self.sender.submit(c.head + text_of(c.name) + c.body, *c.to, options=c.options)
        for i in range(30):
            self.sender.submit(text_of(f"good.{i}"), "x@good.test")
        self.good.peer.wait(30)
        for s in self.stuck:
            if s.peer.messages:
                problems.append(f"{s.domain} has taken something")
            s.held.set()
        for s in self.stuck:
            s.peer.wait(10)
        return problems

    def came(self, case):
        return sum(subject(m) == case.name for m in case.peer.came)

    def first(self, case):
        """The outcome of the first attempt."""
        def tried():
            now = {r["recipient"]: r for r in rows(self.suite, case.mid)}
            return now if all(r["attempts"] and r["state"] != "leased" for r in now.values()) \
                else None
        got = until(f"an attempt of {case.mid}", tried, SLOW)
        log = (self.suite.dir / "smtpd.log").read_text()
        problems = []
        for to, (state, code, status, text) in zip(case.to, case.want):
            r = got[to]
            if (r["state"], r["code"], r["status"]) != (state, code, status) \
                    or text not in r["text"]:
                problems.append(f"{to}: {r}")
            line = re.search(rf" {EVENT[state]} id={case.mid} to={to} .*", log)
            if not line or f" code={code} status={status} " not in line[0]:
                problems.append(f"{to} in the log: {line and line[0]}")
            if not all(c == "\n" or 32 <= ord(c) < 127 or ord(c) > 159 for c in r["text"]):
                problems.append(f"{to}: not printable: {r['text']!r}")
        if self.came(case) != case.came:
            problems.append(f"came {self.came(case)} times")
        return problems

    def read_mail(self):
        c = poplib.POP3("127.0.0.1", self.suite.ports["pop3"], timeout=30)
        c.user("alice@a.test")
        c.pass_(PASSWORD)
        for i in range(c.stat()[0]):
            self.mails.append(b"\r\n".join(c.retr(i + 1)[1]))
            c.dele(i + 1)
        c.quit()

    def notices(self):
        """Of each failure one, and of nothing else."""
        want = sorted((to, w[2]) for c in CASES for to, w in zip(c.to, c.want) if w[0] == "failed")

        def told():
            got = []
            for mail in self.mails:
                report = email.message_from_bytes(mail).get_payload()[1].get_payload()
                got += [(r["Final-Recipient"].split(";")[1].strip(), r["Status"], r["Action"])
                        for r in report[1:]]
            return sorted(got)

        def all_told():
            self.read_mail()
            return len(told()) >= len(want)

        until("all notices", all_told, SLOW)
        time.sleep(2.5)
        self.read_mail()
        got = told()
        problems = [f"{m[:200]}: not 7 bits" for m in self.mails
                    if re.search(rb"[^\x20-\x7e\r\n\t]", m.split(b"\r\n\r\n", 1)[0])]
        return problems + [f"missing: {w}" for w in want if (*w, "failed") not in got] + \
            [f"too much: {g}" for g in got if g[2] != "failed" or g[:2] not in want]

    def mended(self):
        """All is well at last: what was deferred arrives."""
        for c in CASES:
            c.mend()
        self.suite.stop("smtpd")
        self.suite.move_clock(1800)
        self.suite.start("smtpd")
        problems = []
        for c in CASES:
            if c.name.startswith(("an untrusted", "a certificate of", "STARTTLS not offered, must")):
                continue  # those stay wrong
            if c.deferred():
                until(f"{c.name} is tried again", lambda c=c: all(
                    r["state"] not in ("due", "leased") for r in rows(self.suite, c.mid)), SLOW)
            n = self.came(c)
            least = 0 if all(w[0] == "failed" for w in c.want) else 1
            if not least <= n <= max(c.most, c.came):
                problems.append(f"{c.name} came {n} times")
        self.read_mail()
        return problems

    def told_once(self):
        n = len(self.mails)
        time.sleep(2.5)
        self.read_mail()
        return [] if len(self.mails) == n else [f"{len(self.mails) - n} further notices"]


def main():
    tap = Tap(len(CASES) + 5)
    with tempfile.TemporaryDirectory(prefix="hamlet-test-") as folder:
        world = World(pathlib.Path(folder))
        try:
            tap.test("mail to others passes meanwhile", world.others_pass)
            for case in CASES:
                tap.test(case.name, world.first, case)
            tap.test("each failure is told, and nothing else", world.notices)
            tap.test("what was deferred arrives when the peers are well", world.mended)
            tap.test("nothing is told twice", world.told_once)
        finally:
            tap.ends(world.suite)
    tap.done()


main()
