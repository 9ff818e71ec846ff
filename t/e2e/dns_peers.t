#!/usr/bin/env python3
"""The same queries to dnsd, nsd and Knot DNS over the same zones: rcode, flags and rrsets are the
same, but for what is explained here."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import dnswire  # noqa: E402
import oddzones  # noqa: E402
from nameservers import Knot, Nsd  # noqa: E402
from suite import Supervised  # noqa: E402
from tap import Tap  # noqa: E402

KINDS = ("A", "NS", "CNAME", "MX", "TXT", "DS", "NSEC", "TYPE65400")
AT_APEX = ("SOA", "DNSKEY", "NSEC3PARAM", "AAAA", "CAA")
SHOWN = 12


class Dns(Supervised):
    def __init__(self, zones):
        self.zones = zones
        super().__init__(["dnsd"], conf={"dnsd": ""})
        self.port = self.ports["content"]

    def write_conf(self, name):
        folder = self.dir / "zones"
        folder.mkdir(exist_ok=True)
        lines = "rrl {\n\tresponses-per-second 0\n}\n"
        for zone, text in self.zones.items():
            path = folder / (zone.strip(".") or "root")
            path.write_text(text)
            lines += f"zone {zone} file {path}\n"
        self.extra["dnsd"] = lines
        super().write_conf(name)


def owners(zone, text):
    """The names in the zone, as far as its own lines begin with them, and those between."""
    suffix = "." if zone == "." else f".{zone}."
    names = {zone.strip(".") + "."}
    for line in text.splitlines():
        first = line.split()[0] if line[:1].strip() else ""
        # The names of NSEC3 records are not such as are asked for.
        if not first or first[0] in "$;@" or re.search(r"\sNSEC3\s", line):
            continue
        name = first.lower() if first.endswith(".") else (first + suffix).lower()
        while name != suffix.lstrip(".") and name.strip("."):
            names.add(name)
            name = name.partition(".")[2]
    return sorted(names)


def asked(zone, text):
    """(name, type, DNSSEC OK)"""
    apex, out = zone.strip(".") + ".", []
    under = "" if apex == "." else apex
    names = owners(zone, text)
    others = [f"x.{n.lstrip('.')}" for n in names] + [f"x.y.{n.lstrip('.')}" for n in names[::3]]
    others += [f"{c}{under}" for c in ("0.", "zzz.", "a.b.c.d.e.f.", "\\0.")]
    for name in names:
        out += [(name, kind, do) for kind in KINDS for do in (False, True)]
    for name in others:
        out += [(name, kind, do) for kind in ("A", "MX", "DS") for do in (False, True)]
    out += [(name.upper(), "A", True) for name in names[::4]]
    out += [(apex, kind, do) for kind in AT_APEX for do in (False, True)]
    return out


def view(answer):
    """What is compared. Additional addresses are a server's choice, but for those of a referral, and
    so is what is left of an answer that is too long."""
    m = dnswire.Message(answer)
    if "tc" in m.bits().split():
        return (dnswire.RCODES.get(m.rcode, m.rcode), m.bits(), (), (), ())
    referral = not m.answer and any(kind == "NS" for _, kind, *_ in m.authority)
    glue = sorted(r for r in m.additional if r[1] in ("A", "AAAA")) if referral else []
    return (dnswire.RCODES.get(m.rcode, m.rcode), m.bits(), tuple(sorted(m.answer)),
            tuple(sorted(m.authority)), tuple(glue))


WORDS = ("rcode", "flags", "answer", "authority", "glue")


def short(record):
    owner, kind, ttl, data = record
    return f"{owner} {ttl} {kind} {data[:40]}"


def difference(question, ours, theirs):
    """One line for people."""
    name, kind, do = question
    out = [f"{name} {kind}{' +do' if do else ''}:"]
    for what, a, b in zip(WORDS, ours, theirs):
        if a == b:
            continue
        if isinstance(a, tuple):
            more, less = ([short(r) for r in x if r not in y] for x, y in ((a, b), (b, a)))
            out.append(f"{what} more {more} less {less}")
        else:
            out.append(f"{what} {a} theirs {b}")
    return " ".join(map(str, out))


def compare(zone, s, peer, explained, ask=dnswire.ask_stream, edns=1232):
    questions = asked(zone, s.zones[zone])
    queries = [dnswire.query(name, kind, number=i, edns=edns, do=edns and do)
               for i, (name, kind, do) in enumerate(questions)]
    ours, theirs = (list(map(view, ask(p.port, queries))) for p in (s, peer))
    bad, seen = [], set()
    for question, a, b in zip(questions, ours, theirs):
        if a == b:
            continue
        why = next((why for why, fn in explained.items() if fn(question, a, b)), None)
        if why:
            seen.add(why)
        else:
            bad.append(difference(question, a, b))
    return [f"{len(bad)} differences", *bad[:SHOWN]] if bad else [], len(questions), seen


# --- what the others do differently, and why we do not --------------------------------------------
def same_but_authority(a, b):
    return a[:3] == b[:3] and a[4] == b[4]


def only_more(more, less, *kinds):
    """The authority section of `more` is that of `less` and records of these types."""
    extra = [r for r in more[3] if r not in less[3]]
    return (same_but_authority(more, less) and set(less[3]) <= set(more[3])
            and {r[1] for r in extra} <= set(kinds))


def nsec_at_alias(question, ours, theirs):
    return question[1] == "NSEC" and any(r[1] == "CNAME" for r in theirs[2])


def dname_proof(question, ours, theirs):
    return any(r[1] == "DNAME" for r in ours[2]) and only_more(ours, theirs, "NSEC", "RRSIG")


def star_in_question(question, ours, theirs):
    return only_more(theirs, ours, "NSEC3", "RRSIG")


def ds_unsigned(question, ours, theirs):
    return only_more(ours, theirs, "DS")


def empty_star(question, ours, theirs):
    return only_more(ours, theirs, "NSEC", "RRSIG")


EXPLAINED = {
    "nsd": {
        "nsd follows a CNAME when NSEC is asked for; that type may stand beside it (RFC 4034 4), so "
        "we, like Knot, do not": nsec_at_alias,
        "nsd denies only the wildcard, and not the name that a DNAME leads to": dname_proof,
        "a DS in a zone without signatures goes into a referral": ds_unsigned,
        "nsd proves with more NSEC3 records than RFC 5155 7.2 wants": star_in_question,
    },
    "knot": {
        "a DS in a zone without signatures goes into a referral": ds_unsigned,
        "Knot does not prove that a wildcard is an empty non-terminal (RFC 4035 3.1.3.4)": empty_star,
    },
}


def main():
    tap = Tap()
    all_zones = oddzones.zones()
    # The root apart: it is above all others, and would answer for what they lead to.
    for zones in ({n: t for n, t in all_zones.items() if n != "."}, {".": all_zones["."]}):
        s = Dns(zones)
        try:
            for kind in (Nsd, Knot):
                beside(tap, s, kind, zones)
        finally:
            tap.ends(s)
    tap.done()


def beside(tap, s, kind, zones):
    try:
        peer = kind(zones)
    except (RuntimeError, OSError, subprocess.SubprocessError) as e:
        tap.skip(f"the answers are those of {kind.name}", f"it cannot be had: {e}")
        return
    ways = [(zone, "TCP", {}) for zone in zones]
    if "odd.test" in zones:
        ways += [("odd.test", "UDP", {"ask": dnswire.ask_udp}),
                 ("odd.test", "UDP without EDNS", {"ask": dnswire.ask_udp, "edns": 0})]
    for zone, way, options in ways:
        problems, asked_n, seen = compare(zone, s, peer, EXPLAINED[kind.name], **options)
        tap.ok(not problems, f"{zone}: {asked_n} answers by {way} are those of {kind.name}",
               "\n".join(problems))
        for why in sorted(seen):
            tap.note(f"but for: {why}")
    peer.close()


main()
