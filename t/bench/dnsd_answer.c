/* Images and answers: what it takes to build the image of a zone with many names, and an answer
 * from it. Prints "name<TAB>value<TAB>unit" lines. dnsd_answer [NAMES [FOLDER]] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "dnsd/image/image_int.h"
#include "t/unit/dnsd_zone.h"

enum {
	CUTS = 1000,    /* delegations, beside the names */
	POOL = 1 << 16, /* queries made beforehand */
	ROUNDS = 16,    /* times that they are asked */
	FEW = 10000,
	MANY = 1000000,
	SLOT = 64,
	BATCH = 64, /* queries that come together */
};

static const char zone[] = "bench.test", hard_zone[] = "h.test";
static struct {
	uint8_t pkt[SLOT];
	size_t len;
} pool[POOL];

static void figure(const char *name, uint32_t names, double v, const char *unit)
{
	printf("%s %u\t%.3f\t%s\n", name, names, v, unit);
	fflush(stdout);
}

/* Processor time: others may be at work on this machine. */
static double used_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double ms_since(double start)
{
	return (used_ns() - start) / 1e6;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "dnsd_answer: %s\n", what);
	exit(1);
}

static const uint8_t *name_of(const char *prefix, uint32_t i, const char *below)
{
	static uint8_t wire[DNS_NAME_MAX];
	char text[128];
	snprintf(text, sizeof(text), "%s%07u.%s%s", prefix, i, below, zone);
	must(dns_name_from_text(slice_of(text), wire) > 0, text);
	return wire;
}

static void add(struct image_maker *m, const uint8_t *owner, uint16_t type, const void *data,
		size_t len)
{
	const char *why;
	must(image_add(m, owner, type, 3600, data, len, &why), "image_add");
}

static void report(void *arg, bool error, const char *line)
{
	(void)arg;
	(void)error;
	fprintf(stderr, "%s\n", line);
}

static struct image *build(int folder, uint32_t names)
{
	static const uint8_t ns[] = "\2ns\4else";
	static const uint8_t soa[2 + 20] = {0}, label[] = {2, 'n', 's'};
	uint8_t apex[DNS_NAME_MAX];
	struct image_stats stats;
	const char *why;
	dns_name_from_text(slice_of(zone), apex);
	double start = used_ns();
	struct image_maker *m = image_make(folder, "bench.image", apex, NULL);
	add(m, apex, DNS_SOA, soa, sizeof(soa));
	add(m, apex, DNS_NS, ns, sizeof(ns));
	/* Not in the order that they are going to have. */
	for (uint32_t i = 0; i < names; i++) {
		uint32_t k = (uint32_t)((uint64_t)i * 7919 % names);
		uint8_t a[] = {10, (uint8_t)(k >> 16), (uint8_t)(k >> 8), (uint8_t)k};
		add(m, name_of("host", k, ""), DNS_A, a, sizeof(a));
	}
	for (uint32_t i = 0; i < CUTS; i++) {
		uint8_t own[DNS_NAME_MAX];
		const uint8_t *glue = name_of("cut", i, "");
		uint8_t a[] = {192, 0, 2, 1};
		memcpy(own, label, sizeof(label));
		memcpy(own + sizeof(label), glue, dns_name_len(glue));
		add(m, glue, DNS_NS, own, dns_name_len(own));
		add(m, own, DNS_A, a, sizeof(a));
	}
	double added = ms_since(start);
	must(image_finish(m, &stats, report, NULL), "image_finish");
	figure("image-add", names, added, "ms");
	figure("image-build", names, ms_since(start), "ms");
	figure("image-size", names, (double)stats.octets / (1 << 20), "MiB");
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	figure("image-build-memory", names, (double)ru.ru_maxrss / 1024, "MiB");
	start = used_ns();
	struct image *i = image_open(folder, "bench.image", &why);
	must(i != NULL, "image_open");
	figure("image-open", names, ms_since(start), "ms");
	unlinkat(folder, "bench.image", 0);
	return i;
}

static void fill(const char *prefix, const char *below, uint32_t names, bool edns)
{
	uint32_t x = 1;
	for (unsigned i = 0; i < POOL; i++) {
		struct dns_query q = {
		    .id = (uint16_t)i, .type = DNS_A, .edns_size = edns ? 1232 : 0};
		uint8_t pkt[DNS_QUERY_MAX];
		x = x * 1664525 + 1013904223;
		pool[i].len = dns_query(pkt, name_of(prefix, (x >> 8) % names, below), &q);
		must(pool[i].len <= SLOT, "a query is too long");
		memcpy(pool[i].pkt, pkt, pool[i].len);
	}
}

static void measure(const char *what, const struct zones *z, uint32_t names, uint16_t rcode)
{
	static struct query query[BATCH];
	static const struct answer_conf conf = {.udp_size = 1232, .additional = true};
	static const struct answer_way way = {.now = 1};
	uint8_t out[1232];
	struct answer_info info;
	double best = 1e9;
	for (int round = 0; round < ROUNDS; round++) {
		double start = used_ns();
		for (unsigned i = 0; i < POOL; i++) {
			struct query *q = &query[i % BATCH];
			for (unsigned k = 0; k < BATCH && i % BATCH == 0; k++)
				query_read(&query[k], pool[i + k].pkt, pool[i + k].len);
			if (i % BATCH == 0)
				answer_prepare(z, query, BATCH);
			must(answer_query(z, &conf, q, &way, out, sizeof(out), &info) > 0 &&
				 info.rcode == rcode,
			     what);
		}
		double ns = (used_ns() - start) / POOL;
		if (ns < best)
			best = ns;
	}
	figure(what, names, best, "ns");
}

