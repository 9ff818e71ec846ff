#!/usr/bin/env python3
"""What routes and senders ask for, between two real suites: a.test under hamletd, and b.test, its
provider and neighbour. Logins at a smarthost, LMTP, whose certificate is trusted, REQUIRETLS,
senders of forwarded mail, source addresses, hosts that take no mail or not this one, and mail that
is to come not before, or not after, a time.

A case begins, and yields while the others begin; it yields again, if it must, while an hour passes
in a.test. It gathers its problems.
"""
import os
import pathlib
import random
import re
import smtplib
import socket
import sys
import tempfile
import threading
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from arrived import mailbox  # noqa: E402
from peer import Peer, certificate, server_tls  # noqa: E402
from sending import WAIT, Sender, rows, settled, subject, text_of, until  # noqa: E402
from suite import FIRST_UID, Suite, Supervised, free_port  # noqa: E402
from tap import Tap  # noqa: E402

PASSWORD = "secret-alice"
PROVIDER_PASSWORD = "secret of the provider"
WRONG_PASSWORD = "another secret"
HOUR = 3600


class Skip(Exception):
    """The case cannot be shown here."""


class Names:
    """A name server that knows one domain, which takes no mail; there are no others."""

    def __init__(self):
        self.port = free_port()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", self.port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, client = self.sock.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            name, kind = query[12:end - 4].lower(), query[end - 4:end - 2]
            null = name == b"\4null\4test\0"
            # MX 0 . for 300 s, where that is asked for
            answer = b"\xc0\x0c\0\x0f\0\1\0\0\1\x2c\0\3\0\0\0"
            if not null or kind != b"\0\x0f":
                answer = b""
            head = bytes([0x81, 0x80 if null else 0x83, 0, 1, 0, 1 if answer else 0, 0, 0, 0, 0])
            self.sock.sendto(query[:2] + head + query[12:end] + answer, client)


class Provider(Suite):
    domain = "b.test"


class Company(Supervised):
    """a.test. Files that its routes name are in its folder before it starts."""

    def __init__(self, files, port, conf):
        self.files, self.smtp = files, port
        super().__init__(["smtpd", "pop3d"], conf=conf)

    def write_conf(self, name):
        self.ports["smtp"] = self.smtp
        super().write_conf(name)
        if name == "smtpd":
            for file, text in self.files.items():
                (self.dir / file).write_text(text)
                (self.dir / file).chmod(0o600)
                if os.geteuid() == 0:
                    uid = FIRST_UID + self.daemons.index(name)
                    os.chown(self.dir / file, uid, uid)


def route(domains, port, *more):
    return "\n\t".join([f"route {domains} {{", f"host 127.0.0.1 {port}", *more]) + "\n}\n"


