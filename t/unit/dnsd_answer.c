/* Responses to queries over zones that have every oddity. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "t/unit/dnsd_odd.h"
#include "t/unit/dnsd_zone.h"

static struct zones *zones;
static struct image *image[8];
static unsigned images;
static const uint8_t secret[2][COOKIE_SECRET] = {{0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f,
						  0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf}};
static struct answer_conf conf = {.udp_size = 1232,
				  .nsid = {"n1", 2},
				  .minimal_any = true,
				  .additional = true,
				  .version = "hamlet",
				  .cookie_secret = secret};

static void add_zone(const char *name, const char *text)
{
	image[images] = zone_image(name, text);
	zones_set(zones, wire_name(name), image[images], images);
	images++;
}

/* --- a query from words: NAME TYPE [+rd +edns +do +tcp +tls +size=N +nsid +ch] -----------------
 */
struct asked {
	uint8_t pkt[600];
	size_t len;
	struct answer_way way;
};

static void ask_option(struct dns_out *o, struct slice word, struct asked *a, bool *edns)
{
	static size_t opt;
	if (slice_eqs(word, "+tcp") || slice_eqs(word, "+tls"))
		a->way.stream = true;
	if (slice_eqs(word, "+tls"))
		a->way.encrypted = true;
	if (slice_eqs(word, "+rd"))
		o->p[2] |= 1;
	if (slice_eqs(word, "+ch"))
		o->p[o->len - 1] = 3;
	if (slice_eqs(word, "+edns") || slice_eqs(word, "+do") || slice_starts(word, "+size=")) {
		uint32_t size = 1232;
		if (slice_starts(word, "+size="))
			str_u32((struct slice){word.p + 6, word.len - 6}, &size);
		dns_out_edns(o, (uint16_t)size, 0, !slice_eqs(word, "+edns"));
		opt = o->len;
		*edns = true;
	}
	if (slice_eqs(word, "+nsid") || slice_eqs(word, "+padding")) {
		dns_out_u16(o, slice_eqs(word, "+nsid") ? 3 : 12);
		dns_out_u16(o, 0);
		dns_out_rr_end(o, opt);
	}
}

static void ask_words(const char *text, struct asked *a)
{
	struct slice rest = slice_of(text), name = slice_word(&rest), word;
	uint8_t wire[DNS_NAME_MAX];
	struct dns_out o;
	bool edns = false;
	*a = (struct asked){.way = {.now = 1700000000}};
	assert_true(dns_name_from_text(name, wire) > 0);
	dns_out_init(&o, a->pkt, sizeof(a->pkt), 0x1234, 0);
	dns_out_question(&o, wire, dns_type_from_text(slice_word(&rest)));
	while ((word = slice_word(&rest)).len)
		ask_option(&o, word, a, &edns);
	a->len = o.len;
}

static size_t answer(const struct asked *a, uint8_t *out, size_t cap, struct answer_info *info)
{
	struct query q;
	query_read(&q, a->pkt, a->len);
	return answer_query(zones, &conf, &q, &a->way, out, cap, info);
}

static void check(const char *question, const char *want)
{
	static uint8_t out[DNS_MSG_MAX];
	struct asked a;
	struct answer_info info;
	struct buf said = {0};
	ask_words(question, &a);
	size_t n = answer(&a, out, sizeof(out), &info);
	assert_true(n >= DNS_HEADER && n <= (a.way.stream ? DNS_MSG_MAX : 1232));
	assert_memory_equal(out, a.pkt, 2);
	say_response(&said, out, n);
	if (strcmp(buf_cstr(&said), want) != 0)
		fprintf(stderr, "%s:\n%s-- wanted:\n%s", question, buf_cstr(&said), want);
	assert_string_equal(buf_cstr(&said), want);
	buf_free(&said);
}

struct row {
	const char *question, *response;
};
#define CHECK(rows)                                                   \
	for (size_t r = 0; r < sizeof(rows) / sizeof((rows)[0]); r++) \
	check((rows)[r].question, (rows)[r].response)

#define NEG "ns b.test 300 SOA ns1.b.test. root.b.test. 7 1 2 3 300\n"

static void what_is_there(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"www.b.test A", "NOERROR aa\nan www.b.test 60 A 192.0.2.10\n"},
	    {"WwW.b.TEST A +rd", "NOERROR aa rd\nan WwW.b.TEST 60 A 192.0.2.10\n"},
	    {"www.b.test A +edns", "NOERROR aa\nan www.b.test 60 A 192.0.2.10\nopt 1232\n"},
	    {"www.b.test A +do", "NOERROR aa\nan www.b.test 60 A 192.0.2.10\nopt 1232 do\n"},
	    {"b.test MX", "NOERROR aa\nan b.test 60 MX 10 mail.b.test.\n"
			  "an b.test 60 MX 20 www.b.test.\n"
			  "ar mail.b.test 60 A 192.0.2.20\nar www.b.test 60 A 192.0.2.10\n"},
	    {"b.test NS", "NOERROR aa\nan b.test 3600 NS ns.else.\nan b.test 3600 NS ns1.b.test.\n"
			  "ar ns1.b.test 3600 A 192.0.2.1\n"
			  "ar ns1.b.test 3600 AAAA 2001:db8::1\n"},
	    {"b.test SOA", "NOERROR aa\nan b.test 3600 SOA ns1.b.test. root.b.test. 7 1 2 3 300\n"},
	    {"_s._tcp.b.test SRV", "NOERROR aa\nan _s._tcp.b.test 60 SRV 1 2 3 mail.b.test.\n"
				   "ar mail.b.test 60 A 192.0.2.20\n"},
	    {"odd.b.test TYPE65400", "NOERROR aa\nan odd.b.test 60 TYPE65400 \\# 3 010203\n"},
	};
	CHECK(row);
}