static void bench(int folder, uint32_t names)
{
	struct image *i = build(folder, names);
	struct zones *z = zones_new();
	zones_set(z, image_zone(i), i, 0);
	fill("host", "", names, true);
	measure("answer-positive", z, names, DNS_NOERROR);
	fill("host", "", names, false);
	measure("answer-positive-without-edns", z, names, DNS_NOERROR);
	fill("nix", "", names, true);
	measure("answer-nxdomain", z, names, DNS_NXDOMAIN);
	fill("nix", "a.b.c.d.e.f.", names, true);
	measure("answer-nxdomain-deep", z, names, DNS_NXDOMAIN);
	fill("cut", "", CUTS, true);
	measure("answer-referral", z, names, DNS_NOERROR);
	zones_free(&z);
	image_close(&i);
}

/* --- the dearest queries that could be thought of ----------------------------------------------
 */

/* Every name that is not there is proved by NSEC3 with as many iterations as are taken. */
static void hard_text(struct buf *out)
{
	uint8_t apex[DNS_NAME_MAX], hash[NSEC3_HASH];
	size_t len = dns_name_from_text(slice_of(hard_zone), apex);
	char text[64];
	nsec3_hash(apex, len, (const uint8_t *)"", 0, IMAGE_ITERATIONS, hash);
	static const char digit[] = "0123456789abcdefghijklmnopqrstuv";
	size_t n = 0;
	uint32_t bits = 0;
	for (unsigned i = 0, have = 0; i < NSEC3_HASH; i++) {
		bits = bits << 8 | hash[i];
		for (have += 8; have >= 5; have -= 5)
			text[n++] = digit[bits >> (have - 5) & 31];
	}
	text[n] = '\0';
	buf_printf(out, "@ 60 SOA ns root 7 1 2 3 300\n@ 60 NS ns\nns 60 A 192.0.2.1\n");
	buf_printf(out, "@ 60 NSEC3PARAM 1 0 %d -\n", IMAGE_ITERATIONS);
	buf_printf(out, "%s 60 NSEC3 1 1 %d - %s SOA NS\n", text, IMAGE_ITERATIONS, text);
	for (int i = 0; i < 40; i++)
		buf_printf(out, "c%d 60 CNAME c%d\n", i, i + 1);
	for (int i = 0; i < 300; i++)
		buf_printf(out, "mx 60 MX %d m%d\nm%d 60 A 192.0.2.%d\nm%d 60 AAAA 2001:db8::%x\n",
			   i, i, i, i % 256, i, i);
	for (int i = 0; i < 250; i++)
		buf_printf(out, "big 60 TXT %d%0240d\n", i, 0);
	buf_printf(out, "*.w 60 CNAME c0\nd 60 DNAME w\n");
}

static void hard(const char *what, const struct zones *z, const char *name, uint16_t type)
{
	static const struct answer_conf conf = {.udp_size = 1232, .additional = true};
	static const struct answer_way way = {.now = 1, .stream = true};
	static uint8_t out[DNS_MSG_MAX];
	struct answer_info info;
	struct query q;
	uint8_t pkt[DNS_QUERY_MAX], wire[DNS_NAME_MAX];
	const struct dns_query ask = {.type = type, .edns_size = 1232, .dnssec_ok = true};
	must(dns_name_from_text(slice_of(name), wire) > 0, name);
	size_t len = dns_query(pkt, wire, &ask);
	double best = 1e12;
	for (int round = 0; round < 100; round++) {
		double start = used_ns();
		query_read(&q, pkt, len);
		must(answer_query(z, &conf, &q, &way, out, sizeof(out), &info) > 0, what);
		double ns = used_ns() - start;
		if (ns < best)
			best = ns;
	}
	printf("%s\t%.1f\tus\n", what, best / 1e3);
}

static void bench_hard(int folder)
{
	char deep[DNS_NAME_TEXT] = "";
	struct buf text;
	buf_init(&text, 0);
	hard_text(&text);
	zone_folder = folder;
	struct image *i = zone_image(hard_zone, buf_cstr(&text));
	struct zones *z = zones_new();
	zones_set(z, image_zone(i), i, 0);
	for (int k = 0; k < 120; k++)
		strcat(deep, "a.");
	strcat(deep, hard_zone);
	hard("hard-denial-of-120-labels", z, deep, DNS_A);
	hard("hard-16-aliases", z, "c0.h.test", DNS_A);
	hard("hard-dname-and-aliases", z, "x.d.h.test", DNS_A);
	hard("hard-300-mx-with-addresses", z, "mx.h.test", DNS_MX);
	hard("hard-250-txt-of-240-octets", z, "big.h.test", DNS_TXT);
	hard("hard-any", z, "mx.h.test", DNS_ANY);
	zones_free(&z);
	image_close(&i);
	unlinkat(folder, "image", 0);
	buf_free(&text);
}

int main(int argc, char **argv)
{
	const char *path = argc > 2 ? argv[2] : "/tmp";
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(folder >= 0, path);
	if (argc > 1) {
		bench(folder, (uint32_t)strtoul(argv[1], NULL, 10));
	} else {
		bench(folder, FEW);
		bench(folder, MANY);
		bench_hard(folder);
	}
	close(folder);
	return 0;
}