class World:
    """Peers by what they are: far (anything), ascii, plain (no TLS), secure (TLS, no REQUIRETLS),
    slow (knows DELIVERBY, takes nothing for now)."""

    def __init__(self, folder):
        own, key = certificate(folder, "peer.test")
        self.far, self.ascii, self.plain, self.slow = Peer(), Peer(), Peer(), Peer()
        self.secure = Peer(tls=server_tls(own, key))
        self.far.say("RCPT", "550 5.1.1 nobody here", match="<x@refuse.test>")
        self.ascii.extensions.remove("SMTPUTF8")
        self.slow.extensions.append("DELIVERBY")
        self.slow.say("RCPT", "450 4.2.1 later")
        port, names = free_port(), Names().port
        self.dns = f"dns {{\n\tserver 127.0.0.1:{names}\n}}\n"
        self.b = Provider(["smtpd", "pop3d"], conf={
            "smtpd": self.dns + route("a.test", port) +
            route("refuse.test far.test tls.test", self.far.port)})
        self.a = None
        self.told = {}
        try:
            for user, secret in (("bob@b.test", PASSWORD), ("relay@b.test", PROVIDER_PASSWORD),
                                 ("ann@lmtp.test", PASSWORD), ("full@lmtp.test", PASSWORD),
                                 ("off@lmtp.test", PASSWORD)):
                self.b.account(user, secret)
            self.b.ctl("domain", "add", "customer.test")
            self.b.ctl("alias", "add", "carl@customer.test", "relay@b.test")
            self.b.ctl("alias", "add", "on@b.test", "x@refuse.test")
            self.b.ctl("account", "set", "full@lmtp.test", "quota=1K")
            self.b.ctl("account", "disable", "off@lmtp.test")
            self.a = Company({
                "b-ca.pem": self.b.ca.read_text(), "own.pem": own.read_text(),
                "other.pem": certificate(folder, "other.test")[0].read_text(),
                "provider.password": f"{PROVIDER_PASSWORD}\n",
                "wrong.password": f"{WRONG_PASSWORD}\n",
            }, port, {"smtpd": self.dns + self.routes(), "stored": "srs-domain a.test"})
            self.a.account("alice@a.test", PASSWORD)
            self.a.account("carl@customer.test", PASSWORD)
            self.alice = Sender(self.a)
        except BaseException:
            self.close()
            raise

    def routes(self):
        verify = ["tls verify", "tls-ca b-ca.pem"]
        login = "auth relay@b.test provider.password"
        port = self.b.ports
        return "".join([
            route("*", port["submission"], *verify, login, "retry-first 10m"),
            route("tls.test", port["submissions"], *verify, "protocol submissions", login),
            route("login.test", port["submission"], *verify, "auth relay@b.test wrong.password"),
            route("b.test", port["smtp"], *verify),
            route("lmtp.test", port["lmtp"], *verify, "protocol lmtp"),
            route("ca.test", port["smtp"], "tls verify", "tls-ca other.pem"),
            route("must.test", self.plain.port, "tls must"),
            route("secure.test", self.secure.port, "tls verify", "tls-ca own.pem",
                  "tls-name peer.test"),
            route("c.test", self.far.port, "tls none"),
            route("two.test", self.far.port, "tls none", "source 127.0.0.2"),
            route("three.test", self.far.port, "tls none", "source 127.0.0.3"),
            route("ascii.test", self.ascii.port, "tls none"),
            route("slow.test", self.slow.port, "tls none"),
            "route null.test none.test {\n\tdirect on\n}\n"])

    def close(self):
        return [p for s in (self.a, self.b) if s for p in s.close()]

    # --- what cases do
    @staticmethod
    def write(sender, name, to):
        """A message of somebody else than alice."""
        return sender.submit(text_of(name).replace(b"alice@a.test", sender.address.encode()), to)

    def send(self, name, *to, **more):
        return self.alice.submit(text_of(name), *to, **more)

    def came(self, name, peer=None):
        """Waits until a peer has the message of that subject."""
        peer = peer or self.far
        return until(f"{name} arrives", lambda: [m for m in list(peer.messages)
                                                 if subject(m) == name])[-1]

    def tried(self, mid):
        """Each recipient had an attempt; recipient -> its row."""
        def all_tried():
            now = rows(self.a, mid)
            return now if all(r["attempts"] and r["state"] != "leased" for r in now) else None
        return {r["recipient"]: r for r in until(f"an attempt of {mid}", all_tried)}

    def notice(self, who, action):
        """Waits until alice has a notice about the recipient; its text."""
        def there():
            for mail in mailbox(self.a, "alice@a.test", PASSWORD):
                text = mail.decode()
                for to in re.findall(r"^Final-Recipient: \S+ *(\S+)", text, re.M):
                    what = re.search(r"^Action: (\S+)", text, re.M)[1]
                    self.told[to, what] = text
            return self.told.get((who, action))
        return until(f"a notice that mail to {who} is {action}", there)

    def bounced(self, mid, who, status, text):
        """Problems, when the message did not fail so, or alice was not told."""
        row = self.tried(mid)[who]
        problems = [] if (row["state"], row["status"]) == ("failed", status) \
            and text in row["text"] else [str(row)]
        told = self.notice(who, "failed")
        return problems + ([] if f"\r\nStatus: {status}\r\n" in told else [told])

    def stays(self, mid, who, status, text):
        """Problems, when it does not wait, or `queue show` does not say why."""
        row = self.tried(mid)[who]
        shown = self.a.ctl("queue", "show", mid)
        good = (row["state"], row["status"]) == ("due", status) and text in shown
        return [] if good else [str(row), shown]


