/* Proofs that something is not there: good ones, and those that prove something else. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include "t/unit/dnsd_validate_kit.h"

enum { RECORDS = 6 };
enum ask { NXDOMAIN, NODATA, EXPANSION, CUT };
struct row {
	const char *what, *name;
	enum ask ask;
	unsigned type;               /* of NODATA; of EXPANSION the labels */
	unsigned want;               /* enum rrset_security, of CUT enum denial_cut */
	const char *encloser;        /* NULL: none */
	const char *record[RECORDS]; /* lines of a zone file */
};

static struct denial d;
static struct proof proof;
static struct validate_work work;

static unsigned ask(const struct row *r)
{
	const uint8_t *name = kit_name(r->name);
	switch (r->ask) {
	case NXDOMAIN:
		return denial_nxdomain(&d, name, &work, &proof);
	case NODATA:
		return denial_nodata(&d, name, (uint16_t)r->type, &work, &proof);
	case EXPANSION:
		return denial_expansion(&d, name, r->type, &work, &proof);
	default:
		return denial_ds(&d, name, &work, &proof);
	}
}

static void play(const char *zone, const struct row *r)
{
	denial_init(&d, kit_name(zone));
	validate_work_init(&work);
	for (unsigned i = 0; i < RECORDS && r->record[i]; i++)
		denial_add_secure(&d, kit_text(r->record[i]));
	unsigned got = ask(r);
	if (got != r->want)
		fail_msg("%s: %u, not %u (%s)", r->what, got, r->want, proof.why);
	assert_true(!!proof.encloser == !!r->encloser);
	if (r->encloser)
		assert_true(dns_name_eq(proof.encloser, kit_name(r->encloser)));
	if (r->ask != CUT && got == RRSET_BOGUS)
		assert_true(proof.ede == EDE_NO_PROOF && *proof.why);
}

static void play_all(const char *zone, const struct row *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		play(zone, &r[i]);
}
#define PLAY(zone, rows) play_all(zone, rows, sizeof(rows) / sizeof(*(rows)))

/* --- NSEC --------------------------------------------------------------------------------------
 */

#define APEX   "example. NSEC a.example. NS SOA MX RRSIG NSEC DNSKEY\n"
#define B      "b.example. NSEC ns1.example. NS RRSIG NSEC\n"
#define NS1    "ns1.example. NSEC ns2.example. A RRSIG NSEC\n"
#define NS2    "ns2.example. NSEC *.w.example. A RRSIG NSEC\n"
#define WILD   "*.w.example. NSEC x.w.example. MX RRSIG NSEC\n"
#define XYW    "x.y.w.example. NSEC xx.example. MX RRSIG NSEC\n"
#define XW     "x.w.example. NSEC x.y.w.example. MX RRSIG NSEC\n"
#define LAST   "xx.example. NSEC example. A HINFO AAAA RRSIG NSEC\n"
#define A_DS   "a.example. NSEC ai.example. NS DS RRSIG NSEC\n"
#define DNAME_ "m.example. NSEC n.example. DNAME RRSIG NSEC\n"
#define ALIAS_ "k.example. NSEC m.example. CNAME RRSIG NSEC\n"

/* RFC 4035 appendices A and B. */
static void test_nsec_examples(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"B.2 name error", "ml.example", NXDOMAIN, 0, RRSET_SECURE, "example", {B, APEX}},
	    {"B.3 no data", "ns1.example", NODATA, DNS_MX, RRSET_SECURE, NULL, {NS1}},
	    {"B.4 signed delegation", "a.example", CUT, 0, DENIAL_UNPROVEN, NULL, {A_DS}},
	    {"B.5 unsigned delegation", "b.example", CUT, 0, DENIAL_INSECURE, NULL, {B}},
	    {"B.6 wildcard expansion",
	     "a.z.w.example",
	     EXPANSION,
	     2,
	     RRSET_SECURE,
	     "w.example",
	     {XYW}},
	    {"B.7 wildcard no data",
	     "a.z.w.example",
	     NODATA,
	     DNS_AAAA,
	     RRSET_SECURE,
	     "w.example",
	     {XYW, WILD}},
	};
	PLAY("example", row);
	/* B.8: the DS of the zone itself is not the zone's to deny. */
	static const struct row own = {"B.8", "example", NODATA, DNS_DS, RRSET_BOGUS, NULL, {APEX}};
	play("example", &own);
	static const struct row root = {
	    "the root's", ".", NODATA, DNS_DS, RRSET_SECURE, NULL, {". NSEC a. NS SOA\n"}};
	play(".", &root);
}

