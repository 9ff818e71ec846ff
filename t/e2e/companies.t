#!/usr/bin/env python3
"""Two companies, a.test and b.test: a hamlet each, in two network namespaces with the real ports,
and the names of both in dnsd on a third host. Mail goes from users to users between them, and
comes back when it cannot be delivered.

HAMLET_LONG: more messages in the traffic that is cut by kills, and more kills.
"""
import collections
import email
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "bench")]
import load  # noqa: E402
import netns  # noqa: E402
from arrived import Notice, came_by, differ, notices  # noqa: E402
from company import PASSWORD, Company, Names, Submitter, wait_for  # noqa: E402
from tap import Tap  # noqa: E402

LONG = bool(os.environ.get("HAMLET_LONG"))
A, B, INTERNET, NOBODY = 1, 2, 53, 99
DNS = f"dns {{ server {netns.v4(INTERNET)} }}\n"
# The second attempt at these two comes soon; other domains wait the usual minute. A lease is
# short: a company that was killed takes its own mail up again when it has run out.
SENDS = DNS + "relay { lease 10s }\nroute a.test b.test { retry-first 1s }\nmax-hops 10\n"
CONNECTIONS = 20  # to a destination: the default of route's directive
ZONE = f"""$ORIGIN test.
ns A {netns.v4(INTERNET)}
a MX 10 mail.a
mail.a A {netns.v4(A)}
mail.a AAAA {netns.v6(A)}
b MX 10 mail.b
mail.b A {netns.v4(B)}
mail.b AAAA {netns.v6(B)}
; other domains of b: no host is at the first one's primary, nothing listens at the second's, and
; the third has no MX
gone MX 10 gone
gone MX 20 mail.b
gone A {netns.v4(NOBODY)}
closed MX 10 ns
closed MX 20 mail.b
plain A {netns.v4(B)}
wait MX 10 mail.b
null MX 0 .
"""
OTHERS = ["gone.test", "closed.test", "plain.test", "wait.test"]


class World:
    """The hosts and what runs on them."""

    def __init__(self, wire):
        self.running = []
        try:
            internet = wire.host("internet", INTERNET)
            hosts = wire.host("a", A), wire.host("b", B)
            self.running.append(Names(internet, netns.v4(INTERNET), {"test": ZONE}))
            self.a, self.b = (self.company(*what) for what in zip(hosts, ("a.test", "b.test")))
            self.a.people("alice", "carol")
            self.b.people("bob", "dave")
            for domain in OTHERS:
                self.b.account(f"bob@{domain}", PASSWORD)
        except BaseException:
            self.close()
            raise

    def company(self, host, domain):
        c = Company(host, domain, conf={"smtpd": SENDS, "stored": "send-limit 0\n"})
        self.running.append(c)
        return c

    def clean(self):
        """What a failed case has left is not in the way of the next."""
        self.a.clean("alice", "carol")
        self.b.clean("bob", "dave", *(f"bob@{domain}" for domain in OTHERS))

    def logs(self):
        return "\n".join(f"{c.domain}: {line}" for c in (self.a, self.b)
                         for line in c.log("hamletd").splitlines())

    def close(self):
        return [p for r in reversed(self.running) for p in r.close() or []]


# --- cases
def inbound(w):
    """A client on a's host gives b's port 25 a message."""
    text = load.message("inbound")
    with w.a.host:
        swaks("--server", netns.v4(B), "--to", "bob@b.test", "--helo", "mail.a.test",
              "--tls-optional", text=text)
    return differ([text], w.b.arrives("bob"))


def swaks(*words, text):
    got = subprocess.run(
        ["swaks", "--silent", "2", "--from", "alice@a.test", "--data", "-", *words],
        input=text, capture_output=True, timeout=60, check=False)
    if got.returncode != 0:
        raise RuntimeError(got.stdout.decode() + got.stderr.decode())


def curl(company, user, *words, text=None):
    with company.host:
        return subprocess.run(
            ["curl", "--silent", "--show-error", "--fail", "--max-time", "60", "--cacert",
             company.ca, "--user", f"{user}@{company.domain}:{PASSWORD}", "--ssl-reqd", *words],
            input=text, stdout=subprocess.PIPE, check=True, timeout=90).stdout


def fetchmail(company, user):
    """One message, with LF as fetchmail hands it over."""
    home = company.dir / "fetchmail"
    home.mkdir(mode=0o700)
    rc = home / "rc"
    rc.write_text(f'poll 127.0.0.1 protocol pop3 service 995\n'
                  f'user "{user}@{company.domain}" password "{PASSWORD}" ssl sslcertck '
                  f'sslcertfile "{company.ca}" sslcommonname "{company.domain}" no rewrite '
                  f'mda "cat >{home}/mail"\n')
    rc.chmod(0o600)
    with company.host:
        subprocess.run(["fetchmail", "--fetchmailrc", rc, "--silent"], check=True,
                       timeout=60, env=dict(os.environ, FETCHMAILHOME=str(home), HOME=str(home)))
    return (home / "mail").read_bytes()