static void what_is_not(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"www.b.test AAAA", "NOERROR aa\n" NEG},
	    {"www.b.test TYPE65300", "NOERROR aa\n" NEG},
	    {"nix.b.test A", "NXDOMAIN aa\n" NEG},
	    {"x.www.b.test A", "NXDOMAIN aa\n" NEG},
	    {"ent.b.test A", "NOERROR aa\n" NEG},
	    {"x.ent.b.test A", "NXDOMAIN aa\n" NEG},
	    {"www.b.test DS", "NOERROR aa\n" NEG},
	    {"a.test A", "REFUSED\n"},
	    {"test A +edns", "REFUSED\nopt 1232 ede=20\n"},
	    {"xb.test A", "REFUSED\n"},
	    {". NS", "REFUSED\n"},
	};
	CHECK(row);
}

static void wildcards(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"q.w.b.test A", "NOERROR aa\nan q.w.b.test 60 A 192.0.2.30\n"},
	    {"p.Q.w.b.test A", "NOERROR aa\nan p.Q.w.b.test 60 A 192.0.2.30\n"},
	    {"*.w.b.test A", "NOERROR aa\nan *.w.b.test 60 A 192.0.2.30\n"},
	    {"q.w.b.test MX", "NOERROR aa\nan q.w.b.test 60 MX 5 mail.b.test.\n"
			      "ar mail.b.test 60 A 192.0.2.20\n"},
	    {"long.er.w.b.test MX", "NOERROR aa\nan long.er.w.b.test 60 MX 5 mail.b.test.\n"
				    "ar mail.b.test 60 A 192.0.2.20\n"},
	    {"q.w.b.test TXT", "NOERROR aa\n" NEG},
	    {"w.b.test A", "NOERROR aa\n" NEG},
	    {"x.w.b.test A", "NOERROR aa\n" NEG},
	    {"y.x.w.b.test A", "NXDOMAIN aa\n" NEG},
	    {"y.*.w.b.test A", "NXDOMAIN aa\n" NEG},
	    {"z.e.b.test A", "NOERROR aa\n" NEG}, /* the wildcard is an empty non-terminal */
	    {"q.wc.b.test A", "NOERROR aa\nan q.wc.b.test 60 CNAME www.b.test.\n"
			      "an www.b.test 60 A 192.0.2.10\n"},
	};
	CHECK(row);
}

#define CUT                                                                  \
	"ns cut.b.test 60 NS ns.cut.b.test.\nns cut.b.test 60 NS ns.else.\n" \
	"ns cut.b.test 60 NS mail.b.test.\n"
#define GLUE     "ar ns.cut.b.test 60 A 192.0.2.40\nar ns.cut.b.test 60 AAAA 2001:db8::40\n"
#define REFERRAL CUT GLUE "ar mail.b.test 60 A 192.0.2.20\n"

static void delegations(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"cut.b.test A", "NOERROR\n" REFERRAL},
	    {"cut.b.test NS", "NOERROR\n" REFERRAL},
	    {"x.cut.b.test A", "NOERROR\n" REFERRAL},
	    {"ns.cut.b.test A", "NOERROR\n" REFERRAL},
	    {"some.what.deep.er.ns.cut.b.test ANY", "NOERROR\n" REFERRAL},
	    {"cut.b.test DS", "NOERROR aa\n" NEG},
	    {"x.cut.b.test DS", "NOERROR\n" REFERRAL},
	    /* Below a wildcard's own name. */
	    {"z.deep.*.cw.b.test A", "NOERROR\nns deep.*.cw.b.test 60 NS ns.else.\n"},
	    {"z.deep.x.cw.b.test A", "NOERROR aa\nan z.deep.x.cw.b.test 60 A 192.0.2.70\n"},
	    {"x.*.cw.b.test A", "NXDOMAIN aa\n" NEG},
	    /* The child is ours, too. */
	    {"x.child.b.test A", "NOERROR aa\nan x.child.b.test 60 A 192.0.2.50\n"},
	    {"child.b.test DS", "NOERROR aa\n" NEG},
	    {"child.b.test NS", "NOERROR aa\nan child.b.test 3600 NS ns1.b.test.\n"},
	    /* Nobody above it is. */
	    {"b.test DS", "NOERROR aa\n" NEG},
	};
	CHECK(row);
}