# --- a smarthost
def smarthost(w, bad):
    """Who logs in there may use the sender that the provider has given him, and no other."""
    carl = Sender(w.a, "carl@customer.test", PASSWORD)
    names = ["carl-starttls", "carl-tls"]
    for name, to in zip(names, ("x@far.test", "x@tls.test")):
        w.write(carl, name, to)
    mid = w.send("foreign", "foreign@far.test")
    yield
    for name in names:
        m = w.came(name)
        if not m.sender.startswith("<carl@customer.test>") or \
                b"by mail.b.test with ESMTPSA" not in m.content:
            bad.append(f"{m.sender} {m.content[:500]}")
    bad += w.bounced(mid, "foreign@far.test", "5.7.1", "sender")


def wrong_password(w, bad):
    mid = w.send("login", "x@login.test")
    yield
    bad += w.stays(mid, "x@login.test", "4.7.8", "")
    for log in w.a.dir.glob("*.log"):
        if WRONG_PASSWORD in log.read_text():
            bad.append(f"the password is in {log.name}")


# --- LMTP
def lmtp(w, bad):
    """Each recipient has a fate of its own. STARTTLS is a must there."""
    to = [f"{u}@lmtp.test" for u in ("ann", "nobody", "off", "full")]
    mid = w.alice.submit(text_of("lmtp") + b"x" * 70 + b"\r\n" + b"y" * 900 + b"\r\n", *to)
    yield
    got = w.tried(mid)
    want = [("passed", 250, "2.0.0"), ("failed", 550, "5.1.1"), ("failed", 550, "5.2.1"),
            ("due", 452, "4.2.2")]
    for who, fate in zip(to, want):
        r = got[who]
        if (r["state"], r["code"], r["status"]) != fate:
            bad.append(str(r))
    mails = mailbox(w.b, "ann@lmtp.test", PASSWORD)
    if len(mails) != 1 or b" with LMTPS" not in mails[0]:
        bad.append(str(mails))
    for who, status in zip(to[1:3], ("5.1.1", "5.2.1")):
        told = w.notice(who, "failed")
        if f"\r\nStatus: {status}\r\n" not in told:
            bad.append(told)
    w.b.ctl("account", "set", "full@lmtp.test", "quota=1M")
    w.a.ctl("queue", "flush", mid)
    settled_or_failed(w, mid)
    mails = mailbox(w.b, "full@lmtp.test", PASSWORD)
    if len(mails) != 1:
        bad.append(f"{len(mails)} messages when there was room")


def settled_or_failed(w, mid):
    until(f"{mid} is out of the queue", lambda: not [
        r for r in rows(w.a, mid) if r["state"] in ("due", "leased")])


# --- TLS
def right_ca(w, bad):
    mid = w.send("right-ca", "bob@b.test")
    yield
    settled(w.a, mid)


def wrong_ca(w, bad):
    mid = w.send("wrong-ca", "x@ca.test")
    yield
    bad += w.stays(mid, "x@ca.test", "4.7.5", "certificate")


def must(w, bad):
    mid = w.send("must", "x@must.test")
    yield
    bad += w.stays(mid, "x@must.test", "4.7.4", "not offered")
    if w.plain.came:
        bad.append("it was sent")


def requiretls(w, bad):
    """Passed on to a host that goes on with it, and to none else."""
    strict = {"options": ["REQUIRETLS"]}
    good = w.send("strict", "bob@b.test", **strict)
    mids = {to: w.send("strict-no", to, **strict) for to in ("y@secure.test", "y@ca.test")}
    usual = w.send("secure", "x@secure.test")
    yield
    settled(w.a, good)
    settled(w.a, usual)
    for to, mid in mids.items():
        bad += w.bounced(mid, to, "5.7.30", "")
    if [m for m in w.secure.came if subject(m) != "secure"]:
        bad.append("it was sent")


