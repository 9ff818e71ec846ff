#!/usr/bin/env python3
"""Two companies, a.test and b.test: a hamlet each, in two network namespaces with the real ports,
and the names of both in an nsd on a third host. Mail goes from users to users between them."""
import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "bench")]
import load  # noqa: E402
import netns  # noqa: E402
import peers  # noqa: E402
from company import Company, Names  # noqa: E402
from tap import Tap  # noqa: E402

A, B, INTERNET = 1, 2, 53
ZONES = {
    "a.test": f"""@ MX 10 mail
mail A {netns.v4(A)}
mail AAAA {netns.v6(A)}
""",
    "b.test": f"""@ MX 10 mail
mail A {netns.v4(B)}
mail AAAA {netns.v6(B)}
""",
}


class World:
    """The hosts and what runs on them."""

    def __init__(self, wire):
        self.running = []
        try:
            internet = wire.host("internet", INTERNET)
            hosts = wire.host("a", A), wire.host("b", B)
            self.running.append(Names(internet, netns.v4(INTERNET), ZONES))
            self.a, self.b = (self.company(*what) for what in zip(hosts, ("a.test", "b.test")))
            self.a.people("alice", "carol")
            self.b.people("bob", "dave")
        except BaseException:
            self.close()
            raise

    def company(self, host, domain):
        c = Company(host, domain)
        self.running.append(c)
        return c

    def close(self):
        return [p for r in reversed(self.running) for p in r.close() or []]


def differ(sent, got):
    """What arrived is what was sent, below the fields of the way, in any order. A client may end
    the text with an empty line."""
    problems = [] if len(got) == len(sent) else [f"{len(got)} messages, not {len(sent)}"]
    for text in sent:
        if not any(mail.endswith((text, text + b"\r\n")) for mail in got):
            problems.append(f"missing: {text[:200]!r} ... {text[-20:]!r}")
            problems += [f"got {mail[:600]!r} ... {mail[-20:]!r}" for mail in got[:2]]
    return problems


def inbound(w):
    """A client on a's host gives b's port 25 a message."""
    text = load.message("inbound")
    with w.a.host:
        got = subprocess.run(
            ["swaks", "--silent", "2", "--server", netns.v4(B), "--from", "alice@a.test", "--to",
             "bob@b.test", "--helo", "mail.a.test", "--tls-optional", "--data", "-"],
            input=text, capture_output=True, timeout=60, check=False)
    if got.returncode != 0:
        return [got.stdout.decode() + got.stderr.decode()]
    mail = w.b.arrives("bob")
    return differ([text], mail)


CASES = [
    ("swaks gives mail to the other company's port 25", inbound),
]


def skip_all(names, why):
    tap = Tap(len(names))
    for name in names:
        tap.skip(name, str(why).splitlines()[0])
    tap.done()


def main():
    names = [name for name, _ in CASES] + ["everything ends cleanly"]
    try:
        peers.nsd()  # unpacked while there is a network
        netns.enter()
        wire = netns.Wire()
    except (netns.Refused, RuntimeError, OSError) as e:
        skip_all(names, e)
    tap = Tap(len(names))
    w = World(wire)
    try:
        for name, case in CASES:
            tap.test(name, case, w)
    finally:
        problems = w.close()
    tap.test(names[-1], lambda: problems)
    tap.done()


main()