static void aliases(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"alias.b.test A", "NOERROR aa\nan alias.b.test 60 CNAME www.b.test.\n"
			       "an www.b.test 60 A 192.0.2.10\n"},
	    {"ALIAS2.b.test A", "NOERROR aa\nan ALIAS2.b.test 60 CNAME alias.b.test.\n"
				"an alias.b.test 60 CNAME www.b.test.\n"
				"an www.b.test 60 A 192.0.2.10\n"},
	    {"alias.b.test NSEC", "NOERROR aa\n" NEG},
	    {"alias2.b.test CNAME", "NOERROR aa\nan alias2.b.test 60 CNAME alias.b.test.\n"},
	    {"alias.b.test AAAA", "NOERROR aa\nan alias.b.test 60 CNAME www.b.test.\n" NEG},
	    {"none.b.test A", "NXDOMAIN aa\nan none.b.test 60 CNAME nix.b.test.\n" NEG},
	    {"toent.b.test A", "NOERROR aa\nan toent.b.test 60 CNAME ent.b.test.\n" NEG},
	    {"out.b.test A", "NOERROR aa\nan out.b.test 60 CNAME a.else.\n"},
	    {"mxalias.b.test MX",
	     "NOERROR aa\nan mxalias.b.test 60 CNAME b.test.\n"
	     "an b.test 60 MX 10 mail.b.test.\nan b.test 60 MX 20 www.b.test.\n"
	     "ar mail.b.test 60 A 192.0.2.20\n"
	     "ar www.b.test 60 A 192.0.2.10\n"},
	    {"tocut.b.test A", "NOERROR aa\nan tocut.b.test 60 CNAME x.cut.b.test.\n" REFERRAL},
	    {"loop1.b.test A", "NOERROR aa\nan loop1.b.test 60 CNAME loop2.b.test.\n"
			       "an loop2.b.test 60 CNAME loop1.b.test.\n"},
	    {"self.b.test A", "NOERROR aa\nan self.b.test 60 CNAME self.b.test.\n"},
	    {"towild.b.test MX", "NOERROR aa\nan towild.b.test 60 CNAME q.w.b.test.\n"
				 "an q.w.b.test 60 MX 5 mail.b.test.\n"
				 "ar mail.b.test 60 A 192.0.2.20\n"},
	    {"other.b.test A", "NOERROR aa\nan other.b.test 60 CNAME www.c.test.\n"
			       "an www.c.test 60 A 192.0.2.60\n"},
	    {"other.b.test AAAA", "NOERROR aa\nan other.b.test 60 CNAME www.c.test.\n"
				  "ns c.test 300 SOA ns1.c.test. root.c.test. 7 1 2 3 300\n"},
	    {"back.c.test A", "NOERROR aa\nan back.c.test 60 CNAME www.b.test.\n"
			      "an www.b.test 60 A 192.0.2.10\n"},
	    {"c.test MX", "NOERROR aa\nan c.test 60 MX 1 mail.b.test.\n"},
	};
	CHECK(row);
}

static void renamed_trees(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"x.dn.b.test TXT",
	     "NOERROR aa\nan dn.b.test 60 DNAME w.b.test.\n"
	     "an x.dn.b.test 60 CNAME x.w.b.test.\nan x.w.b.test 60 TXT \"x\"\n"},
	    {"p.q.DN.b.test A", "NOERROR aa\nan DN.b.test 60 DNAME w.b.test.\n"
				"an p.q.DN.b.test 60 CNAME p.q.w.b.test.\n"
				"an p.q.w.b.test 60 A 192.0.2.30\n"},
	    {"q.dn.b.test MX",
	     "NOERROR aa\nan dn.b.test 60 DNAME w.b.test.\n"
	     "an q.dn.b.test 60 CNAME q.w.b.test.\n"
	     "an q.w.b.test 60 MX 5 mail.b.test.\nar mail.b.test 60 A 192.0.2.20\n"},
	    {"x.dn.b.test CNAME", "NOERROR aa\nan dn.b.test 60 DNAME w.b.test.\n"
				  "an x.dn.b.test 60 CNAME x.w.b.test.\n"},
	    {"x.round.b.test A", "NOERROR aa\nan round.b.test 60 DNAME round.b.test.\n"
				 "an x.round.b.test 60 CNAME x.round.b.test.\n"},
	    {"dn.b.test DNAME", "NOERROR aa\nan dn.b.test 60 DNAME w.b.test.\n"},
	    {"dn.b.test TXT", "NOERROR aa\nan dn.b.test 60 TXT \"self\"\n"},
	    {"dn.b.test A", "NOERROR aa\n" NEG},
	};
	CHECK(row);
	/* A name that becomes too long. */
	static uint8_t out[DNS_MSG_MAX];
	struct asked a;
	struct answer_info info;
	ask_words("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.long.b.test A", &a);
	assert_true(answer(&a, out, sizeof(out), &info) > 0);
	assert_int_equal(info.rcode, 6);
	assert_int_equal(dns_u16(out + 6), 1);
	/* One that grows without end. */
	ask_words("a.grow.b.test A +tcp", &a);
	assert_true(answer(&a, out, sizeof(out), &info) > 0);
	assert_int_equal(info.rcode, 0);
	assert_int_equal(dns_u16(out + 6), 2 * ANSWER_HOPS);
}

