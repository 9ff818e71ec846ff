#!/usr/bin/env python3
"""The same 10,000 questions to dnsd's cache server, unbound and Knot Resolver over a private internet
(t/lib/internet.py): rcode, AD and answers are the same, but for what is explained here."""
import collections
import os
import pathlib
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / d) for d in ("lib", "bench")]
import dnswire  # noqa: E402
import netns  # noqa: E402
import peers  # noqa: E402
import resolvers  # noqa: E402
from internet import Internet  # noqa: E402
from tap import Tap  # noqa: E402

COUNT = 50000 if os.environ.get("HAMLET_LONG") else 10000
SHOWN = 15


def view(m):
    """What is compared: signatures are part of what was validated."""
    if m is None:
        return None
    return (dnswire.RCODES.get(m.rcode, m.rcode), "ad" in m.bits().split(),
            "tc" in m.bits().split(),
            tuple(sorted((o, t, d) for o, t, _, d in m.answer if t != "RRSIG")))


def under(*zones):
    return lambda q, a, b: any(q[0].endswith(f"{z}.") for z in zones)


def is_cname_itself(q, a, b):
    return (q[1] == "CNAME" and a and b and a[0] == "NOERROR" and b[0] == "NXDOMAIN"
            and a[3] == b[3])


def less_secure(zone):
    return lambda q, a, b: a and b and under(zone)(q, a, b) and a[1] and not b[1] and (
        a[0], *a[2:]) == (b[0], *b[2:])


# Why others answer something else: fn(question, ours, theirs).
UNBOUND = {
    "it goes on asking servers that say nothing": lambda q, a, b: b is None and a and
    a[0] == "SERVFAIL",
    "it says NXDOMAIN of where a CNAME leads that itself was asked for": is_cname_itself,
    "it does not validate the CNAME that a DNAME makes when it itself was asked for":
        lambda q, a, b: q[1] == "CNAME" and a and b and b[0] == "SERVFAIL" and
        any(r[1] == "DNAME" for r in a[3]),
    "all of a zone of too many NSEC3 iterations is insecure to it": less_secure("many.sig"),
}
KRESD = {
    "it gives up where one server of two is lame": lambda q, a, b: b and b[0] == "SERVFAIL" and
    under("quarter.sig", "half.sig")(q, a, b),
    "all of a zone of too many NSEC3 iterations is insecure to it": less_secure("many.sig"),
    "it answers with the parent's NS records": lambda q, a, b: q == ("lame.sig.", "NS") and b and
    b[:2] == ("NOERROR", False),
    "it leaves the DNAME out where the zone is not validated": lambda q, a, b: a and b and
    a[:3] == b[:3] and tuple(r for r in a[3] if r[1] != "DNAME") == b[3],
}


def compare(questions, ours, theirs, explained):
    bad, seen = [], collections.Counter()
    for q, a, b in zip(questions, map(view, ours), map(view, theirs)):
        if a == b:
            continue
        why = next((why for why, fn in explained.items() if fn(q, a, b)), None)
        if why:
            seen[why] += 1
        else:
            bad.append(f"{q[0]} {q[1]}: {a} theirs {b}")
    return ([f"{len(bad)} differences", *bad[:SHOWN]] if bad else []), seen


def main():
    t = Tap()
    try:
        peers.nsd(), peers.unbound(), peers.kresd()
        netns.enter()
    except (RuntimeError, netns.Refused) as e:
        t.skip("answers are compared", str(e))
        t.done()
    with tempfile.TemporaryDirectory(prefix="hamlet-net-") as folder:
        net = Internet(pathlib.Path(folder))
        try:
            net.start()
            questions = net.questions(COUNT)
            ours = asked(resolvers.Dnsd, net, questions)
            missing = [f"{q[0]} {q[1]}" for q, a in zip(questions, ours) if not a]
            t.ok(not missing, f"{COUNT} questions are answered", "\n".join(missing[:SHOWN]))
            for kind, explained in ((resolvers.Unbound, UNBOUND), (resolvers.Kresd, KRESD)):
                bad, seen = compare(questions, ours, asked(kind, net, questions), explained)
                t.ok(not bad, f"{kind.__name__} answers the same", "\n".join(bad))
                for why, n in seen.items():
                    t.note(f"{kind.__name__}: {n} times, {why}")
        finally:
            net.close()
    t.done()


def asked(kind, net, questions):
    resolver = kind(net)
    try:
        return resolvers.ask_all(resolver.port, questions)
    finally:
        resolver.close()


if __name__ == "__main__":
    main()
