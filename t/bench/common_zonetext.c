/* How fast zone files are read, by our reader and by ldns: a million records of the kinds that big
 * zones have. Prints "name<TAB>ours<TAB>ldns<TAB>ratio<TAB>unit" lines, CPU time alone.
 * common_zonetext [RECORDS] */
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "libcommon/dns/zonetext.h"

static double cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool count(void *arg, const struct zone_rr *rr)
{
	(void)rr;
	++*(uint64_t *)arg;
	return true;
}

static void complain(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
	exit(1);
}

static double ours(struct slice text, uint64_t want)
{
	uint64_t n = 0;
	struct zonetext z = {.origin = (const uint8_t *)"\7example\3org",
			     .on_rr = count,
			     .on_error = complain,
			     .arg = &n};
	double start = cpu();
	zonetext_memory(&z, "bench.zone", text);
	if (n != want)
		exit(1);
	return (double)n / (cpu() - start);
}

static double theirs(struct slice text)
{
	FILE *f = fmemopen((void *)(uintptr_t)text.p, text.len, "r");
	ldns_rdf *origin = NULL, *prev = NULL;
	uint32_t ttl = 0;
	uint64_t n = 0;
	ldns_rr *rr = NULL;
	double start = cpu();
	while (f && !feof(f)) {
		if (ldns_rr_new_frm_fp_l(&rr, f, &ttl, &origin, &prev, NULL) != LDNS_STATUS_OK)
			continue;
		ldns_rr_free(rr);
		n++;
	}
	double rate = (double)n / (cpu() - start);
	ldns_rdf_deep_free(origin);
	ldns_rdf_deep_free(prev);
	if (f)
		fclose(f);
	return rate;
}

struct kind {
	const char *name;
	void (*line)(struct buf *b, unsigned i);
};

static void simple(struct buf *b, unsigned i)
{
	buf_printf(b, "host%u A 10.%u.%u.%u\n", i, i >> 16 & 255, i >> 8 & 255, i & 255);
}

/* As a registry's zone: delegations with glue, TTL and class on each line. */
static void delegation(struct buf *b, unsigned i)
{
	if (i % 4 < 2)
		buf_printf(b, "domain%u.example.org. 172800 IN NS ns%u.domain%u.example.org.\n",
			   i / 4, i % 2, i / 4);
	else if (i % 4 == 2)
		buf_printf(b, "ns0.domain%u.example.org. 172800 IN A 192.0.2.%u\n", i / 4, i & 255);
	else
		buf_printf(b, "ns1.domain%u.example.org. 172800 IN AAAA 2001:db8::%x\n", i / 4,
			   i & 0xffff);
}

static void mixed(struct buf *b, unsigned i)
{
	static const char *const line[] = {
	    "h%u\t300 IN A 192.0.2.1\n",
	    "h%u IN 1h MX 10 mail\n",
	    "h%u TXT \"v=spf1 ip4:192.0.2.0/24 -all\" ; mail\n",
	    "h%u CAA 0 issue \"ca.example\"\n",
	    "_sip._tcp.h%u SRV 0 5 5060 sip\n",
	    "h%u HTTPS 1 . alpn=h2,h3 port=8443\n",
	    "h%u RRSIG A 13 3 3600 20300322173103 20300220173103 26 @ (oJB1W6WN\n Gv+lWDG0)\n",
	    "h%u NSEC i A MX RRSIG NSEC\n",
	};
	buf_printf(b, line[i % 8], i);
}

int main(int argc, char **argv)
{
	static const struct kind kind[] = {
	    {"zone-simple", simple}, {"zone-registry", delegation}, {"zone-mixed", mixed}};
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 1000000;
	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		struct buf b = {0};
		buf_adds(&b, "$ORIGIN example.org.\n$TTL 3600\n");
		for (unsigned k = 0; k < n; k++)
			kind[i].line(&b, k);
		double a = ours(buf_slice(&b), n), l = theirs(buf_slice(&b));
		printf("%s\t%.3f\t%.3f\t%.2f\tmillion records/s\n", kind[i].name, a / 1e6, l / 1e6,
		       a / l);
		buf_free(&b);
	}
	return 0;
}