static void everything(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"b.test ANY",
	     "NOERROR aa\nan b.test 3600 NS ns.else.\nan b.test 3600 NS ns1.b.test.\n"},
	    {"ns1.b.test ANY +tcp", "NOERROR aa\nan ns1.b.test 3600 A 192.0.2.1\n"
				    "an ns1.b.test 3600 AAAA 2001:db8::1\n"},
	    {"b.test ANY +tcp",
	     "NOERROR aa\nan b.test 3600 NS ns.else.\n"
	     "an b.test 3600 NS ns1.b.test.\n"
	     "an b.test 3600 SOA ns1.b.test. root.b.test. 7 1 2 3 300\n"
	     "an b.test 60 MX 10 mail.b.test.\nan b.test 60 MX 20 www.b.test.\n"},
	    {"alias.b.test ANY", "NOERROR aa\nan alias.b.test 60 CNAME www.b.test.\n"},
	    {"ent.b.test ANY", "NOERROR aa\n" NEG},
	    {"www.b.test RRSIG", "NOERROR aa\n" NEG},
	};
	CHECK(row);
}

static void the_server_itself(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"version.bind TXT +ch", NULL},
	    {"id.server TXT +ch", "REFUSED\n"},
	    {"version.bind TXT", "REFUSED\n"},
	    {"www.b.test A +edns +nsid",
	     "NOERROR aa\nan www.b.test 60 A 192.0.2.10\nopt 1232 3=n1\n"},
	    {"www.b.test MAILB", "NOTIMP\n"},
	    {"www.b.test AXFR", "REFUSED\n"}, /* others answer that */
	    {"www.b.test OPT", "FORMERR\n"},
	};
	static uint8_t out[512];
	struct asked a;
	struct answer_info info;
	ask_words(row[0].question, &a);
	size_t n = answer(&a, out, sizeof(out), &info);
	assert_int_equal(n, a.len + 12 + 7);
	assert_memory_equal(out + a.len, "\xc0\x0c\0\x10\0\3\0\0\0\0\0\7\6hamlet", 19);
	for (size_t r = 1; r < sizeof(row) / sizeof(row[0]); r++)
		check(row[r].question, row[r].response);
}

/* --- signed zones ------------------------------------------------------------------------------
 */
#define SNEG(owner)                                                \
	"ns s.test 300 SOA ns1.s.test. root.s.test. 7 1 2 3 300\n" \
	"ns s.test 60 RRSIG SOA\n" owner
#define NSEC(owner, data) "ns " owner " 60 NSEC " data "\nns " owner " 60 RRSIG NSEC\n"
#define OPT               "opt 1232 do\n"

static void proofs_by_nsec(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"a.s.test A", "NOERROR aa\nan a.s.test 60 A 192.0.2.1\n"},
	    {"a.s.test A +do",
	     "NOERROR aa\nan a.s.test 60 A 192.0.2.1\nan a.s.test 60 RRSIG A\n" OPT},
	    {"mx.s.test MX +do", "NOERROR aa\nan mx.s.test 60 MX 1 a.s.test.\n"
				 "an mx.s.test 60 RRSIG MX\nar a.s.test 60 A 192.0.2.1\n"
				 "ar a.s.test 60 RRSIG A\n" OPT},
	    {"a.s.test TXT +do",
	     "NOERROR aa\n" SNEG(NSEC("a.s.test", "x.ent.s.test. A RRSIG NSEC")) OPT},
	    {"ent.s.test TXT +do",
	     "NOERROR aa\n" SNEG(NSEC("a.s.test", "x.ent.s.test. A RRSIG NSEC")) OPT},
	    {"b.s.test A +do",
	     "NXDOMAIN aa\n" SNEG(NSEC("a.s.test", "x.ent.s.test. A RRSIG NSEC")
				      NSEC("s.test", "a.s.test. NS SOA RRSIG NSEC")) OPT},
	    {"0.s.test A +do",
	     "NXDOMAIN aa\n" SNEG(NSEC("s.test", "a.s.test. NS SOA RRSIG NSEC")) OPT},
	    {"q.w.s.test A +do",
	     "NOERROR aa\nan q.w.s.test 60 A 192.0.2.3\nan q.w.s.test 60 RRSIG A\n" NSEC(
		 "*.w.s.test", "wc.s.test. A RRSIG NSEC") OPT},
	    {"q.w.s.test TXT +do",
	     "NOERROR aa\n" SNEG(NSEC("*.w.s.test", "wc.s.test. A RRSIG NSEC")) OPT},
	    {"wc.s.test A +do",
	     "NOERROR aa\nan wc.s.test 60 CNAME q.w.s.test.\n"
	     "an wc.s.test 60 RRSIG CNAME\nan q.w.s.test 60 A 192.0.2.3\n"
	     "an q.w.s.test 60 RRSIG A\n" NSEC("*.w.s.test", "wc.s.test. A RRSIG NSEC") OPT},
	    {"x.sec.s.test A +do",
	     "NOERROR\nns sec.s.test 60 NS ns.else.\nns sec.s.test 60 DS 1 13 2 "
	     "00000000000000000000000000000000000000000000000000000000000000aa\n"
	     "ns sec.s.test 60 RRSIG DS\n" OPT},
	    {"x.un.s.test A +do",
	     "NOERROR\nns un.s.test 60 NS ns.un.s.test.\n" NSEC(
		 "un.s.test", "*.w.s.test. NS RRSIG NSEC") "ar ns.un.s.test 60 A 192.0.2.9\n" OPT},
	    {"un.s.test DS +do",
	     "NOERROR aa\n" SNEG(NSEC("un.s.test", "*.w.s.test. NS RRSIG NSEC")) OPT},
	    {"a.s.test NSEC", "NOERROR aa\nan a.s.test 60 NSEC x.ent.s.test. A RRSIG NSEC\n"},
	    {"a.s.test RRSIG", "NOERROR aa\nan a.s.test 60 RRSIG A\n"},
	    {"a.s.test RRSIG +tcp",
	     "NOERROR aa\nan a.s.test 60 RRSIG A\nan a.s.test 60 RRSIG NSEC\n"},
	};
	CHECK(row);
}

