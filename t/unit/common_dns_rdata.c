/* The data of resource records: text to wire and back, checked and put into canonical form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <ldns/ldns.h>
#include "libcommon/dns/rdata.h"

enum { WORDS = 64 };
static const uint8_t origin[] = "\7example\3org";

/* Words as the zone reader makes them: by blanks, quotes around a whole word gone. */
static size_t cut(const char *text, struct dns_word *w)
{
	size_t n = 0;
	while (*text) {
		bool quoted = *text == '"', inside = quoted;
		const char *p = quoted ? text + 1 : text, *end = p;
		for (; *end && (inside || *end != ' '); end++) {
			if (*end == '\\' && end[1])
				end++;
			else if (*end == '"' && quoted)
				break;
			else if (*end == '"')
				inside = !inside;
		}
		assert_true(n < WORDS);
		w[n++] = (struct dns_word){{p, (size_t)(end - p)}, quoted};
		text = end + (quoted ? 1 : 0);
		while (*text == ' ')
			text++;
	}
	return n;
}

struct read {
	bool ok;
	uint8_t wire[DNS_RDATA_MAX];
	size_t len, bad;
	const char *why;
};

static const struct read *from_text(uint16_t type, const char *text)
{
	static struct read r;
	struct dns_word w[WORDS];
	size_t n = cut(text, w);
	r.ok = dns_rdata_from_text(type, w, n, origin, r.wire, &r.len, &r.why, &r.bad);
	return &r;
}

static const char *to_text(uint16_t type, const uint8_t *wire, size_t len)
{
	static struct buf text;
	buf_clear(&text);
	dns_rdata_text(type, wire, len, &text);
	return buf_cstr(&text);
}

/* What ldns makes of the same text; false: it refuses it. */
static bool by_ldns(const char *type, const char *text, uint8_t *wire, size_t *len)
{
	struct buf line = {0};
	ldns_rr *rr = NULL;
	ldns_rdf *o = ldns_dname_new_frm_data(sizeof(origin), origin);
	ldns_buffer *b = ldns_buffer_new(DNS_RDATA_MAX);
	buf_printf(&line, "x.example.org. 1 IN %s %s", type, text);
	bool ok = ldns_rr_new_frm_str(&rr, buf_cstr(&line), 0, o, NULL) == LDNS_STATUS_OK &&
		  ldns_rr_rdata2buffer_wire(b, rr) == LDNS_STATUS_OK;
	if (ok) {
		*len = ldns_buffer_position(b);
		memcpy(wire, ldns_buffer_begin(b), *len);
		ldns_rr_free(rr);
	}
	ldns_buffer_free(b);
	ldns_rdf_deep_free(o);
	buf_free(&line);
	return ok;
}