def both_ways(w):
    """swaks submits and curl fetches, curl submits and fetchmail fetches."""
    there = load.message("there")
    back = load.message("back").replace(b"<alice@a.test>", b"<bob@b.test>")
    with w.a.host:
        swaks("--server", "127.0.0.1:587", "--tls", "--auth", "PLAIN", "--auth-user",
              "alice@a.test", "--auth-password", PASSWORD, "--to", "bob@b.test", text=there)
    wait_for("mail for bob", lambda: w.b.held("bob") == 1)
    got = curl(w.b, "bob", "pop3s://127.0.0.1/1")
    problems = differ([there], [got]) + came_by(got, "mail.b.test", "ESMTPS")
    w.b.fetch("bob")
    curl(w.b, "bob", "smtp://127.0.0.1:587", "--mail-from", "bob@b.test", "--mail-rcpt",
         "alice@a.test", "--upload-file", "-", text=back)
    wait_for("mail for alice", lambda: w.a.held("alice") == 1)
    got = fetchmail(w.a, "alice").replace(b"\n", b"\r\n")
    w.a.fetch("alice")
    got = got[got.index(b"Received: from mail.b.test"):]  # fetchmail's own is before it
    return problems + differ([back], [got]) + came_by(got, "mail.a.test", "ESMTPS")


def many_recipients(w):
    """One message to 200 at b and 50 at a."""
    text = load.message("many")
    there = [f"u{i}" for i in range(200)]
    here = [f"u{i}" for i in range(50)]
    w.b.people(*there)
    w.a.people(*here)
    w.a.submit("alice@a.test", [f"{u}@b.test" for u in there] + [f"{u}@a.test" for u in here], text)
    w.a.emptied()
    problems = []
    for company, users in ((w.a, here), (w.b, there)):
        for user in users:
            problems += [f"{user}@{company.domain}: {p}" for p in
                         differ([text], company.arrives(user))]
    return problems[:10]


def other_mx(w):
    """The primary does not answer, refuses, or there is no MX but an address."""
    problems = []
    for domain in ("gone.test", "closed.test", "plain.test"):
        w.a.submit("alice@a.test", [f"bob@{domain}"], load.message(domain))
    for domain in ("closed.test", "plain.test", "gone.test"):
        problems += differ([load.message(domain)], w.b.arrives(f"bob@{domain}"))
    return problems


def failures(w):
    """An unknown user there, a domain without mail, a domain that is not: the sender is told of
    each, by a notice that programs understand."""
    w.a.submit("alice@a.test", ["nobody@b.test", "bob@b.test"], load.message("half"))
    w.a.submit("alice@a.test", ["x@null.test"], load.message("null"))
    w.a.submit("alice@a.test", ["x@none.test"], load.message("none"))
    got = notices(w.a, "alice", 3)
    problems = [] if len(got) == 3 else [f"notices about {list(got)}"]
    for who, status in (("nobody@b.test", r"5\.1\.1"), ("x@null.test", r"5\.1\.10"),
                        ("x@none.test", r"5\.1\.2")):
        problems += got[who].wrong("failed", who, status) if who in got else [f"no word of {who}"]
    if "nobody@b.test" in got:
        row = got["nobody@b.test"].recipients[0]
        problems += [] if "550" in row.get("Diagnostic-Code", "") else [row.as_string()]
        problems += [] if "mail.b.test" in row.get("Remote-MTA", "") else [row.as_string()]
    problems += differ([load.message("half")], w.b.arrives("bob"))
    return problems + ([] if not w.a.queue() else [f"left in the queue: {w.a.queue()}"])


def one_side_down(w):
    """b is stopped: what a has for it waits, is listed, and alice hears of it when it takes long;
    then one message goes by itself and the other because it is flushed."""
    with w.b.absent():
        for domain in ("b.test", "wait.test"):
            w.a.submit("alice@a.test", [f"bob@{domain}"], load.message(domain))
        rows = w.a.deferred(2)
        problems = [f"listed: {r}" for r in rows if r["to"] != "outside" or not r["text"]]
        listed = w.a.queue("--to", "wait.test")
        if len(listed) != 1 or listed[0]["sender"] != "alice@a.test":
            problems.append(f"queue list --to wait.test: {listed}")
    problems += differ([load.message("b.test")], w.b.arrives("bob"))  # by itself
    problems += [] if len(w.a.queue()) == 1 else [f"not held back: {w.a.queue()}"]
    w.a.ctl("queue", "flush", "--to", "wait.test")
    problems += differ([load.message("wait.test")], w.b.arrives("bob@wait.test"))
    w.a.emptied()
    return problems


def delay(w):
    """Hours later: a notice that it is late, once, and the mail itself when b is back."""
    with w.b.absent():
        w.a.submit("alice@a.test", ["bob@b.test"], load.message("delayed"))
        w.a.deferred(1)
        w.a.move_clock(5 * 3600)
        got = notices(w.a, "alice", 1)
        problems = got["bob@b.test"].wrong("delayed", "bob@b.test", r"4\.\d\.\d")
    w.a.ctl("queue", "flush", "--all")
    problems += differ([load.message("delayed")], w.b.arrives("bob"))
    w.a.emptied()
    return problems + [f"a second notice: {m[:1000]!r}" for m in w.a.fetch("alice")]