/* The owners of the denials in the authority section, without the zone. */
static void denials(const char *question, char *out, size_t cap)
{
	static uint8_t pkt[DNS_MSG_MAX];
	struct asked a;
	struct answer_info info;
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	unsigned signatures = 0, records = 0;
	ask_words(question, &a);
	size_t n = answer(&a, pkt, sizeof(pkt), &info), len = 0;
	out[0] = 0;
	assert_true(dns_iter_init(&it, pkt, n, &h));
	while (dns_iter_rr(&it, &rr)) {
		uint8_t owner[DNS_NAME_MAX];
		size_t at = rr.owner;
		assert_true(dns_name_read(pkt, n, &at, owner) > 0);
		signatures += rr.type == DNS_RRSIG && dns_u16(pkt + rr.rdata) == DNS_NSEC3;
		if (rr.type != DNS_NSEC3)
			continue;
		len += (size_t)snprintf(out + len, cap - len, "%s%.*s", records++ ? " " : "",
					owner[0], (const char *)owner + 1);
	}
	assert_int_equal(signatures, records);
}

static void proofs_by_nsec3(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"a.c.x.w.example A +do", H_XW " " H_APEX " " H_A},   /* B.1 */
	    {"ns1.example MX +do", H_NS1},                        /* B.2 */
	    {"y.w.example A +do", H_YW},                          /* B.2.1 */
	    {"mc.c.example MX +do", H_APEX " " H_A},              /* B.3 */
	    {"a.z.w.example MX +do", H_NS2},                      /* B.4 */
	    {"a.z.w.example AAAA +do", H_W " " H_NS2 " " H_STAR}, /* B.5 */
	    {"example DS +do", H_APEX},                           /* B.6 */
	    {"c.example DS +do", H_APEX " " H_A},
	    {"x.ent.example A +do", H_APEX " " H_A " " H_AI},
	    {"ent.example A +do", H_APEX " " H_A},
	    {"x.un.ent.example A +do", H_APEX " " H_A},
	    {"x.a.example A +do", ""}, /* the cut has a DS */
	    {"ns1.example MX", ""},    /* nobody wanted to know */
	};
	char found[200];
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		denials(row[i].question, found, sizeof(found));
		assert_string_equal(found, row[i].response);
	}
	/* The owners of NSEC3 are no names of the zone (RFC 5155 7.2.8). */
	check(H_APEX ".example NSEC3",
	      "NXDOMAIN aa\nns example 300 SOA ns1.example. root.example. 7 1 2 3 300\n");
	check(H_NS1 ".example A", "NOERROR aa\nan " H_NS1 ".example 3600 A 192.0.2.127\n");
}

/* --- sizes ------------------------------------------------------------------------------------ */
static void add_large(void)
{
	struct buf text = {0};
	buf_adds(&text, SOA("large.test") "@ 1 NS ns1.b.test.\n");
	for (int i = 0; i < 40; i++) {
		buf_printf(&text, "txt 1 TXT %02d34567890123456789012345678901234567890\n", i);
		buf_printf(&text, "@ 1 MX %d h%02d\nh%02d 1 A 192.0.2.%d\nh%02d 1 A 192.0.3.%d\n",
			   i + 1, i, i, i, i, i);
	}
	for (int i = 0; i < 20; i++)
		buf_printf(&text, "cut 1 NS n%02d.cut\nn%02d.cut 1 A 192.0.2.%d\n", i, i, i);
	for (int i = 0; i < 10; i++)
		buf_printf(&text, "sib 1 NS n%02d.cut\n", i);
	for (int i = 0; i < 2500; i++)
		buf_printf(&text, "huge 1 TXT %04d567890\nptr 1 PTR x.h%04d\n", i, i);
	add_zone("large.test", buf_cstr(&text));
	buf_free(&text);
}

/* Counts of the response: answer, authority, additional; TC. */
static void sizes(const char *question, unsigned an, unsigned ns, unsigned ar, bool tc)
{
	static uint8_t out[DNS_MSG_MAX];
	struct asked a;
	struct answer_info info;
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	ask_words(question, &a);
	size_t n = answer(&a, out, sizeof(out), &info);
	assert_true(dns_iter_init(&it, out, n, &h));
	while (dns_iter_rr(&it, &rr))
		;
	assert_true(!it.bad && it.at == n);
	if (h.count[1] != an || h.count[2] != ns || h.count[3] != ar)
		fprintf(stderr, "%s: %u %u %u\n", question, h.count[1], h.count[2], h.count[3]);
	assert_int_equal(h.count[DNS_ANSWER], an);
	assert_int_equal(h.count[DNS_AUTHORITY], ns);
	assert_int_equal(h.count[DNS_ADDITIONAL], ar);
	assert_int_equal((h.flags & DNS_TC) != 0, tc);
	assert_int_equal(info.truncated, tc);
}