/* ldns makes the same of it; it may not know it. */
enum peer { SAME, OURS };
static const struct {
	const char *type, *in, *out; /* out NULL: as it came in */
	enum peer ldns;
} row[] = {
    {"A", "192.0.2.255", NULL, SAME},
    {"NS", "ns1", "ns1.example.org.", SAME},
    {"NS", "@", "example.org.", SAME},
    {"NS", ".", NULL, SAME},
    {"MD", "a.b.", NULL, SAME},
    {"CNAME", "A\\.b.Example.", NULL, SAME},
    {"CNAME", "\\065\\000b.x.", "A\\000b.x.", SAME},
    {"SOA", "ns hostmaster 2026010100 2h 30m 2w 1h30m",
     "ns.example.org. hostmaster.example.org. 2026010100 7200 1800 1209600 5400", SAME},
    {"PTR", "host-1.example.org.", NULL, SAME},
    {"HINFO", "PDP-11 \"UNIX v7\"", "\"PDP-11\" \"UNIX v7\"", SAME},
    {"MINFO", "a. b.", NULL, SAME},
    {"MX", "10 mail", "10 mail.example.org.", SAME},
    {"TXT", "\"v=spf1 -all\" b \"\"", "\"v=spf1 -all\" \"b\" \"\"", SAME},
    {"TXT", "\"a\\\"b\\\\c\\195;\" d\\ e", "\"a\\\"b\\\\c\\195;\" \"d e\"", SAME},
    {"RP", "who. txt", "who. txt.example.org.", SAME},
    {"AFSDB", "1 a.", NULL, SAME},
    {"X25", "311061700956", "\"311061700956\"", SAME},
    {"RT", "10 relay.", NULL, SAME},
    {"KEY", "256 3 8 AQAB", NULL, SAME},
    {"PX", "10 a. b.", NULL, SAME},
    {"GPOS", "-32.6882 116.8652 10.0", "\"-32.6882\" \"116.8652\" \"10.0\"", SAME},
    {"AAAA", "2001:DB8:0:0::1", "2001:db8::1", SAME},
    {"AAAA", "::ffff:192.0.2.1", NULL, SAME},
    {"LOC", "51 30 12.748 N 0 7 39.611 W 0m", "51 30 12.748 N 00 07 39.611 W 0m 1m 10000m 10m",
     SAME},
    {"SRV", "0 5 5060 sip", "0 5 5060 sip.example.org.", SAME},
    {"NAPTR", "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:info@example.org!\" .", NULL, SAME},
    {"KX", "1 a.", NULL, SAME},
    {"CERT", "PKIX 1 RSASHA256 AQAB", "1 1 8 AQAB", SAME},
    {"DNAME", "b.test.", NULL, SAME},
    {"APL", "1:192.168.32.0/21 !1:192.168.38.0/28", "1:192.168.32.0/21 !1:192.168.38.0/28", SAME},
    {"DS", "60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118",
     "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118", SAME},
    {"SSHFP", "2 1 123456789abcdef67890123456789abcdef67890", NULL, SAME},
    {"IPSECKEY", "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==", NULL, SAME},
    {"IPSECKEY", "10 0 2 . AQAB", NULL, SAME},
    {"IPSECKEY", "10 3 2 gw.example.org. AQAB", NULL, SAME},
    {"IPSECKEY", "10 2 2 2001:db8::1 AQAB", NULL, SAME},
    {"IPSECKEY", "10 0 0 .", NULL, OURS},
    {"AMTRELAY", "10 1 2 2001:db8::15", NULL, OURS},
    {"AMTRELAY", "128 0 3 relay", "128 0 3 relay.example.org.", OURS},
    {"AMTRELAY", "10 1 0 .", NULL, OURS},
    {"NSAP", "0x47.0005.80.005a00.0000.0001.e133.ffffff000162.00",
     "0x47000580005a0000000001e133ffffff00016200", SAME},
    {"HIP",
     "2 200100107b1a74df365639cc39f1d578 "
     "AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Up"
     "r1gsNrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D rvs.",
     NULL, SAME},
    {"RRSIG",
     "A ECDSAP256SHA256 3 3600 20300322173103 20300220173103 2642 example.org. oJB1W6WNGv+l dvQ3",
     "A 13 3 3600 20300322173103 20300220173103 2642 example.org. oJB1W6WNGv+ldvQ3", SAME},
    {"RRSIG", "A 13 3 1h 2026000000 0 2642 @ AQAB",
     "A 13 3 3600 20340315014640 19700101000000 2642 example.org. AQAB", OURS},
    {"NSEC", "host A MX RRSIG NSEC TYPE1234 CAA", "host.example.org. A MX RRSIG NSEC CAA TYPE1234",
     SAME},
    {"DNSKEY", "256 3 RSASHA1 AQPSKmynfzW4kyBv 015MUG2DeIQ3",
     "256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3", SAME},
    {"DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", NULL, SAME},
    {"NSEC3", "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG",
     "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA MX RRSIG DNSKEY NSEC3PARAM", SAME},
    {"NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR",
     "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr", SAME},
    {"NSEC3PARAM", "1 0 0 -", NULL, SAME},
    {"NSEC3PARAM", "1 0 12 aabbccdd", NULL, SAME},
    {"TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971", NULL, SAME},
    {"SMIMEA", "3 1 1 d2abde24", NULL, SAME},
    {"NINFO", "\"a b\"", NULL, OURS},
    {"TALINK", "a. b.", NULL, SAME},
    {"CDS", "0 0 0 00", NULL, SAME},
    {"CDNSKEY", "0 3 0 AA==", NULL, SAME},
    {"OPENPGPKEY", "AQAB", NULL, SAME},
    {"CSYNC", "66 3 A NS AAAA", NULL, SAME},
    {"ZONEMD", "2026010100 1 1 c68090d9", NULL, SAME},
    {"SPF", "\"v=spf1 -all\"", NULL, SAME},
    {"NID", "10 0014:4fff:ff20:ee64", NULL, SAME},
    {"L32", "10 10.1.2.0", NULL, SAME},
    {"L64", "10 2001:0db8:1140:1000", NULL, SAME},
    {"LP", "10 l64", "10 l64.example.org.", SAME},
    {"EUI48", "00-00-5e-00-53-2a", NULL, SAME},
    {"EUI64", "00-00-5e-ef-10-00-00-2a", NULL, SAME},
    {"URI", "10 1 \"ftp://ftp.example.org/a\\\"b\"", NULL, SAME},
    {"CAA", "0 issue \"ca.example; account=1\"", NULL, SAME},
    {"CAA", "128 iodef \"\"", NULL, SAME},
    {"AVC", "\"a\"", NULL, OURS},
    {"RESINFO", "\"qnamemin\" \"exterr=15-17\"", NULL, OURS},
    {"DLV", "1 8 2 aabb", NULL, SAME},
    {"ALIAS", "else.test.", NULL, OURS},
    {"TYPE65400", "\\# 3 ab CdEf", "\\# 3 abcdef", SAME},
    {"TYPE65400", "\\# 0", NULL, SAME},
    {"A", "\\# 4 C0000201", "192.0.2.1", SAME},
    {"TYPE1", "192.0.2.1", NULL, SAME},
    {"SVCB", "0 foo.example.com.", NULL, SAME},
    {"HTTPS", "1 . alpn=h2,h3 port=8443", "1 . alpn=\"h2,h3\" port=8443", SAME},
};

