"""A private internet for resolvers: a signed root, top-level domains, and zones below them that are
signed in several ways, not signed, or broken on purpose, on addresses of 127/8 and port 53 of a
network namespace (netns.enter() comes first).

    net = Internet(folder, hosts=1000)
    net.start()
    net.hints, net.anchor       # files: the root's servers, and its key
    net.questions(10000)        # (name, type), always the same ones

The zones are signed by ldns-signzone and served by nsd; those of OURS are signed and served by a
dnsd that the test starts at 127.1.0.5 and hands over by delegate().
"""
import random
import re
import socket
import subprocess

import netns
from nameservers import Nsd

ROOT, TLDS, LEFT, RIGHT, OURS, SILENT, LAME = (f"127.1.0.{n}" for n in range(1, 8))
ROOT6 = "fd53::1"
LEAVES = (LEFT, RIGHT)
TTL, NEGATIVE = 3600, 300
# How a zone is signed: words of ldns-signzone; None: not at all.
NSEC, NSEC3, OPTOUT = (), ("-n", "-t", "0"), ("-n", "-p", "-t", "0")
EXPIRED = ("-i", "20240101000000", "-e", "20240201000000")
EARLY = ("-i", "20600101000000", "-e", "20610101000000")
MANY = ("-n", "-t", "500", "-s", "abcd")

LEAF = """www A 192.0.2.80
www AAAA 2001:db8::80
mail A 192.0.2.25
@ MX 10 mail
@ MX 20 mail.unsigned.sig.
@ TXT "v=spf1 -all"
alias CNAME www
alias2 CNAME alias
out CNAME www.sec3.sig.
away CNAME www.unsigned.sig.
worse CNAME www.badsig.sig.
nowhere CNAME not-there
*.wild A 192.0.2.99
*.wild TXT "wild"
x.y.deep A 192.0.2.7
dn DNAME www
under.www A 192.0.2.81
cut DNAME sec3.sig.
big TXT {big}
srv._tcp SRV 0 0 443 www
"""


def servers(*addresses, names=("ns1", "ns2")):
    return "".join(f"@ NS {name}\n{name} A {a}\n" for name, a in zip(names, addresses))


def head(serial=1):
    return f"$TTL {TTL}\n@ SOA ns1 hostmaster {serial} 7200 3600 1209600 {NEGATIVE}\n"


def run(*words, **more):
    got = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False,
                         timeout=120, **more)
    if got.returncode:
        raise RuntimeError(f"{words}: {got.stdout}{got.stderr}")
    return got.stdout


class Zone:
    """name without the dot at its end. ds: what the parent has: "good", "none", or lines of text;
    spoil: a function of the signed text."""

    def __init__(self, name, text, at=LEAVES, sign=NSEC, ds="good", spoil=None, ns=None):
        self.name, self.text, self.at, self.sign, self.ds = name, text, at, sign, ds
        self.spoil, self.ns = spoil, ns
        self.key = None
        if sign is None and ds == "good":
            self.ds = "none"

    @property
    def parent(self):
        return self.name.partition(".")[2]

    def delegation(self, ds):
        """Lines for the parent, whose origin is the parent."""
        label = self.name.partition(".")[0]
        if self.ns:
            lines = "".join(f"{label} NS {ns}\n" for ns in self.ns)
        else:
            lines = "".join(f"{label} NS ns{i}.{label}\nns{i}.{label} A {a}\n"
                            for i, a in enumerate(self.at, 1))
        return lines + ds


def spoil_signature(text):
    """The signature over www's addresses is another one."""
    return re.sub(r"(www\.\S+\s.*RRSIG\s+A .* )(\S)(\S+)\n",
                  lambda m: m[1] + ("A" if m[2] != "A" else "B") + m[3] + "\n", text)


def spoil_no_signatures(text):
    return "".join(line for line in text.splitlines(True) if "\tRRSIG\t" not in line)


def spoil_no_denial(text):
    return "".join(line for line in text.splitlines(True)
                   if not re.search(r"\t(NSEC|RRSIG\tNSEC)\b", line))


def spoil_key(text):
    """Signed, but the key is not in the zone."""
    return "".join(line for line in text.splitlines(True)
                   if not re.search(r"\tDNSKEY\t|\tRRSIG\tDNSKEY", line))