static void what_does_not_fit(void **state)
{
	(void)state;
	sizes("txt.large.test TXT", 0, 0, 0, true);
	sizes("txt.large.test TXT +edns", 0, 0, 1, true);
	sizes("txt.large.test TXT +size=4096", 0, 0, 1, true); /* we say 1232 */
	sizes("txt.large.test TXT +tcp", 40, 0, 0, false);
	sizes("huge.large.test TXT +tcp", 2500, 0, 0, false);
	sizes("ptr.large.test PTR +tcp", 2500, 0, 0, false);
	/* Additional addresses that are not needed: as many rrsets as fit. */
	sizes("large.test MX +size=1232", 40, 0, 25, false);
	sizes("large.test MX +tcp", 40, 0, 80, false);
	/* Those of a delegation that are needed. */
	sizes("x.cut.large.test A", 0, 20, 7, true);
	sizes("x.cut.large.test A +edns", 0, 20, 21, false);
	/* Servers below another cut are found there. */
	sizes("x.sib.large.test A", 0, 10, 10, false);
	conf.additional = false;
	sizes("large.test MX +tcp", 40, 0, 0, false);
	sizes("x.sib.large.test A", 0, 10, 0, false);
	sizes("x.cut.large.test A +edns", 0, 20, 21, false);
	conf.additional = true;
}

static void names_of_255_octets(void **state)
{
	(void)state;
	char name[260], question[300], want[700];
	static const char label[] =
	    "a123456789012345678901234567890123456789012345678901234567890.";
	snprintf(name, sizeof(name), "%s%s%s%s%s", label, label, label, label + 4, "deep.test");
	assert_int_equal(dns_name_len(wire_name(name)), 255);
	struct buf text = {0};
	buf_printf(&text, SOA("deep.test") "@ 1 NS ns1.b.test.\n%s. 1 A 192.0.2.1\n", name);
	buf_printf(&text, "al 1 CNAME %s.\n1.2.3.4.5.6.7.8.9 1 DNAME %s.\n", name, "deep.test");
	add_zone("deep.test", buf_cstr(&text));
	buf_free(&text);
	snprintf(question, sizeof(question), "%s A", name);
	snprintf(want, sizeof(want), "NOERROR aa\nan %s 1 A 192.0.2.1\n", name);
	check(question, want);
	snprintf(want, sizeof(want),
		 "NOERROR aa\nan al.deep.test 1 CNAME %s.\nan %s 1 A 192.0.2.1\n", name, name);
	check("al.deep.test A", want);
	snprintf(question, sizeof(question), "%.*s A", 253,
		 "0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7."
		 "8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.deep.test");
	check(question, "NXDOMAIN aa\n"
			"ns deep.test 300 SOA ns1.deep.test. root.deep.test. 7 1 2 3 300\n");
	check("al.1.2.3.4.5.6.7.8.9.deep.test CNAME",
	      "NOERROR aa\nan 1.2.3.4.5.6.7.8.9.deep.test 1 DNAME deep.test.\n"
	      "an al.1.2.3.4.5.6.7.8.9.deep.test 1 CNAME al.deep.test.\n");
}

static void padding_hides_the_length(void **state)
{
	(void)state;
	static const struct {
		const char *question;
		size_t len;
	} row[] = {{"www.b.test A +edns +padding +tls", 468},
		   {"b.test MX +edns +padding +tls", 468},
		   {"txt.large.test TXT +edns +padding +tls", 5 * 468},
		   {"www.b.test A +edns +padding +tcp", 55},
		   {"www.b.test A +edns +tls", 55}};
	static uint8_t out[DNS_MSG_MAX];
	struct asked a;
	struct answer_info info;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		ask_words(row[i].question, &a);
		assert_int_equal(answer(&a, out, sizeof(out), &info), row[i].len);
	}
}

/* --- cookies: the examples of RFC 9018 Appendix A ----------------------------------------------
 */
static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned v;
	for (; sscanf(hex + 2 * n, "%2x", &v) == 1; n++)
		out[n] = (uint8_t)v;
	return n;
}