static void every_type_goes_to_wire_and_back(void **state)
{
	(void)state;
	unsigned surprises = 0;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint16_t type = dns_type_from_text(slice_of(row[i].type));
		static uint8_t wire[DNS_RDATA_MAX];
		assert_int_not_equal(type, 0);
		const struct read *r = from_text(type, row[i].in);
		if (!r->ok)
			fail_msg("%s %s: %s (word %zu)", row[i].type, row[i].in, r->why, r->bad);
		assert_true(dns_rdata_check(type, r->wire, r->len));
		size_t len = 0;
		bool known = by_ldns(row[i].type, row[i].in, wire, &len);
		if (!known && row[i].ldns == SAME) {
			print_error("ldns refuses %s %s\n", row[i].type, row[i].in);
			surprises++;
		}
		if (known && dns_rdata_cmp(wire, len, r->wire, r->len) != 0)
			fail_msg("%s %s: ldns makes something else of it", row[i].type, row[i].in);
		len = r->len;
		memcpy(wire, r->wire, len);
		const char *want = row[i].out ? row[i].out : row[i].in;
		assert_string_equal(to_text(type, wire, len), want);
		r = from_text(type, want);
		assert_true(r->ok && dns_rdata_cmp(wire, len, r->wire, r->len) == 0);
		for (size_t n = 0; n < len;
		     n++) /* cut short it is the data of a text, or nothing */
			if (dns_rdata_check(type, wire, n))
				assert_true(from_text(type, to_text(type, wire, n))->ok);
	}
	assert_int_equal(surprises, 0);
}

