"""Zones with every oddity of RFC 1034 and what came since, for comparisons with other servers."""
import pathlib
import subprocess
import tempfile

HEAD = """$TTL 3600
@ SOA ns1.{0} hostmaster.{0} 7 7200 3600 1209600 300
@ NS ns1.{0}
@ NS ns.else.
ns1.{0} A 192.0.2.1
ns1.{0} AAAA 2001:db8::1
"""

PLAIN = """
www A 192.0.2.80
www AAAA 2001:db8::80
@ MX 10 mail
@ MX 20 mail.else.
mail A 192.0.2.25
UPPER A 192.0.2.26
a.b.c.empty A 192.0.2.7
*.wild A 192.0.2.99
*.wild TXT "wild"
there.wild A 192.0.2.98
below.there.wild TXT "below"
ent.below.wild2.wild TXT "deep"
*.alias CNAME www
*.aliasnone CNAME nothing
*.deep.*.star TXT "a star in the middle"
*.*.stars A 192.0.2.97
a\\*b A 192.0.2.96
web CNAME www
hops CNAME web
more CNAME hops
out CNAME www.else.
dangling CNAME nothing
towild CNAME q.wild
tocut CNAME www.sub
toent CNAME empty
loop1 CNAME loop2
loop2 CNAME loop1
sub NS ns.sub
sub NS ns.else.
ns.sub A 192.0.2.53
ns.sub AAAA 2001:db8::53
deep.x.sub2 NS ns1
noglue NS ns.else.
secure NS ns.secure
ns.secure A 192.0.2.54
secure DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
dn DNAME target
dn TXT "at a DNAME"
www.target A 192.0.2.82
todn CNAME www.dn
dnout DNAME else.
*.wildmx MX 10 mail
_sip._tcp SRV 0 5 5060 mail
srvout SRV 0 5 5060 sip.else.
naptr NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.org!" .
ptr PTR www
"""

ODD = """
caa CAA 0 issue "ca.test"
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
sshfp SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789
_443._tcp TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
svc HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.80
svc2 HTTPS 0 svc
odd TYPE65400 \\# 4 c0000201
odd TXT "beside"
text TXT "" "a\\"b" "\\000\\255"
many A 192.0.2.101
""" + "".join(f"many A 192.0.2.{i}\n" for i in range(102, 140)) + "".join(
    f'big TXT "{i:03} {"x" * 200}"\n' for i in range(40))

ROOT = """$TTL 86400
. SOA a.root-servers.net. nstld.example. 2026112401 1800 900 604800 86400
. NS a.root-servers.net.
. NS b.root-servers.net.
a.root-servers.net. A 192.0.2.201
a.root-servers.net. AAAA 2001:db8::201
b.root-servers.net. A 192.0.2.202
net. NS a.gtld.net.
net. NS b.gtld.net.
a.gtld.net. A 192.0.2.203
b.gtld.net. AAAA 2001:db8::203
arpa. NS a.root-servers.net.
com. NS a.gtld.net.
com. DS 30909 8 2 e2d3c916f6deeac73294e8268fb5885044a833fc5459588f4a9184cfc41a5766
""" + "".join(f"""tld{i}. NS ns1.nic.tld{i}.
tld{i}. NS ns2.nic.tld{(i + 1) % 40}.
ns1.nic.tld{i}. A 192.0.2.{i + 1}
ns1.nic.tld{i}. AAAA 2001:db8:1::{i + 1}
ns2.nic.tld{i}. A 192.0.2.{i + 101}
""" for i in range(40))


def head(zone):
    return HEAD.format(zone + ".")


def signed(zone, text, *options):
    """By ldns-signzone, for ten years."""
    with tempfile.TemporaryDirectory(prefix="hamlet-sign-") as folder:
        folder = pathlib.Path(folder)
        (folder / "zone").write_text(f"$ORIGIN {zone.strip('.')}.\n" + text)

        def run(*words):
            return subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True,
                                  timeout=120).stdout.strip()

        key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone.strip(".") or ".")
        run("ldns-signzone", "-o", zone.strip(".") or ".", "-e", "20360101000000", "-f", "signed",
            *options, "zone", key)
        return (folder / "signed").read_text()


def zones():
    """{name: text}"""
    nsec3 = ("-n", "-t", "0", "-a", "1")
    return {
        "plain.test": head("plain.test") + PLAIN,
        "odd.test": head("odd.test") + ODD,
        "nsec.test": signed("nsec.test", head("nsec.test") + PLAIN + ODD),
        "nsec3.test": signed("nsec3.test", head("nsec3.test") + PLAIN, *nsec3),
        "optout.test": signed("optout.test", head("optout.test") + PLAIN, *nsec3, "-p"),
        ".": signed(".", ROOT),
    }