static void test_nsec_name_error(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"no records", "ml.example", NXDOMAIN, 0, RRSET_BOGUS, NULL, {NULL}},
	    {"no wildcard's", "ml.example", NXDOMAIN, 0, RRSET_BOGUS, NULL, {B}},
	    {"only the wildcard's", "ml.example", NXDOMAIN, 0, RRSET_BOGUS, NULL, {APEX}},
	    {"the name is there", "ns1.example", NXDOMAIN, 0, RRSET_BOGUS, NULL, {NS1, B, APEX}},
	    {"the end of the span", "ns1.example", NXDOMAIN, 0, RRSET_BOGUS, NULL, {B, APEX}},
	    {"the wildcard is there", "a.z.w.example", NXDOMAIN, 0, RRSET_BOGUS, NULL, {XYW, WILD}},
	    {"the wildcard of another encloser",
	     "a.z.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {XYW, APEX}},
	    {"an empty name above others",
	     "y.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {XW, WILD, APEX}},
	    {"the last record", "z.example", NXDOMAIN, 0, RRSET_SECURE, "example", {LAST, APEX}},
	    {"below the last", "a.xx.example", NXDOMAIN, 0, RRSET_SECURE, "xx.example", {LAST}},
	    {"one for both", "0.example", NXDOMAIN, 0, RRSET_SECURE, "example", {APEX}},
	    {"the wildcard itself", "*.example", NXDOMAIN, 0, RRSET_SECURE, "example", {APEX}},
	    {"not in the zone", "a.test", NXDOMAIN, 0, RRSET_BOGUS, NULL, {LAST, APEX}},
	    /* RFC 6840 4.1: the parent's record at a cut says nothing of what is below it. */
	    {"below a cut", "www.b.example", NXDOMAIN, 0, RRSET_BOGUS, NULL, {B, APEX}},
	    {"below a DNAME", "www.m.example", NXDOMAIN, 0, RRSET_BOGUS, NULL, {DNAME_, APEX}},
	    {"beside a DNAME", "mm.example", NXDOMAIN, 0, RRSET_SECURE, "example", {DNAME_, APEX}},
	    {"a wildcard below a cut",
	     "www.ns1.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {"ns1.example. NSEC ns2.example. NS RRSIG NSEC\n"}},
	    /* Records that are not the zone's, or not ones. */
	    {"another zone's",
	     "ml.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {"a.com. NSEC z.com. A\n", "example. NSEC a.com. A\n"}},
	    {"two at a name",
	     "0.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {"example. NSEC a.example. SOA\nexample. NSEC b.example. SOA\n"}},
	    {"other case",
	     "0.example",
	     NXDOMAIN,
	     0,
	     RRSET_SECURE,
	     "example",
	     {"EXAMPLE. NSEC A.EXAMPLE. NS SOA\n"}},
	    {"the only name",
	     "0.example",
	     NXDOMAIN,
	     0,
	     RRSET_SECURE,
	     "example",
	     {"example. NSEC example. NS SOA\n"}},
	    {"backwards",
	     "ml.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {"b.example. NSEC a.example. A\n", APEX}},
	};
	PLAY("example", row);
}

static void test_nsec_nodata(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"the type is there", "ns1.example", NODATA, DNS_A, RRSET_BOGUS, NULL, {NS1}},
	    {"a CNAME is there", "k.example", NODATA, DNS_A, RRSET_BOGUS, NULL, {ALIAS_}},
	    {"the CNAME itself", "k.example", NODATA, DNS_CNAME, RRSET_BOGUS, NULL, {ALIAS_}},
	    {"an empty name", "w.example", NODATA, DNS_A, RRSET_SECURE, NULL, {NS2}},
	    {"an empty name's DS", "w.example", NODATA, DNS_DS, RRSET_SECURE, NULL, {NS2}},
	    {"not there at all", "ns15.example", NODATA, DNS_A, RRSET_BOGUS, NULL, {NS1}},
	    {"there, but no type of 256 on",
	     "ns1.example",
	     NODATA,
	     DNS_CAA,
	     RRSET_SECURE,
	     NULL,
	     {NS1}},
	    {"a type of 256 on",
	     "c.example",
	     NODATA,
	     DNS_CAA,
	     RRSET_BOGUS,
	     NULL,
	     {"c.example. NSEC d.example. A CAA\n"}},
	    /* A cut: its two sides. */
	    {"the parent's side", "b.example", NODATA, DNS_A, RRSET_BOGUS, NULL, {B}},
	    {"the parent's side, DS", "b.example", NODATA, DNS_DS, RRSET_SECURE, NULL, {B}},
	    {"DS is there", "a.example", NODATA, DNS_DS, RRSET_BOGUS, NULL, {A_DS}},
	    {"the child's side, DS",
	     "c.example",
	     NODATA,
	     DNS_DS,
	     RRSET_BOGUS,
	     NULL,
	     {"c.example. NSEC a.c.example. NS SOA\n"}},
	    {"the apex", "example", NODATA, DNS_TXT, RRSET_SECURE, NULL, {APEX}},
	    {"ANY", "ns1.example", NODATA, DNS_ANY, RRSET_BOGUS, NULL, {NS1}},
	    {"at a DNAME", "m.example", NODATA, DNS_A, RRSET_SECURE, NULL, {DNAME_}},
	    /* Wildcards. */
	    {"the wildcard has it",
	     "a.z.w.example",
	     NODATA,
	     DNS_MX,
	     RRSET_BOGUS,
	     "w.example",
	     {XYW, WILD}},
	    {"the wildcard's alone", "a.z.w.example", NODATA, DNS_A, RRSET_BOGUS, NULL, {WILD}},
	    {"the name's alone", "a.z.w.example", NODATA, DNS_A, RRSET_BOGUS, "w.example", {XYW}},
	    /* RFC 6840 4.3. */
	    {"the wildcard is a CNAME",
	     "a.z.w.example",
	     NODATA,
	     DNS_A,
	     RRSET_BOGUS,
	     "w.example",
	     {XYW, "*.w.example. NSEC x.w.example. CNAME\n"}},
	    {"the wildcard by its name", "*.w.example", NODATA, DNS_A, RRSET_SECURE, NULL, {WILD}},
	    {"a closer name", "a.y.w.example", NODATA, DNS_A, RRSET_BOGUS, NULL, {XYW, WILD}},
	    {"compact denial",
	     "z.example",
	     NODATA,
	     DNS_A,
	     RRSET_SECURE,
	     NULL,
	     {"z.example. NSEC \\000.z.example. RRSIG NSEC TYPE128\n"}},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct row r = row[i];
		if (r.want == RRSET_BOGUS)
			r.encloser = NULL;
		play("example", &r);
	}
}

static void test_nsec_expansion(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"nothing", "a.z.w.example", EXPANSION, 2, RRSET_BOGUS, NULL, {NULL}},
	    {"another span", "a.z.w.example", EXPANSION, 2, RRSET_BOGUS, NULL, {NS2}},
	    {"a closer name", "a.y.w.example", EXPANSION, 2, RRSET_BOGUS, NULL, {XW}},
	    {"a closer name before", "b.x.w.example", EXPANSION, 2, RRSET_BOGUS, NULL, {WILD}},
	    {"the name is there", "x.w.example", EXPANSION, 2, RRSET_BOGUS, NULL, {XW, WILD}},
	    {"all labels", "a.z.w.example", EXPANSION, 4, RRSET_BOGUS, NULL, {XYW}},
	    {"fewer than the zone", "a.z.w.example", EXPANSION, 0, RRSET_BOGUS, NULL, {XYW}},
	    {"from the apex", "z.example", EXPANSION, 1, RRSET_SECURE, "example", {LAST}},
	    {"below a cut", "a.b.example", EXPANSION, 2, RRSET_BOGUS, NULL, {B}},
	};
	PLAY("example", row);
}