static void mistakes_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *type, *in, *why; /* why: how it begins */
		size_t bad;
	} bad[] = {
	    {"A", "300.1.1.1", "an IPv4 address is wanted", 0},
	    {"A", "1.2.3", "an IPv4 address", 0},
	    {"A", "1.2.3.4.", "an IPv4 address", 0},
	    {"A", "01.2.3.4", "an IPv4 address", 0},
	    {"A", "::1", "an IPv4 address", 0},
	    {"A", "", "an IPv4 address", 0},
	    {"A", "1.2.3.4 5", "nothing more", 1},
	    {"AAAA", "1.2.3.4", "an IPv6 address is wanted", 0},
	    {"AAAA", "1:2:3:4:5:6:7:8:9", "an IPv6 address", 0},
	    {"NS", "a..b", "a label of the name is empty", 0},
	    {"NS", "\\256", "an escape is", 0},
	    {"NS", "a\\", "an escape is", 0},
	    {"NS", "a\"b", "there is a quote", 0},
	    {"NS", "1234567890123456789012345678901234567890123456789012345678901234",
	     "a label of the name is longer", 0},
	    {"MX", "mail 10", "a number from 0 to 65535", 0},
	    {"MX", "65536 mail", "a number from 0 to 65535", 0},
	    {"MX", "10", "a domain name is wanted", 1},
	    {"SOA", "a b 1 2 3 4", "a time in seconds", 6},
	    {"SOA", "a b 1 2 3 4 1h1w", "a time in seconds", 6},
	    {"TXT", "", "a text is wanted", 0},
	    {"TXT", "a b\\1", "an escape is", 1},
	    {"DS", "1 13 2 abc", "hexadecimal digits", 3},
	    {"DS", "1 13 2", "hexadecimal digits", 3},
	    {"DS", "1 RSA 2 ab", "an algorithm", 1},
	    {"DS", "1 13 2 ab xy", "hexadecimal digits", 4},
	    {"DNSKEY", "256 3 13 AQA", "base64 is wanted", 3},
	    {"DNSKEY", "256 3 13 AQ== AQ==", "base64 is wanted", 4},
	    {"DNSKEY", "256 3 13 AR==", "base64 is wanted", 3},
	    {"RRSIG", "A 13 3 1 20300231000000 20300220173103 1 a. AQAB", "a time as YYYY", 4},
	    {"NSEC", "a. A B", "a record type", 2},
	    {"NSEC3", "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojw", "a hash in base32hex", 4},
	    {"NSEC3", "1 0 0 xx 2t7b", "a salt", 3},
	    {"CAA", "0 is-sue x", "a tag", 1},
	    {"LOC", "far away", "the data from here", 0},
	    {"IPSECKEY", "1 4 2 . AQAB", "a type of gateway", 1},
	    {"IPSECKEY", "1 0 2 a AQAB", "\".\" is wanted", 3},
	    {"IPSECKEY", "1 1 2 . AQAB", "an IPv4 address", 3},
	    {"AMTRELAY", "1 2 0 .", "0 or 1", 1},
	    {"EUI48", "00-00-5e-00-53", "an address as", 0},
	    {"EUI48", "00-00-5e-00-53-2a-", "an address as", 0},
	    {"EUI64", "00-00-5e-00-53-2a-0-0", "an address as", 0},
	    {"NID", "1 1:2:3", "four groups", 1},
	    {"NID", "1 1:2:3:4:5", "four groups", 1},
	    {"NSAP", "47", "0x and", 0},
	    {"NSAP", "0x470", "0x and", 0},
	    {"A6", "1", "the data of this type is written as", 0},
	    {"TYPE65400", "x", "the data of this type is written as", 0},
	    {"TYPE65400", "\\# 2 ab", "the data that follows", 1},
	    {"TYPE65400", "\\#", "the length of the data", 1},
	    {"TYPE65400", "\\# 65536 ab", "the length of the data", 1},
	    {"A", "\\# 3 010203", "the data that follows is malformed", 1},
	    {"MX", "\\# 4 000ac00c", "the data that follows is malformed", 1},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct read *r =
		    from_text(dns_type_from_text(slice_of(bad[i].type)), bad[i].in);
		if (r->ok || strncmp(r->why, bad[i].why, strlen(bad[i].why)) != 0 ||
		    r->bad != bad[i].bad)
			fail_msg("%s %s: \"%s\", word %zu", bad[i].type, bad[i].in,
				 r->ok ? "taken" : r->why, r->bad);
	}
}

