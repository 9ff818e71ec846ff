/* The cache: what a hit takes, what putting takes, and what an entry costs in memory. Prints
 * "name<TAB>value<TAB>unit" lines. dnsd_cache [ENTRIES] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "dnsd/cache/cache.h"

enum { ROUNDS = 4000000, NOW = 1790000000, SPREAD = 7919 };

static void figure(const char *name, double v, const char *unit)
{
	printf("%s\t%.3f\t%s\n", name, v, unit);
	fflush(stdout);
}

/* Processor time: others may be at work on this machine. */
static double used_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f) {
		if (fscanf(f, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* hNNNNNNN.bench.example: 24 octets. */
static const uint8_t *name_of(unsigned i)
{
	static uint8_t wire[DNS_NAME_MAX] = "\10h0000000\5bench\7example";
	for (unsigned k = 8; k > 1; k--, i /= 10)
		wire[k] = (uint8_t)('0' + i % 10);
	return wire;
}

static void fill(struct cache *c, unsigned n)
{
	static const char data[] = {0, 4, 10, 0, 0, 1};
	struct cached e = {
	    .kind = CACHE_RRSET,
	    .trust = CACHE_ANSWER,
	    .security = RRSET_INSECURE,
	    .set = {.type = DNS_A, .ttl = 3600, .n = 1, .data = {data, sizeof(data)}},
	    .ede = 0xffff};
	for (unsigned i = 0; i < n; i++) {
		e.set.owner = name_of(i);
		cache_put(c, 0, &e, NOW);
	}
}

static void hits(struct cache *c, unsigned of, unsigned step, const char *what)
{
	struct cached out;
	unsigned found = 0, k = 0;
	double start = used_ns();
	for (unsigned i = 0; i < ROUNDS; i++) {
		k = (k + step) % of;
		found += cache_find(c, 0, name_of(k), DNS_A, NOW, false, &out);
	}
	figure(what, (used_ns() - start) / ROUNDS, "ns");
	figure("  of them found", 100.0 * found / ROUNDS, "%");
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
	const struct cache_conf conf = {.octets = (size_t)n * 72,
					.ttl_most = 86400,
					.negative_most = 3600,
					.failure_ttl = 30,
					.prefetch = 10};
	struct cache_stats st;
	double before = resident(), start = used_ns();
	struct cache *c = cache_new(&conf);
	fill(c, n);
	figure("put, memory new", (used_ns() - start) / n, "ns");
	cache_stats(c, &st);
	figure("entries", (double)st.entries, "");
	figure("memory per entry", (resident() - before) / (double)st.entries, "octets");
	start = used_ns();
	fill(c, n);
	figure("put again", (used_ns() - start) / n, "ns");
	hits(c, 1000 < n ? 1000 : n, 1, "hit, of 1000 names");
	hits(c, n, SPREAD, "hit, of all names");
	cache_free(&c);
	return 0;
}