# --- forwarded mail
def give(w, sender, *to, text=None):
    """A stranger to a.test's port of other servers; the replies to RCPT."""
    with smtplib.SMTP("127.0.0.1", w.a.ports["smtp"], local_hostname="c.test", timeout=WAIT) as c:
        c.ehlo()
        c.mail(sender)
        replies = [c.rcpt(t) for t in to]
        if text:
            code, reply = c.data(text_of(text))
            if code != 250:
                raise RuntimeError(f"{code} {reply}")
        return replies


def srs(w, bad):
    """A stranger writes to aliases that lead to b.test: to bob, to nobody, and to somebody whose
    mail b.test forwards in vain."""
    for alias, to in (("fwd", "bob"), ("gone", "nobody"), ("on", "on")):
        w.a.ctl("alias", "add", f"{alias}@a.test", f"{to}@b.test")
        give(w, f"eve-{alias}@c.test", f"{alias}@a.test", text=f"srs-{alias}")
    yield

    def arrived():
        for mail in mailbox(w.b, "bob@b.test", PASSWORD):
            if b"\r\nSubject: srs-fwd\r\n" in mail:
                return mail
        return None

    mail = until("bob has it", arrived)
    made = re.match(rb"Return-Path: <((SRS0=)([A-Z2-7])([A-Z2-7]{5}=[A-Z2-7]{2}=c\.test=eve-fwd"
                    rb"@a\.test))>\r\n", mail)
    if not made:
        bad.append(mail[:500])
        return
    for who, host in (("eve-gone", b"nobody@b.test"), ("eve-on", b"x@refuse.test")):
        m = until(f"{who} is told", lambda who=who: [
            m for m in list(w.far.messages) if f"<{who}@c.test>" in m.rcpts[0]])[0]
        final = b"\r\nFinal-Recipient: rfc822; " + host + b"\r\n"
        if not m.sender.startswith("<>") or final not in m.content:
            bad.append(f"{m.sender}: {m.content}")
    address, tag, first, rest = (t.decode() for t in made.groups())
    forged = tag + ("B" if first == "A" else "A") + rest
    replies = give(w, "<>", address, forged) + give(w, "eve@c.test", address)
    codes = [(code, text.split()[0]) for code, text in replies]
    if codes != [(250, b"2.1.5"), (550, b"5.1.1"), (550, b"5.7.1")]:
        bad.append(f"returned, forged, and no notice: {replies}")


# --- where from, and where to
def source(w, bad):
    for n in ("two", "three"):
        w.send(f"source-{n}", f"x@{n}.test")
    yield
    for n, address in (("two", "127.0.0.2"), ("three", "127.0.0.3")):
        got = w.came(f"source-{n}").address
        if got != address:
            bad.append(f"from {got}, not {address}")


def no_host(w, bad):
    null, none = w.send("null", "x@null.test"), w.send("none", "x@none.test")
    yield
    bad += w.bounced(null, "x@null.test", "5.1.10", "null MX")
    bad += w.bounced(none, "x@none.test", "5.1.2", "does not exist")


def literal(w, bad):
    """b.test has no smarthost: to an address itself, at port 25."""
    address = "127.%d.%d.%d" % tuple(random.randrange(1, 255) for _ in range(3))
    try:
        peer = Peer(host=address, port=25)
    except PermissionError:
        raise Skip("port 25 cannot be had") from None
    w.write(Sender(w.b, "bob@b.test", PASSWORD), "literal", f"x@[{address}]")
    yield
    m = w.came("literal", peer)
    if not m.rcpts[0].startswith(f"<x@[{address}]>"):
        bad.append(m.rcpts[0])
    peer.close()


def utf8(w, bad):
    who = "\u00f6@ascii.test"
    mid = w.send("utf8", who, options=["SMTPUTF8"])
    plain = w.send("ascii", "o@ascii.test")
    yield
    bad += w.bounced(mid, who, "5.6.7", "SMTPUTF8")
    settled(w.a, plain)
    if [m for m in w.ascii.came if subject(m) != "ascii"]:
        bad.append("it was sent")