/* The vectors of RFC 9460 D.1 and D.2, and more. */
static void services_have_parameters(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out, *wire; /* wire: behind priority and name, in hex; NULL: any */
	} good[] = {
	    {"16 foo. port=53", NULL, "000300020035"},
	    {"1 foo. key667=hello", "1 foo. key667=\"hello\"", "029b000568656c6c6f"},
	    {"1 foo. key667=\"hello\\210qoo\"", NULL, "029b000968656c6c6fd2716f6f"},
	    {"1 foo. ipv6hint=\"2001:db8::1,2001:db8::53:1\"",
	     "1 foo. ipv6hint=2001:db8::1,2001:db8::53:1",
	     "0006002020010db800000000000000000000000120010db8000000000000000000530001"},
	    {"16 foo. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
	     "16 foo. mandatory=alpn,ipv4hint alpn=\"h2,h3-19\" ipv4hint=192.0.2.1",
	     "0000000400010004000100090268320568332d313900040004c0000201"},
	    {"16 foo. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", NULL, "0001000c08665c6f6f2c626172026832"},
	    {"16 foo. alpn=f\\\\\\092oo\\092,bar,h2", "16 foo. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
	     "0001000c08665c6f6f2c626172026832"},
	    {"1 . no-default-alpn alpn=h3", "1 . alpn=\"h3\" no-default-alpn", NULL},
	    {"1 . alpn=h3 no-default-alpn=\"\"", "1 . alpn=\"h3\" no-default-alpn", NULL},
	    {"1 . key3=\\000\\053 key1=\"\\002h2\"", "1 . alpn=\"h2\" port=53", NULL},
	    {"1 . ech=AEX+DQA=", NULL, NULL},
	    {"1 . dohpath=/q{?dns} ohttp tls-supported-groups=29,23",
	     "1 . dohpath=\"/q{?dns}\" ohttp tls-supported-groups=29,23", NULL},
	    {"1 . key65534 key10=", "1 . key10 key65534", NULL},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct read *r = from_text(DNS_SVCB, good[i].in);
		if (!r->ok)
			fail_msg("%s: %s (word %zu)", good[i].in, r->why, r->bad);
		char hex[256];
		size_t skip = 2 + dns_name_len(r->wire + 2);
		str_hex(hex, r->wire + skip, r->len - skip);
		if (good[i].wire)
			assert_string_equal(hex, good[i].wire);
		assert_string_equal(to_text(DNS_HTTPS, r->wire, r->len),
				    good[i].out ? good[i].out : good[i].in);
	}
	static const struct {
		const char *in;
		size_t bad;
	} bad[] = {
	    {"1 foo. key123=abc key123=def", 3},
	    {"1 foo. mandatory", 2},
	    {"1 foo. alpn", 2},
	    {"1 foo. port", 2},
	    {"1 foo. ipv4hint", 2},
	    {"1 foo. ipv6hint", 2},
	    {"1 foo. ech", 2},
	    {"1 foo. no-default-alpn=abc", 2},
	    {"1 foo. mandatory=key123", 2},
	    {"1 foo. mandatory=mandatory", 2},
	    {"1 foo. mandatory=key123,key123 key123=abc", 2},
	    {"1 foo. mandatory=alpn, alpn=h2", 2},
	    {"1 foo. no-default-alpn", 2},
	    {"1 foo. alpn=h2,,h3", 2},
	    {"1 foo. alpn=a\\\\b", 2},
	    {"1 foo. port=65536", 2},
	    {"1 foo. key3=x", 2},
	    {"1 foo. key65535=x", 2},
	    {"1 foo. key0667=x", 2},
	    {"1 foo. weight=3", 2},
	    {"1 foo. ipv4hint=1.2.3.4,", 2},
	    {"1 foo. dohpath=q", 2},
	    {"1 foo. alpn=\"h2", 2},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct read *r = from_text(DNS_SVCB, bad[i].in);
		if (r->ok || r->bad != bad[i].bad)
			fail_msg("%s: %s, word %zu", bad[i].in, r->ok ? "taken" : r->why, r->bad);
	}
}