static void cookies(void **state)
{
	(void)state;
	static const struct {
		const char *secret, *before, *client, *sent, *got;
		uint32_t now;
		bool good;
	} row[] = {
	    {"e5e973e5a6b2a43f48e7dc849e37bfcf", "", "198.51.100.100", "2464c4abcf10c957",
	     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985, false},
	    {"e5e973e5a6b2a43f48e7dc849e37bfcf", "", "198.51.100.100",
	     "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
	     "2464c4abcf10c957010000005cf7a871d4a564a1442aca77", 1559734385, true},
	    {"e5e973e5a6b2a43f48e7dc849e37bfcf", "", "203.0.113.203",
	     "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
	     "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", 1559734700, false /* too old */},
	    {"445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715",
	     "2001:db8:220:1:59de:d0f4:8769:82b8",
	     "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
	     "22681ab97d52c298010000005cf7c609a6bb79d16625507a", 1559741961, true},
	    /* Young: it stays. The same client by a mapped address. */
	    {"e5e973e5a6b2a43f48e7dc849e37bfcf", "", "::ffff:198.51.100.100",
	     "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
	     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559732985, true},
	    /* Another's. */
	    {"e5e973e5a6b2a43f48e7dc849e37bfcf", "", "198.51.100.101",
	     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", NULL, 1559732985, false},
	    /* From the future. */
	    {"e5e973e5a6b2a43f48e7dc849e37bfcf", "", "198.51.100.100",
	     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", NULL, 1559731984 - 300, false},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t secrets[2][COOKIE_SECRET] = {0}, sent[24], want[24], out[512];
		struct sockaddr_in v4 = {.sin_family = AF_INET};
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
		struct answer_conf with = conf;
		struct answer_info info;
		struct query q;
		struct asked a;
		unhex(row[i].secret, secrets[0]);
		unhex(row[i].before, secrets[1]);
		size_t n = unhex(row[i].sent, sent);
		with.cookie_secret = secrets;
		ask_words("www.b.test A +edns", &a);
		a.way.now = row[i].now;
		a.way.client = (struct sockaddr *)&v6;
		if (inet_pton(AF_INET, row[i].client, &v4.sin_addr) == 1)
			a.way.client = (struct sockaddr *)&v4;
		else
			inet_pton(AF_INET6, row[i].client, &v6.sin6_addr);
		a.pkt[a.len - 1] = (uint8_t)(4 + n);
		memcpy(a.pkt + a.len, (uint8_t[]){0, 10, 0, (uint8_t)n}, 4);
		memcpy(a.pkt + a.len + 4, sent, n);
		query_read(&q, a.pkt, a.len + 4 + n);
		assert_int_equal(q.kind, QUERY_ASK);
		size_t len = answer_query(zones, &with, &q, &a.way, out, sizeof(out), &info);
		assert_int_equal(info.cookie_ok, row[i].good);
		assert_int_equal(info.rcode, 0);
		if (row[i].got) {
			unhex(row[i].got, want);
			assert_memory_equal(out + len - 24, want, 24);
		}
		with.bad_cookie = true;
		len = answer_query(zones, &with, &q, &a.way, out, sizeof(out), &info);
		assert_int_equal(info.rcode, row[i].good ? 0 : 23);
		assert_int_equal(dns_u16(out + 6), row[i].good ? 1 : 0);
		assert_true(len > 28);
	}
}

/* --- what is no query ------------------------------------------------------------------------- */
#define Q      "\1a\4test\0\0\1\0\1"
#define OPTRR  "\0\0\x29\4\xd0\0\0\0\0\0\0"
#define TSIGRR "\0\0\xfa\0\xff\0\0\0\0\0\0"
#define PKT(s) (const uint8_t *)(s), sizeof(s) - 1

static void queries_are_read_strictly(void **state)
{
	(void)state;
	static const struct {
		const uint8_t *pkt;
		size_t len;
		enum query_kind kind;
		uint16_t rcode;
	} row[] = {
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0"), QUERY_DROP, 0},       /* short */
	    {PKT("\1\2\x80\0\0\1\0\0\0\0\0\0" Q), QUERY_DROP, 0}, /* a response */
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\0" Q), QUERY_ASK, 0},
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\0" Q "x"), QUERY_BAD, 1}, /* more */
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0"), QUERY_BAD, 1},
	    {PKT("\1\2\0\0\0\0\0\0\0\0\0\0"), QUERY_BAD, 1},     /* no question */
	    {PKT("\1\2\0\0\0\2\0\0\0\0\0\0" Q Q), QUERY_BAD, 1}, /* two */
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"), QUERY_BAD, 1},
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\0\1a\xc0\x04\0\1\0\1"), QUERY_BAD, 1},
	    {PKT("\1\2\x08\0\0\1\0\0\0\0\0\0" Q), QUERY_BAD, 4}, /* IQUERY */
	    {PKT("\1\2\x10\0\0\1\0\0\0\0\0\0" Q), QUERY_BAD, 4}, /* STATUS */
	    {PKT("\1\2\x20\0\0\1\0\0\0\0\0\0" Q), QUERY_NOTIFY, 0},
	    {PKT("\1\2\x28\0\0\1\0\0\0\0\0\0" Q), QUERY_UPDATE, 0},
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\1" Q OPTRR), QUERY_ASK, 0},
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\2" Q OPTRR OPTRR), QUERY_BAD, 1},
	    {PKT("\1\2\0\0\0\1\0\0\0\1\0\0" Q OPTRR), QUERY_BAD, 1}, /* in authority */
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\2" Q OPTRR TSIGRR), QUERY_ASK, 0},
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\2" Q TSIGRR OPTRR), QUERY_BAD, 1}, /* not last */
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\1\0\0\0\0"), QUERY_BAD, 16},
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\3\0\3\0"), QUERY_BAD, 1},
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\5\0\x0a\0\1c"), QUERY_BAD,
	     1}, /* no cookie has one octet */
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\4"), QUERY_BAD, 5}, /* class HS */
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\0\1a\4test\0\0\xfc\0\1"), QUERY_TRANSFER, 0},
	    {PKT("\1\2\0\0\0\1\0\0\0\0\0\0\1a\4test\0\0\x10\0\3"), QUERY_CHAOS, 0},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct query q;
		struct answer_info info;
		struct answer_way way = {.stream = i % 2};
		uint8_t out[512];
		query_read(&q, row[i].pkt, row[i].len);
		if (q.kind != row[i].kind || q.rcode != row[i].rcode)
			fprintf(stderr, "query %zu: %d %u\n", i, q.kind, q.rcode);
		assert_int_equal(q.kind, row[i].kind);
		assert_int_equal(q.rcode, row[i].rcode);
		size_t n = answer_query(zones, &conf, &q, &way, out, sizeof(out), &info);
		assert_int_equal(n == 0, q.kind == QUERY_DROP);
		if (n && row[i].rcode) {
			struct buf said = {0};
			say_response(&said, out, n);
			assert_int_equal(info.rcode, row[i].rcode);
			assert_null(strstr(buf_cstr(&said), "BAD"));
			buf_free(&said);
		}
	}
}

static void zones_come_and_go(void **state)
{
	(void)state;
	static const struct row row[] = {{"www.late.b.test A +edns", "SERVFAIL\nopt 1232 ede=14\n"},
					 {"late.b.test DS", "NXDOMAIN aa\n" NEG}};
	assert_null(zones_set(zones, wire_name("late.B.test"), NULL, 9));
	CHECK(row);
	assert_null(zones_set(zones, wire_name("."), image[0], 10));
	assert_ptr_equal(zones_find(zones, wire_name("x.y"), 5)->image, image[0]);
	assert_ptr_equal(zones_set(zones, wire_name("."), image[1], 10), image[0]);
	assert_ptr_equal(zones_remove(zones, wire_name(".")), image[1]);
	assert_null(zones_remove(zones, wire_name(".")));
	assert_null(zones_find(zones, wire_name("x.y"), 5));
	assert_null(zones_remove(zones, wire_name("late.b.test")));
	check("www.late.b.test A", "NXDOMAIN aa\n" NEG);
}

static void views_stand_before_what_all_see(void **state)
{
	(void)state;
	struct zones *view = zones_over(zones);
	const uint8_t *b = wire_name("b.test");
	const struct zone *all = zones_find(zones, b, 8);
	assert_ptr_equal(zones_find(view, b, 8), all);
	assert_null(zones_set(view, b, image[2], 20));
	const struct zone *own = zones_find(view, b, 8);
	assert_ptr_equal(own->image, image[2]);
	assert_ptr_equal(zones_find(zones, b, 8), all);
	/* The closest counts, whichever of the two has it. */
	b = wire_name("x.child.b.test");
	assert_ptr_equal(zones_find(view, b, 16), zones_find(zones, b, 16));
	b = wire_name("x.b.test");
	assert_ptr_equal(zones_find(view, b, 10), own);
	/* Queries that came together may be of clients that see different things. */
	static uint8_t pkt[] = "\0\1\0\0\0\1\0\0\0\0\0\0\1b\4test\0\0\6\0\1";
	struct query q[2];
	for (int i = 0; i < 2; i++)
		query_read(&q[i], pkt, sizeof(pkt) - 1);
	q[1].zones = view;
	answer_prepare(zones, q, 2);
	assert_ptr_equal(q[0].zone, all);
	assert_ptr_equal(q[1].zone, own);
	/* One that is not loaded hides the other. */
	assert_ptr_equal(zones_set(view, wire_name("b.test"), NULL, 20), image[2]);
	assert_null(zones_find(view, wire_name("b.test"), 8)->image);
	assert_null(zones_remove(view, wire_name("b.test")));
	assert_ptr_equal(zones_find(view, wire_name("b.test"), 8), all);
	zones_free(&view);
}

static int begin(void **state)
{
	(void)state;
	zone_begin();
	zones = zones_new();
	add_zone("b.test", odd_plain);
	add_zone("child.b.test", odd_child);
	add_zone("c.test", odd_other);
	add_zone("s.test", odd_nsec);
	add_zone("example", odd_nsec3);
	add_large();
	return 0;
}

static int end(void **state)
{
	(void)state;
	zones_free(&zones);
	while (images > 0)
		image_close(&image[--images]);
	zone_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_there),
	    cmocka_unit_test(what_is_not),
	    cmocka_unit_test(wildcards),
	    cmocka_unit_test(delegations),
	    cmocka_unit_test(aliases),
	    cmocka_unit_test(renamed_trees),
	    cmocka_unit_test(everything),
	    cmocka_unit_test(the_server_itself),
	    cmocka_unit_test(proofs_by_nsec),
	    cmocka_unit_test(proofs_by_nsec3),
	    cmocka_unit_test(what_does_not_fit),
	    cmocka_unit_test(names_of_255_octets),
	    cmocka_unit_test(padding_hides_the_length),
	    cmocka_unit_test(cookies),
	    cmocka_unit_test(queries_are_read_strictly),
	    cmocka_unit_test(zones_come_and_go),
	    cmocka_unit_test(views_stand_before_what_all_see),
	};
	return cmocka_run_group_tests_name("dnsd answer", tests, begin, end);
}