static void test_nsec_cut(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"no NS: the zone goes on", "ns1.example", CUT, 0, DENIAL_NO_CUT, NULL, {NS1}},
	    {"an alias", "k.example", CUT, 0, DENIAL_NO_CUT, NULL, {ALIAS_}},
	    {"an empty name", "w.example", CUT, 0, DENIAL_NO_CUT, NULL, {NS2}},
	    {"not there", "ns15.example", CUT, 0, DENIAL_NO_CUT, NULL, {NS1}},
	    {"below a cut", "x.b.example", CUT, 0, DENIAL_UNPROVEN, NULL, {B}},
	    {"nothing", "b.example", CUT, 0, DENIAL_UNPROVEN, NULL, {NULL}},
	    {"another span", "b.example", CUT, 0, DENIAL_UNPROVEN, NULL, {NS1}},
	    {"the child's side",
	     "c.example",
	     CUT,
	     0,
	     DENIAL_UNPROVEN,
	     NULL,
	     {"c.example. NSEC a.c.example. NS SOA\n"}},
	    {"the zone itself", "example", CUT, 0, DENIAL_UNPROVEN, NULL, {APEX}},
	    {"another zone", "b.test", CUT, 0, DENIAL_UNPROVEN, NULL, {APEX, LAST}},
	};
	PLAY("example", row);
}