static void malformed_data_is_found(void **state)
{
	(void)state;
	static const struct {
		uint16_t type;
		struct slice wire;
		bool ok;
	} data[] = {
	    {DNS_A, SLICE("\1\2\3"), false},
	    {DNS_A, SLICE("\1\2\3\4\5"), false},
	    {DNS_NS, SLICE("\1a\0"), true},
	    {DNS_NS, SLICE("\1a"), false},
	    {DNS_NS, SLICE("\xc0\0"), false},
	    {DNS_NS, SLICE("\1a\0\0"), false},
	    {DNS_TXT, SLICE(""), false},
	    {DNS_TXT, SLICE("\0"), true},
	    {DNS_TXT, SLICE("\2a"), false},
	    {DNS_NSEC, SLICE("\0\0\1\x40"), true},
	    {DNS_NSEC, SLICE("\0\0\1\0"), false},           /* ends in an empty octet */
	    {DNS_NSEC, SLICE("\0\0\0"), false},             /* an empty window */
	    {DNS_NSEC, SLICE("\0\1\1\x40\0\1\x40"), false}, /* windows go up */
	    {DNS_NSEC3, SLICE("\1\0\0\0\0\0"), false},      /* an empty hash */
	    {DNS_NSEC3, SLICE("\1\0\0\0\1\xff\1x"), true},  /* an empty bitmap */
	    {DNS_CAA, SLICE("\0\0x"), false},               /* an empty tag */
	    {DNS_CAA, SLICE("\0\1+x"), false},
	    {DNS_HTTPS, SLICE("\0\1\0\0\3\0\2\0\1\0\1\0\2\1a"), false}, /* keys go up */
	    {DNS_HTTPS, SLICE("\0\1\0\0\1\0\2\1a\0\1\0\2\1a"), false},
	    {DNS_HTTPS, SLICE("\0\1\0\0\3\0\1\0"), false},
	    {DNS_HTTPS, SLICE("\0\1\0\0\3\0\2\0"), false},
	    {DNS_HTTPS, SLICE("\0\1\0\0\0\0\2\0\1"), true}, /* alpn is missing: carried */
	    {DNS_HTTPS, SLICE("\0\1\0\0\2\0\0"), true},
	    {29, SLICE("\0\x12\x16\x13"), false},
	    {65400, SLICE("anything"), true},
	    {65400, SLICE(""), true},
	};
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
		const uint8_t *wire = (const uint8_t *)data[i].wire.p;
		size_t len = data[i].wire.len;
		if (dns_rdata_check(data[i].type, wire, len) != data[i].ok)
			fail_msg("row %zu", i);
		const char *text = to_text(data[i].type, wire, len);
		if (!data[i].ok)
			assert_int_equal(strncmp(text, "\\# ", 3), 0);
		const struct read *r = from_text(data[i].type, text);
		assert_int_equal(r->ok, data[i].ok);
	}
}

static void names_of_packets_are_decompressed(void **state)
{
	(void)state;
	static const char pkt[] = "\1a\3ORG\0"         /* 0 */
				  "\0\12\4mail\xc0\2"  /* 7: MX */
				  "\1a\xc0\2\0\1\x40"; /* 16: NSEC, which is never compressed */
	uint8_t out[DNS_RDATA_MAX];
	size_t len;
	struct dns_rr mx = {.type = DNS_MX, .rdata = 7, .rdlen = 9};
	assert_true(dns_rdata_read((const uint8_t *)pkt, 23, &mx, out, &len));
	assert_string_equal(to_text(DNS_MX, out, len), "10 mail.ORG.");
	dns_rdata_canonical(DNS_MX, out, len);
	assert_string_equal(to_text(DNS_MX, out, len), "10 mail.org.");
	mx.rdlen = 8;
	assert_false(dns_rdata_read((const uint8_t *)pkt, 23, &mx, out, &len));
	mx.rdlen = 9;
	assert_false(dns_rdata_read((const uint8_t *)pkt, 15, &mx, out, &len));
	struct dns_rr nsec = {.type = DNS_NSEC, .rdata = 16, .rdlen = 7};
	assert_false(dns_rdata_read((const uint8_t *)pkt, 23, &nsec, out, &len));
	struct dns_rr any = {.type = 65400, .rdata = 16, .rdlen = 7};
	assert_true(dns_rdata_read((const uint8_t *)pkt, 23, &any, out, &len) && len == 7);
}

struct seen {
	unsigned names, lower, compress;
};

static void see(void *arg, size_t at, bool lower, bool compress)
{
	struct seen *s = arg;
	(void)at;
	s->names++;
	s->lower += lower;
	s->compress += compress;
}

static void names_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *type, *text;
		struct seen want;
	} names[] = {
	    {"SOA", "A B 1 2 3 4 5", {2, 2, 2}},
	    {"SRV", "1 2 3 A", {1, 1, 0}},
	    {"NSEC", "A MX", {1, 0, 0}},
	    {"NAPTR", "1 1 A B C D", {1, 1, 0}},
	    {"HTTPS", "1 A port=5", {1, 0, 0}},
	    {"TXT", "A", {0, 0, 0}},
	    {"LOC", "1 N 1 W 0m", {0, 0, 0}},
	    {"TYPE65400", "\\# 1 00", {0, 0, 0}},
	    {"DNAME", "A", {1, 1, 0}},
	    {"RRSIG", "A 1 1 1 20300101000000 20300101000000 1 A AQAB", {1, 1, 0}},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint16_t type = dns_type_from_text(slice_of(names[i].type));
		const struct read *r = from_text(type, names[i].text);
		struct seen s = {0};
		assert_true(r->ok);
		dns_rdata_names(type, r->wire, r->len, see, &s);
		assert_memory_equal(&s, &names[i].want, sizeof(s));
	}
}