def loop(w):
    """a forwards to b and b to a, until one sees that this was here too often."""
    w.a.ctl("alias", "add", "round@a.test", "round@b.test")
    w.b.ctl("alias", "add", "round@b.test", "round@a.test")
    w.a.submit("alice@a.test", ["round@a.test"], load.message("loop"))
    mail = w.a.arrives("alice")
    for company in (w.a, w.b):
        company.emptied()
    mail += w.a.fetch("alice")
    if len(mail) != 1:
        return [f"{len(mail)} messages for alice"] + [repr(m[:2000]) for m in mail]
    notice = Notice(mail[0], "mail.a.test")
    row = notice.recipients[0]
    hops = sum(1 for line in mail[0].decode(errors="replace").splitlines()
               if line.startswith("Received:"))
    good = row["Action"] == "failed" and row["Status"] == "5.4.6" and hops >= 10
    return [] if good else [f"{hops} Received fields", notice.message.as_string()[:3000]]


# --- kills
def kills(w, tap):
    """Whole sides are killed in traffic both ways: what was acknowledged arrives, and whole. Twice
    only where a kill came between the delivery and its result, which may be once for a connection
    and kill."""
    most, rounds = (500, 6) if LONG else (60, 2)
    stop = threading.Event()
    ways = [(w.a, "alice@a.test", ["bob@b.test", "dave@b.test"]),
            (w.b, "bob@b.test", ["carol@a.test"])]
    senders = [Submitter(c, user, f"k{c.domain[0]}{i}", to, stop, most=most, pause=0.01)
               for c, user, to in ways for i in range(3)]
    for s in senders:
        s.start()
    for i in range(rounds):
        time.sleep(0.4)
        for company in ((w.b,), (w.a,), (w.a, w.b))[i % 3]:
            company.down(signal.SIGKILL)
            company.up()
    for s in senders:
        s.join(120)
    for company in (w.a, w.b):
        company.move_clock(30)  # leases of the killed run out
        company.ctl("queue", "flush", "--all")
    for company in (w.a, w.b):
        company.emptied()
    acked = sum(len(s.acked) for s in senders)
    boxes = {box: opened(w, box) for _, _, to in ways for box in to}
    twice = sum(n - 1 for seen, _ in boxes.values() for n in seen.values())
    tap.note(f"{acked} acknowledged, {sum(s.broken for s in senders)} times cut off, "
             f"{sum(s.refused for s in senders)} times refused for now, {twice} copies too many")
    problems = [p for p in load.compare_boxes(senders, boxes) if " times" not in p]
    problems += [] if acked > most else [f"only {acked} acknowledged: the test shows little"]
    if twice > rounds * 2 * CONNECTIONS * 2:
        problems.append(f"{twice} copies more than were sent")
    for company in (w.a, w.b):
        problems += company.ctl("check").splitlines()
    return problems[:20]


def opened(w, box):
    """As load.mailbox: token -> how often, and what is torn."""
    user, domain = box.split("@")
    seen, problems = collections.Counter(), []
    for mail in (w.a if domain == "a.test" else w.b).fetch(user):
        token = email.message_from_bytes(mail)["Subject"]
        seen[token] += 1
        if not mail.endswith(load.message(token).partition(b"\r\n\r\n")[2]):
            problems.append(f"{box}: {token} is torn")
    return seen, problems


CASES = [
    ("swaks gives mail to the other company's port 25", inbound),
    ("mail goes both ways, byte for byte and over TLS", both_ways),
    ("one message to 200 recipients there and 50 here", many_recipients),
    ("the second MX takes over from a dead one; an address does without MX", other_mx),
    ("what cannot be delivered comes back as notices", failures),
    ("one side is down: its mail waits and comes, by itself and flushed", one_side_down),
    ("late mail is told of, once", delay),
    ("a loop between both ends with a notice", loop),
]


def skip_all(names, why):
    tap = Tap(len(names))
    for name in names:
        tap.skip(name, str(why).splitlines()[0])
    tap.done()


def main():
    killed = "whole sides are killed in traffic: nothing is lost or torn"
    names = [name for name, _ in CASES] + [killed, "everything ends cleanly"]
    try:
        netns.enter()
        wire = netns.Wire()
    except (netns.Refused, RuntimeError, OSError) as e:
        skip_all(names, e)
    tap = Tap(len(names))
    w = World(wire)
    try:
        for name, case in CASES:
            begun = time.monotonic()
            if not tap.test(name, case, w):
                tap.note(w.logs())
                w.clean()
            tap.note(f"{time.monotonic() - begun:.1f} s")
        tap.test(killed, kills, w, tap)
    finally:
        problems = w.close()
    tap.test(names[-1], lambda: problems)
    tap.done()


main()
