/* Images and answers: what it takes to build the image of a zone with many names, and an answer
 * from it. Prints "name<TAB>value<TAB>unit" lines. dnsd_answer [NAMES [FOLDER]] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "dnsd/answer.h"

enum {
	CUTS = 1000,    /* delegations, beside the names */
	POOL = 1 << 16, /* queries made beforehand */
	ROUNDS = 16,    /* times that they are asked */
	FEW = 10000,
	MANY = 1000000,
	SLOT = 64,
	BATCH = 64, /* queries that come together */
};

static const char zone[] = "bench.test";
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
	}
	close(folder);
	return 0;
}