static void types_have_names(void **state)
{
	(void)state;
	char text[DNS_TYPE_TEXT];
	for (uint32_t type = 1; type <= UINT16_MAX; type++)
		assert_int_equal(dns_type_from_text(slice_of(dns_type_text((uint16_t)type, text))),
				 type);
	assert_int_equal(dns_type_from_text(SLICE("aaaa")), DNS_AAAA);
	assert_int_equal(dns_type_from_text(SLICE("type64")), DNS_SVCB);
	static const char *none[] = {"",  "TYPE",        "TYPE65536", "TYPE-1",
				     "B", "NSEC3PARAMX", "TYPE0"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(dns_type_from_text(slice_of(none[i])), 0);
	assert_string_equal(dns_type_like(SLICE("cnam")), "CNAME");
	assert_string_equal(dns_type_like(SLICE("AAA")), "AAAA");
	assert_null(dns_type_like(SLICE("XYZZY")));
	assert_true(dns_type_is_meta(DNS_ANY) && dns_type_is_meta(DNS_OPT));
	assert_false(dns_type_is_meta(DNS_A) || dns_type_is_meta(DNS_CAA));
}

/* RFC 4034 6.1's own example, and data. */
static void order_is_canonical(void **state)
{
	(void)state;
	static const char *const name[] = {
	    "example",         "a.example",      "yljkjljk.a.example",
	    "Z.a.example",     "zABC.a.EXAMPLE", "z.example",
	    "\\001.z.example", "*.z.example",    "\\200.z.example"};
	uint8_t a[DNS_NAME_MAX], b[DNS_NAME_MAX];
	for (size_t i = 0; i < 9; i++)
		for (size_t k = 0; k < 9; k++) {
			dns_name_from_text(slice_of(name[i]), a);
			dns_name_from_text(slice_of(name[k]), b);
			int d = dns_name_cmp(a, b);
			assert_int_equal((d > 0) - (d < 0), (i > k) - (i < k));
		}
	const uint8_t *x = (const uint8_t *)"abc", *y = (const uint8_t *)"abd";
	assert_true(dns_rdata_cmp(x, 3, y, 3) < 0 && dns_rdata_cmp(x, 3, x, 3) == 0);
	assert_true(dns_rdata_cmp(x, 2, x, 3) < 0 && dns_rdata_cmp(y, 1, x, 0) > 0);
}

static void relative_names_are_bounded(void **state)
{
	(void)state;
	uint8_t out[DNS_NAME_MAX], top[DNS_NAME_MAX];
	const char *why;
	char text[DNS_NAME_TEXT];
	memset(text, 'x', sizeof(text));
	for (size_t i = 63; i < 255; i += 64)
		text[i] = '.';
	assert_int_equal(dns_name_from_zone((struct slice){text, 191}, origin, out, &why), 205);
	assert_int_equal(dns_name_from_zone((struct slice){text, 240}, origin, out, &why), 254);
	assert_int_equal(dns_name_from_zone((struct slice){text, 241}, origin, out, &why), 255);
	assert_int_equal(dns_name_from_zone((struct slice){text, 242}, origin, out, &why), 0);
	text[253] = '.';
	assert_int_equal(dns_name_from_zone((struct slice){text, 254}, origin, top, &why), 255);
	assert_int_equal(dns_name_from_zone((struct slice){text, 255}, origin, out, &why), 0);
	text[253] = 'x';
	text[254] = '.';
	assert_int_equal(dns_name_from_zone((struct slice){text, 255}, origin, out, &why), 0);
	assert_int_equal(dns_name_from_zone(SLICE("a"), top, out, &why), 0);
	assert_int_equal(dns_name_from_zone(SLICE("@"), top, out, &why), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_type_goes_to_wire_and_back),
	    cmocka_unit_test(mistakes_are_told),
	    cmocka_unit_test(services_have_parameters),
	    cmocka_unit_test(malformed_data_is_found),
	    cmocka_unit_test(names_of_packets_are_decompressed),
	    cmocka_unit_test(names_are_told),
	    cmocka_unit_test(types_have_names),
	    cmocka_unit_test(order_is_canonical),
	    cmocka_unit_test(relative_names_are_bounded),
	};
	return cmocka_run_group_tests_name("common_dns_rdata", tests, NULL, NULL);
}
