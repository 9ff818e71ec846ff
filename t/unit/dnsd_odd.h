/* Zones that have every oddity, for tests and fuzz targets; as zone_line() takes them. */
#ifndef T_DNSD_ODD_H
#define T_DNSD_ODD_H
// clang-format off

#define SOA(zone) "@ 3600 SOA ns1." zone ". root." zone ". 7 1 2 3 300\n"

static const char odd_plain[] =
    SOA("b.test") "@ 3600 NS ns1\n@ 3600 NS ns.else.\n"
    "ns1 3600 A 192.0.2.1\nns1 3600 AAAA 2001:db8::1\n"
    "www 60 A 192.0.2.10\n"
    "@ 60 MX 10 mail\n@ 60 MX 20 www\nmail 60 A 192.0.2.20\n"
    "_s._tcp 60 SRV 1 2 3 mail\n"
    "a.ent 60 TXT deep\n"
    "*.w 60 A 192.0.2.30\n*.w 60 MX 5 mail.b.test.\nx.w 60 TXT x\n"
    "n.*.e 60 TXT below\n"
    "*.wc 60 CNAME www\n"
    "alias 60 CNAME www\nalias2 60 CNAME alias\nout 60 CNAME a.else.\nnone 60 CNAME nix\n"
    "toent 60 CNAME ent\nmxalias 60 CNAME b.test.\ntocut 60 CNAME x.cut\n"
    "loop1 60 CNAME loop2\nloop2 60 CNAME loop1\nself 60 CNAME self\n"
    "towild 60 CNAME q.w\nother 60 CNAME www.c.test.\n"
    "cut 60 NS ns.cut\ncut 60 NS mail\ncut 60 NS ns.else.\n"
    "ns.cut 60 A 192.0.2.40\nns.cut 60 AAAA 2001:db8::40\n"
    "child 60 NS ns1\n"
    "dn 60 DNAME w\ndn 60 TXT self\nlong 60 DNAME "
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.else.\n"
    "grow 60 DNAME x.grow2\ngrow2 60 DNAME y.grow\n"
    "*.cw 60 A 192.0.2.70\ndeep.*.cw 60 NS ns.else.\n"
    "round 60 DNAME round\n"
    "odd 60 TYPE65400 \\# 3 010203\n";

static const char odd_child[] = SOA("child.b.test") "@ 3600 NS ns1.b.test.\nx 60 A 192.0.2.50\n";
static const char odd_other[] = SOA("c.test") "@ 3600 NS ns1.b.test.\nwww 60 A 192.0.2.60\n"
					   "back 60 CNAME www.b.test.\n@ 60 MX 1 mail.b.test.\n";

/* Signatures are no signatures: only where they stand is looked at. */
#define SIG(name, type) name " 60 RRSIG " type " 13 3 60 20400101000000 20200101000000 1 s.test. AAAA\n"

static const char odd_nsec[] =
    SOA("s.test") SIG("@", "SOA") "@ 3600 NS ns.else.\n" SIG("@", "NS")
    "@ 60 NSEC a.s.test. NS SOA RRSIG NSEC\n" SIG("@", "NSEC")
    "a 60 A 192.0.2.1\n" SIG("a", "A") "a 60 NSEC x.ent.s.test. A RRSIG NSEC\n" SIG("a", "NSEC")
    "x.ent 60 A 192.0.2.1\n" SIG("x.ent", "A")
    "x.ent 60 NSEC mx.s.test. A RRSIG NSEC\n" SIG("x.ent", "NSEC")
    "mx 60 MX 1 a\n" SIG("mx", "MX") "mx 60 NSEC sec.s.test. MX RRSIG NSEC\n" SIG("mx", "NSEC")
    "sec 60 NS ns.else.\nsec 60 DS 1 13 2 00000000000000000000000000000000000000000000000000000000000000AA\n"
    SIG("sec", "DS") "sec 60 NSEC un.s.test. NS DS RRSIG NSEC\n" SIG("sec", "NSEC")
    "un 60 NS ns.un\nns.un 60 A 192.0.2.9\n"
    "un 60 NSEC *.w.s.test. NS RRSIG NSEC\n" SIG("un", "NSEC")
    "*.w 60 A 192.0.2.3\n" SIG("*.w", "A") "*.w 60 NSEC wc.s.test. A RRSIG NSEC\n" SIG("*.w", "NSEC")
    "wc 60 CNAME q.w\n" SIG("wc", "CNAME") "wc 60 NSEC s.test. CNAME RRSIG NSEC\n" SIG("wc", "NSEC");