/* --- NSEC3: the zone of RFC 5155 appendix A; the names are those that are hashed ----------------
 */

#define N3(flags, from, to, types) from ".example. NSEC3 1 " flags " 12 aabbccdd " to " " types "\n"
#define H_APEX                     "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
#define H_NS1                      "2t7b4g4vsa5smi47k61mv5bv1a22bojr"
#define H_XYW                      "2vptu5timamqttgl4luu9kg21e0aor3s"
#define H_A                        "35mthgpgcu1qg68fab165klnsnk3dpvl"
#define H_XW                       "b4um86eghhds6nea196smvmlo4ors995"
#define H_AI                       "gjeqe526plbf1g8mklp59enfd789njgi"
#define H_YW                       "ji6neoaepv8b5o6k4ev33abha8ht9fgc"
#define H_W                        "k8udemvp1j2f7eg6jebps17vp3n8i58h"
#define H_2T                       "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"
#define H_NS2                      "q04jkcevqvmu85r014c7dkba38o0ji5r"
#define H_WILD                     "r53bq7cc2uvmubfu5ocmm6pers9tk9en"
#define H_XX                       "t644ebqk9bibcna874givr6joj62mlhv"
#define R_APEX(f)                  N3(f, H_APEX, H_NS1, "NS SOA MX RRSIG DNSKEY NSEC3PARAM")
#define R_NS1(f)                   N3(f, H_NS1, H_XYW, "A RRSIG")
#define R_A(f)                     N3(f, H_A, H_XW, "NS DS RRSIG")
#define R_XW(f)                    N3(f, H_XW, H_AI, "MX RRSIG")
#define R_YW(f)                    N3(f, H_YW, H_W, "")
#define R_W(f)                     N3(f, H_W, H_2T, "")
#define R_NS2(f)                   N3(f, H_NS2, H_WILD, "A RRSIG")
#define R_WILD(f)                  N3(f, H_WILD, H_XX, "MX RRSIG")
#define R_XX(f)                    N3(f, H_XX, H_APEX, "A HINFO AAAA RRSIG")