# --- not before, not after
def hold(w, bad):
    mid = w.send("hold", "x@c.test", options=[f"HOLDFOR={HOUR - 60}"])
    w.a.ctl("queue", "flush", mid)
    yield
    row = rows(w.a, mid)[0]
    if row["state"] != "due" or row["attempts"] or [m for m in w.far.came if subject(m) == "hold"]:
        bad.append(f"too early: {row}")
    yield
    w.came("hold")


def by(w, bad):
    """In half an hour, or back; in half an hour, or the sender wants to know."""
    back = w.send("by-r", "r@slow.test", options=["BY=1800;R"])
    know = w.send("by-n", "n@slow.test", options=["BY=1800;N"])
    never = w.send("by-c", "by@c.test", options=["BY=1800;R"])
    yield
    for mid in (back, know):
        for who in w.tried(mid):
            bad += w.stays(mid, who, "4.2.1", "later")
    bad += w.bounced(never, "by@c.test", "5.3.3", "DELIVERBY")
    yield
    bad += w.bounced(back, "r@slow.test", "5.4.7", "in the time asked for")
    if rows(w.a, back)[0]["attempts"] != 1 or "\r\nDiagnostic-Code: x-hamlet;" not in \
            w.notice("r@slow.test", "failed"):
        bad.append("what was given up counts as an attempt, or as a host's reply")
    told = w.notice("n@slow.test", "delayed")
    if "\r\nDeliver-By-Date: " not in told:
        bad.append(told)
    if not [t for t in w.slow.lines if re.match(r"MAIL FROM:<alice@a.test> .*BY=1\d{3};R", t)]:
        bad.append(f"the host was not told: {w.slow.lines}")
    w.slow.forget()
    w.a.ctl("queue", "flush", know)
    w.came("by-n", w.slow)
    if [m for m in w.slow.came if subject(m) == "by-r"]:
        bad.append("what was given up was sent")


CASES = [
    ("a smarthost with a login, by STARTTLS and by TLS", smarthost),
    ("a wrong password of ours: the mail waits", wrong_password),
    ("LMTP to another host: each recipient for itself", lmtp),
    ("tls verify, and the authority is right", right_ca),
    ("tls verify, and the authority is wrong: the mail waits, the queue says why", wrong_ca),
    ("tls must, and there is none: the mail waits", must),
    ("REQUIRETLS goes to who knows it, or back", requiretls),
    ("forwarded mail leaves from an address of ours, and notices find back", srs),
    ("source addresses", source),
    ("null MX, and no such domain", no_host),
    ("to an address literal", literal),
    ("SMTPUTF8 is not known there", utf8),
    ("FUTURERELEASE", hold),
    ("DELIVERBY: back, or a notice", by),
]


def step(cases):
    """Each goes on to its next yield."""
    for case in cases:
        try:
            if case["run"]:
                next(case["run"])
        except StopIteration:
            case["run"] = None
        except Skip as e:
            case["run"], case["skip"] = None, str(e)
        except Exception:  # a test's own failure is a failed test
            case["run"] = None
            case["bad"].append(traceback.format_exc())


def main():
    tap = Tap(len(CASES) + 1)
    with tempfile.TemporaryDirectory(prefix="hamlet-test-") as folder:
        w = World(pathlib.Path(folder))
        cases = []
        try:
            for name, fn in CASES:
                bad = []
                cases.append({"name": name, "bad": bad, "run": fn(w, bad), "skip": None})
            step(cases)
            step(cases)
            w.a.move_clock(HOUR)
            step(cases)
            for case in cases:
                if case["skip"]:
                    tap.skip(case["name"], case["skip"])
                else:
                    tap.ok(not case["bad"], case["name"], "\n".join(map(str, case["bad"])))
        finally:
            problems = w.close()
        tap.test("everything ends cleanly", lambda: problems)
    tap.done()


main()