def leaf(**more):
    words = " ".join(f'"{"x" * 250}"' for _ in range(12))
    return LEAF.format(big=words, **more)


def hosts(n):
    return "".join(f"h{i} A 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\n" for i in range(n))


class Internet:
    def __init__(self, folder, n=1000):
        self.folder, self.n = folder, n
        self.hints, self.anchor = folder / "root.hints", folder / "root.key"
        self.hints.write_text(f". 3600000 NS a.root.\na.root. 3600000 A {ROOT}\n"
                              f"a.root. 3600000 AAAA {ROOT6}\n")
        self.zones = self.describe()
        self.running, self.silent, self.texts = [], [], {}

    def describe(self):
        alg = "{label} DS 4711 200 2 " + "ab" * 32 + "\n"
        bad = "{label} DS 4711 13 2 " + "cd" * 32 + "\n"
        digest = "{label} DS 4711 13 200 " + "cd" * 32 + "\n"
        return [
            Zone("", "a.root. A " + ROOT + "\na.root. AAAA " + ROOT6 + "\n@ NS a.root.\n", (ROOT,)),
            Zone("sig", servers(TLDS), (TLDS,)),
            Zone("n3", servers(TLDS), (TLDS,), NSEC3),
            Zone("opt", servers(TLDS), (TLDS,), OPTOUT),
            Zone("plain", servers(TLDS), (TLDS,), None),
            Zone("sec.sig", servers(*LEAVES) + leaf() + hosts(self.n)),
            Zone("sec3.sig", servers(*LEAVES) + leaf(), sign=NSEC3),
            Zone("unsigned.sig", servers(*LEAVES) + leaf() + hosts(self.n), sign=None),
            Zone("sub.sec.sig", servers(*LEAVES) + leaf()),
            Zone("sub.unsigned.sig", servers(*LEAVES) + leaf(), sign=None),
            Zone("island.unsigned.sig", servers(*LEAVES) + leaf(), ds="none"),
            Zone("sec.n3", servers(*LEAVES) + leaf()),
            Zone("sec3.n3", servers(*LEAVES) + leaf(), sign=NSEC3),
            Zone("unsigned.n3", servers(*LEAVES) + leaf(), sign=None),
            Zone("sec.opt", servers(*LEAVES) + leaf(), sign=OPTOUT),
            Zone("unsigned.opt", servers(*LEAVES) + leaf(), sign=None),
            Zone("one.plain", servers(*LEAVES) + leaf() + hosts(self.n), sign=None),
            Zone("two.plain", servers(*LEAVES) + leaf(), ds="none"),
            # Servers elsewhere, without glue.
            Zone("glueless.sig", "@ NS ns1.sec.sig.\n@ NS ns2.one.plain.\n" + leaf(),
                 ns=("ns1.sec.sig.", "ns2.one.plain.")),
            # Half of its servers say nothing, or that they do not know the zone.
            Zone("half.sig", servers(LEFT) + leaf(), (SILENT, LEFT)),
            Zone("quarter.sig", servers(LEFT) + leaf(), (LAME, LEFT)),
            # Broken.
            Zone("expired.sig", servers(*LEAVES) + leaf(), sign=EXPIRED),
            Zone("early.sig", servers(*LEAVES) + leaf(), sign=EARLY),
            Zone("badsig.sig", servers(*LEAVES) + leaf(), spoil=spoil_signature),
            Zone("nosig.sig", servers(*LEAVES) + leaf(), spoil=spoil_no_signatures),
            Zone("nodenial.sig", servers(*LEAVES) + leaf(), spoil=spoil_no_denial),
            Zone("nokey.sig", servers(*LEAVES) + leaf(), spoil=spoil_key),
            Zone("badds.sig", servers(*LEAVES) + leaf(), ds=bad),
            Zone("stripped.sig", servers(*LEAVES) + leaf(), sign=None, ds=bad),
            Zone("alg.sig", servers(*LEAVES) + leaf(), sign=None, ds=alg),
            Zone("digest.sig", servers(*LEAVES) + leaf(), ds=digest),
            Zone("many.sig", servers(*LEAVES) + leaf(), sign=MANY),
            Zone("lame.sig", servers(LAME) + leaf(), (LAME,), None),
            Zone("silent.sig", servers(SILENT) + leaf(), (SILENT,), None),
            Zone("circle.sig", leaf(), sign=None, ns=("ns.circle.n3.",)),
            Zone("circle.n3", leaf(), sign=None, ns=("ns.circle.sig.",)),
        ]

    # --- files --------------------------------------------------------------------------------
    def zone(self, name):
        return next(z for z in self.zones if z.name == name)

    def sign(self, zone):
        """The zone's text as it is served, its children's delegations in it."""
        text = head() + zone.text
        for child in self.zones:
            if child.name and child.parent == zone.name:
                text += child.delegation(self.ds_lines(child))
        plain = self.folder / f"{zone.name or 'root'}.plain"
        plain.write_text(text)
        if zone.sign is None:
            return text
        signed = plain.with_suffix(".signed")
        run("ldns-signzone", *zone.sign, "-o", f"{zone.name}.", "-f", signed, plain, zone.key)
        text = signed.read_text()
        return zone.spoil(text) if zone.spoil else text

    def ds_lines(self, child):
        label = child.name.partition(".")[0]
        if child.ds == "none":
            return ""
        if child.ds != "good":
            return child.ds.format(label=label)
        return (self.folder / f"{child.key}.ds").read_text()

    def write(self):
        for zone in self.zones:
            if zone.sign is not None:
                zone.key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", f"{zone.name}.",
                               cwd=self.folder).strip()
        for zone in self.zones:
            if zone.key:
                zone.key = str(self.folder / zone.key)
        self.texts = {zone.name: self.sign(zone) for zone in self.zones}
        root = self.folder / f"{self.zone('').key}.key"
        self.anchor.write_text(root.read_text())

    # --- servers ------------------------------------------------------------------------------
    def start(self):
        netns.ip("address", "add", f"{ROOT6}/128", "dev", "lo", "nodad")
        # With none but loopback's, getaddrinfo() thinks that this host has no IPv4.
        netns.ip("address", "add", "198.51.100.1/32", "dev", "lo")
        self.write()
        for address in (ROOT, TLDS, LEFT, RIGHT, LAME):
            zones = {f"{z.name}.": self.texts[z.name] for z in self.zones if address in z.at
                     and address != LAME}
            if address == LAME:
                zones = {"nothing.": head() + "@ NS ns1\nns1 A 127.1.0.7\n"}
            addresses = (address, ROOT6) if address == ROOT else (address,)
            self.running.append(Nsd(zones, addresses=addresses, port=53))
        self.be_silent(SILENT)

    def be_silent(self, address):
        """There is a server, and it never says anything."""
        self.silent.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.silent[-1].bind((address, 53))

    def close(self):
        for end in [*self.running, *self.silent]:
            end.close()

    # --- questions ----------------------------------------------------------------------------
    def questions(self, n, seed=1):
        rnd = random.Random(seed)
        leaves = [z.name for z in self.zones if z.name.count(".") or z.name == ""]
        large = ("sec.sig", "unsigned.sig", "one.plain")
        labels = ("www", "mail", "alias", "alias2", "out", "away", "worse", "nowhere", "a.wild",
                  "b.c.wild", "x.y.deep", "y.deep", "deep", "under.dn", "www.cut", "big",
                  "srv._tcp", "not-there", "a.b.c.d.e.f", "ns1", "wild", "*.wild")
        kinds = ("A", "AAAA", "MX", "TXT", "NS", "SOA", "DS", "DNSKEY", "SRV", "CNAME", "HTTPS",
                 "TYPE65400", "PTR", "CAA")
        out = []
        while len(out) < n:
            draw = rnd.random()
            if draw < 0.6:
                out.append((f"h{rnd.randrange(self.n * 11 // 10)}.{rnd.choice(large)}.",
                            rnd.choice(("A", "A", "AAAA"))))
            elif draw < 0.9:
                out.append((f"{rnd.choice(labels)}.{rnd.choice(leaves)}.".replace("..", "."),
                            rnd.choice(kinds)))
            elif draw < 0.97:
                out.append((f"{rnd.choice(leaves)}.", rnd.choice(kinds)))
            else:
                out.append((f"no{rnd.randrange(1000)}.{rnd.choice(('sig', 'n3', 'opt', 'zz'))}.",
                            rnd.choice(kinds)))
        return out