/* RFC 5155 appendix B. */
static void test_nsec3_examples(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"B.1 name error",
	     "a.c.x.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_INSECURE,
	     "x.w.example",
	     {R_APEX("1"), R_XW("1"), R_A("1")}},
	    {"B.1 without opt-out",
	     "a.c.x.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_SECURE,
	     "x.w.example",
	     {R_APEX("0"), R_XW("0"), R_A("0")}},
	    {"B.2 no data", "ns1.example", NODATA, DNS_MX, RRSET_SECURE, NULL, {R_NS1("1")}},
	    {"B.2.1 an empty name", "y.w.example", NODATA, DNS_A, RRSET_SECURE, NULL, {R_YW("1")}},
	    {"B.3 unsigned delegation",
	     "c.example",
	     CUT,
	     0,
	     DENIAL_INSECURE,
	     "example",
	     {R_APEX("1"), R_A("1")}},
	    {"B.3 as an answer",
	     "c.example",
	     NODATA,
	     DNS_DS,
	     RRSET_INSECURE,
	     "example",
	     {R_APEX("1"), R_A("1")}},
	    {"B.3 without opt-out",
	     "c.example",
	     CUT,
	     0,
	     DENIAL_NO_CUT,
	     "example",
	     {R_APEX("0"), R_A("0")}},
	    {"B.4 wildcard expansion",
	     "a.z.w.example",
	     EXPANSION,
	     2,
	     RRSET_INSECURE,
	     "w.example",
	     {R_NS2("1")}},
	    {"B.4 without opt-out",
	     "a.z.w.example",
	     EXPANSION,
	     2,
	     RRSET_SECURE,
	     "w.example",
	     {R_NS2("0")}},
	    {"B.5 wildcard no data",
	     "a.z.w.example",
	     NODATA,
	     DNS_AAAA,
	     RRSET_INSECURE,
	     "w.example",
	     {R_W("1"), R_NS2("1"), R_WILD("1")}},
	    {"B.5 without opt-out",
	     "a.z.w.example",
	     NODATA,
	     DNS_AAAA,
	     RRSET_SECURE,
	     "w.example",
	     {R_W("0"), R_NS2("0"), R_WILD("0")}},
	};
	PLAY("example", row);
	static const struct row own = {"B.6",       "example", NODATA,       DNS_DS,
				       RRSET_BOGUS, NULL,      {R_APEX("1")}};
	play("example", &own);
}