/* The zone of RFC 5155 Appendix A with the examples of its Appendix B. */
#define N3(owner, next, types) owner " 3600 NSEC3 1 1 12 aabbccdd " next " " types "\n" \
	SIG(owner, "NSEC3")
#define H_APEX "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
#define H_NS1  "2t7b4g4vsa5smi47k61mv5bv1a22bojr"
#define H_XYW  "2vptu5timamqttgl4luu9kg21e0aor3s"
#define H_A    "35mthgpgcu1qg68fab165klnsnk3dpvl"
#define H_XW   "b4um86eghhds6nea196smvmlo4ors995"
#define H_AI   "gjeqe526plbf1g8mklp59enfd789njgi"
#define H_YW   "ji6neoaepv8b5o6k4ev33abha8ht9fgc"
#define H_W    "k8udemvp1j2f7eg6jebps17vp3n8i58h"
#define H_ODD  "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"
#define H_NS2  "q04jkcevqvmu85r014c7dkba38o0ji5r"
#define H_STAR "r53bq7cc2uvmubfu5ocmm6pers9tk9en"
#define H_XX "t644ebqk9bibcna874givr6joj62mlhv"

static const char odd_nsec3[] =
    SOA("example") SIG("@", "SOA") "@ 3600 NS ns1\n@ 3600 NS ns2\n" SIG("@", "NS")
    "@ 3600 MX 1 xx\n" SIG("@", "MX") "@ 3600 NSEC3PARAM 1 0 12 aabbccdd\n"
    N3(H_APEX, H_NS1, "MX DNSKEY NS SOA NSEC3PARAM RRSIG") N3(H_NS1, H_XYW, "A RRSIG")
    N3(H_XYW, H_A, "MX RRSIG") N3(H_A, H_XW, "NS DS RRSIG") N3(H_XW, H_AI, "MX RRSIG")
    N3(H_AI, H_YW, "A HINFO AAAA RRSIG") N3(H_YW, H_W, "") N3(H_W, H_ODD, "")
    N3(H_ODD, H_NS2, "A RRSIG") N3(H_NS2, H_STAR, "A RRSIG") N3(H_STAR, H_XX, "MX RRSIG")
    N3(H_XX, H_APEX, "A HINFO AAAA RRSIG")
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr 3600 A 192.0.2.127\n" SIG(H_NS1, "A")
    "a 3600 NS ns1.a\na 3600 DS 58470 5 1 3079F1593EBAD6DC121E202A8B766A6A4837206C\n" SIG("a", "DS")
    "ns1.a 3600 A 192.0.2.5\nai 3600 A 192.0.2.9\n" SIG("ai", "A")
    "c 3600 NS ns1.c\nns1.c 3600 A 192.0.2.7\n"
    "ns1 3600 A 192.0.2.1\n" SIG("ns1", "A") "ns2 3600 A 192.0.2.2\n" SIG("ns2", "A")
    "un.ent 3600 NS ns1.a\n" /* with opt-out the two names have no NSEC3 */
    "*.w 3600 MX 1 ai\n" SIG("*.w", "MX") "x.w 3600 MX 1 xx\n" SIG("x.w", "MX")
    "x.y.w 3600 MX 1 xx\n" SIG("x.y.w", "MX") "xx 3600 A 192.0.2.10\n" SIG("xx", "A");

// clang-format on
#endif