static void test_nsec3_wrong(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"no closest encloser",
	     "a.c.x.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {R_APEX("0"), R_A("0")}},
	    {"no next closer",
	     "a.c.x.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {R_XW("0"), R_A("0")}},
	    {"no wildcard's",
	     "a.c.x.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {R_APEX("0"), R_XW("0")}},
	    {"the name is there",
	     "ns1.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {R_NS1("0"), R_APEX("0"), R_A("0")}},
	    {"the type is there", "ns1.example", NODATA, DNS_A, RRSET_BOGUS, NULL, {R_NS1("0")}},
	    {"a CNAME is there",
	     "ns1.example",
	     NODATA,
	     DNS_MX,
	     RRSET_BOGUS,
	     NULL,
	     {N3("0", H_NS1, H_XYW, "CNAME RRSIG")}},
	    {"the parent's side of a cut",
	     "a.example",
	     NODATA,
	     DNS_A,
	     RRSET_BOGUS,
	     NULL,
	     {R_A("0")}},
	    {"DS is there", "a.example", NODATA, DNS_DS, RRSET_BOGUS, NULL, {R_A("0")}},
	    {"DS is there, at a cut", "a.example", CUT, 0, DENIAL_UNPROVEN, NULL, {R_A("0")}},
	    {"no DS", "a.example", CUT, 0, DENIAL_INSECURE, NULL, {N3("0", H_A, H_XW, "NS RRSIG")}},
	    {"no NS", "a.example", CUT, 0, DENIAL_NO_CUT, NULL, {N3("0", H_A, H_XW, "A RRSIG")}},
	    {"the child's side",
	     "a.example",
	     CUT,
	     0,
	     DENIAL_UNPROVEN,
	     NULL,
	     {N3("0", H_A, H_XW, "NS SOA RRSIG")}},
	    {"the child's side, DS",
	     "a.example",
	     NODATA,
	     DNS_DS,
	     RRSET_BOGUS,
	     NULL,
	     {N3("0", H_A, H_XW, "NS SOA RRSIG")}},
	    {"the closest encloser is a cut",
	     "c.x.w.example",
	     NODATA,
	     DNS_DS,
	     RRSET_BOGUS,
	     NULL,
	     {R_APEX("1"), N3("1", H_XW, H_AI, "NS RRSIG")}},
	    {"... or a DNAME",
	     "c.x.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {R_APEX("0"), R_A("0"), N3("0", H_XW, H_AI, "DNAME RRSIG")}},
	    {"opt-out is no proof of a type",
	     "ns1.example",
	     NODATA,
	     DNS_A,
	     RRSET_BOGUS,
	     NULL,
	     {R_NS1("1")}},
	    {"the wildcard has it",
	     "a.z.w.example",
	     NODATA,
	     DNS_MX,
	     RRSET_BOGUS,
	     NULL,
	     {R_W("0"), R_NS2("0"), R_WILD("0")}},
	    {"the wildcard's is missing",
	     "a.z.w.example",
	     NODATA,
	     DNS_A,
	     RRSET_BOGUS,
	     NULL,
	     {R_W("0"), R_NS2("0")}},
	    {"nothing closer, not proven",
	     "a.z.w.example",
	     EXPANSION,
	     2,
	     RRSET_BOGUS,
	     NULL,
	     {R_XX("0"), R_W("0")}},
	    /* RFC 5155 8.1 and 8.2: others are as if they were not there. */
	    {"an unknown hash",
	     "ns1.example",
	     NODATA,
	     DNS_MX,
	     RRSET_BOGUS,
	     NULL,
	     {H_NS1 ".example. NSEC3 2 0 12 aabbccdd " H_XYW " A\n"}},
	    {"unknown flags", "ns1.example", NODATA, DNS_MX, RRSET_BOGUS, NULL, {R_NS1("2")}},
	    {"other parameters than the first",
	     "a.c.x.w.example",
	     NXDOMAIN,
	     0,
	     RRSET_BOGUS,
	     NULL,
	     {R_APEX("0"), H_XW ".example. NSEC3 1 0 12 aabbcc " H_AI " MX\n", R_A("0")}},
	    {"two at a name, one of them ours",
	     "ns1.example",
	     NODATA,
	     DNS_MX,
	     RRSET_SECURE,
	     NULL,
	     {H_NS1 ".example. NSEC3 1 0 12 aabbccdd " H_XYW " A\n" H_NS1
		    ".example. NSEC3 1 0 13 aabbccdd " H_XYW " MX\n"}},
	    {"another zone's",
	     "ns1.example",
	     NODATA,
	     DNS_MX,
	     RRSET_BOGUS,
	     NULL,
	     {H_NS1 ".b.example. NSEC3 1 0 12 aabbccdd " H_XYW " A\n"}},
	    {"an owner that is no hash",
	     "ns1.example",
	     NODATA,
	     DNS_MX,
	     RRSET_BOGUS,
	     NULL,
	     {"2t7b4g4vsa5smi47k61mv5bv1a22bojz.example. NSEC3 1 0 12 aabbccdd " H_XYW " A\n",
	      "2t7b.example. NSEC3 1 0 12 aabbccdd " H_XYW " A\n"}},
	};
	PLAY("example", row);
}

/* One record alone covers everything but its own name. */
static void test_nsec3_spans(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"a single record",
	     "c.example",
	     NXDOMAIN,
	     0,
	     RRSET_SECURE,
	     "example",
	     {N3("0", H_APEX, H_APEX, "NS SOA")}},
	    {"the last one, behind",
	     "z.example",
	     CUT,
	     0,
	     DENIAL_NO_CUT,
	     "example",
	     {N3("0", H_APEX, H_APEX, "NS SOA")}},
	    {"a name is not covered by its own",
	     "ns1.example",
	     EXPANSION,
	     1,
	     RRSET_BOGUS,
	     NULL,
	     {R_NS1("0")}},
	    {"... nor by the one before",
	     "ns1.example",
	     EXPANSION,
	     1,
	     RRSET_BOGUS,
	     NULL,
	     {R_APEX("0")}},
	    {"... nor by a single one",
	     "ns1.example",
	     EXPANSION,
	     1,
	     RRSET_BOGUS,
	     NULL,
	     {N3("0", H_NS1, H_NS1, "A")}},
	};
	PLAY("example", row);
}

/* RFC 9276 3.2. */
static void test_nsec3_rounds(void **state)
{
	(void)state;
	static const struct row row[] = {
	    {"too many",
	     "ns1.example",
	     NODATA,
	     DNS_MX,
	     RRSET_INSECURE,
	     NULL,
	     {H_NS1 ".example. NSEC3 1 0 51 aabbccdd " H_XYW " A\n"}},
	    {"name error",
	     "ns1.example",
	     NXDOMAIN,
	     0,
	     RRSET_INSECURE,
	     NULL,
	     {H_NS1 ".example. NSEC3 1 0 2500 - " H_XYW " A\n"}},
	    {"expansion",
	     "ns1.example",
	     EXPANSION,
	     1,
	     RRSET_INSECURE,
	     NULL,
	     {H_NS1 ".example. NSEC3 1 0 65535 - " H_XYW " A\n"}},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		play("example", &row[i]);
		assert_int_equal(proof.ede, EDE_NSEC3_ROUNDS);
		assert_int_equal(work.hashes, VALIDATE_HASHES);
	}
	static const struct row cut = {"cut",
				       "b.example",
				       CUT,
				       0,
				       DENIAL_INSECURE,
				       NULL,
				       {H_NS1 ".example. NSEC3 1 0 51 - " H_XYW " A\n"}};
	play("example", &cut);
	static const struct row fifty = {"50",
					 "ns1.example",
					 NODATA,
					 DNS_MX,
					 RRSET_BOGUS,
					 NULL,
					 {H_NS1 ".example. NSEC3 1 0 50 - " H_XYW " A\n"}};
	play("example", &fifty);
}

/* CVE-2023-50868: names of many labels; hashes are counted and remembered. */
static void test_nsec3_hashes(void **state)
{
	(void)state;
	char name[256] = "";
	for (unsigned i = 0; i < 120; i++)
		name[2 * i] = 'a', name[2 * i + 1] = '.';
	snprintf(name + 240, sizeof(name) - 240, "example");
	const uint8_t *wire = kit_name(name);
	denial_init(&d, kit_name("example"));
	validate_work_init(&work);
	assert_true(denial_add_secure(&d, kit_text(R_NS1("0"))));
	assert_int_equal(denial_nxdomain(&d, wire, &work, &proof), RRSET_BOGUS);
	assert_int_equal(work.hashes, VALIDATE_HASHES - 121);
	assert_int_equal(denial_nxdomain(&d, wire, &work, &proof), RRSET_BOGUS);
	assert_int_equal(work.hashes, 0);
	assert_non_null(strstr(proof.why, "too many"));
	assert_int_equal(denial_expansion(&d, wire + 2, 2, &work, &proof), RRSET_BOGUS);
	/* The same name again costs nothing. */
	static const char *const record[] = {R_APEX("0"), R_XW("0"), R_A("0")};
	const uint8_t *other = kit_name("a.c.x.w.example");
	denial_init(&d, kit_name("example"));
	validate_work_init(&work);
	for (unsigned i = 0; i < 3; i++)
		assert_true(denial_add_secure(&d, kit_text(record[i])));
	assert_int_equal(denial_nxdomain(&d, other, &work, &proof), RRSET_SECURE);
	assert_int_equal(work.hashes, VALIDATE_HASHES - 4);
	assert_int_equal(denial_nxdomain(&d, other, &work, &proof), RRSET_SECURE);
	assert_int_equal(work.hashes, VALIDATE_HASHES - 4);
}

static void test_too_many(void **state)
{
	(void)state;
	denial_init(&d, kit_name("example"));
	for (unsigned i = 0; i < DENIAL_RECORDS; i++) {
		assert_true(denial_add_secure(&d, kit_text(NS1)));
		assert_true(denial_add_secure(&d, kit_text(R_NS1("0"))));
	}
	assert_false(denial_add_secure(&d, kit_text(NS1)));
	assert_false(denial_add_secure(&d, kit_text(R_NS1("0"))));
	assert_false(denial_add_secure(&d, kit_text("a.example. A 192.0.2.1\n")));
}

/* --- what is put in was validated --------------------------------------------------------------
 */

static bool add_signed(const char *zone, const char *record, const char *signer, int labels,
		       bool spoil)
{
	struct kit_key k;
	struct validate v;
	struct rrset *set = kit_text(record);
	kit_key(&k, 13, 0);
	kit_sign(set, &k, &(struct kit_sig){.signer = signer, .labels = labels, .spoil = spoil});
	struct rrset *keys = kit_dnskey(signer, &k, 1);
	validate_work_init(&work);
	validate_begin(&v, set, keys, KIT_NOW, 0);
	while (validate_step(&v, &work) == RRSET_UNCHECKED)
		continue;
	denial_init(&d, kit_name(zone));
	kit_key_free(&k);
	return denial_add(&d, &v);
}

static void test_added(void **state)
{
	(void)state;
	assert_true(add_signed("example", NS1, "example.", 0, false));
	assert_true(add_signed("example", WILD, "example.", 0, false));
	assert_false(add_signed("example", NS1, "example.", 0, true));
	/* The NSEC of a wildcard that was asked for by another name (RFC 6840 4.x: it would say
	 * that all names between that and the wildcard's next one are not there). */
	assert_false(
	    add_signed("example", "m.w.example. NSEC x.w.example. MX\n", "example.", 2, false));
	/* The parent's or the child's is not the zone's. */
	assert_false(
	    add_signed("b.example", "b.example. NSEC c.example. NS\n", "example.", 0, false));
	assert_false(
	    add_signed("example", "b.example. NSEC c.b.example. NS SOA\n", "b.example.", 0, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_nsec_examples, kit_end),
	    cmocka_unit_test_teardown(test_nsec_name_error, kit_end),
	    cmocka_unit_test_teardown(test_nsec_nodata, kit_end),
	    cmocka_unit_test_teardown(test_nsec_expansion, kit_end),
	    cmocka_unit_test_teardown(test_nsec_cut, kit_end),
	    cmocka_unit_test_teardown(test_nsec3_examples, kit_end),
	    cmocka_unit_test_teardown(test_nsec3_wrong, kit_end),
	    cmocka_unit_test_teardown(test_nsec3_spans, kit_end),
	    cmocka_unit_test_teardown(test_nsec3_rounds, kit_end),
	    cmocka_unit_test_teardown(test_nsec3_hashes, kit_end),
	    cmocka_unit_test_teardown(test_too_many, kit_end),
	    cmocka_unit_test_teardown(test_added, kit_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
