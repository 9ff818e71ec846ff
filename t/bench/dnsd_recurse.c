/* The cache server between the datagrams: what an answer from the cache takes, without the system's
 * part. Prints "name<TAB>value<TAB>unit" lines. dnsd_recurse [NAMES] */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "dnsd/load/load_int.h"
#include "dnsd/recurse/recurse_int.h"
#include "dnsd/wire/serve.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"

enum { ROUNDS = 3000000, QUERIES = 1 << 16, SLOT = 64, BATCH = 64 };

static struct {
	uint8_t pkt[SLOT];
	size_t len;
} query[QUERIES];

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

static const uint8_t *name_of(unsigned i)
{
	static uint8_t wire[DNS_NAME_MAX] = "\10h0000000\5bench\7example";
	for (unsigned k = 8; k > 1; k--, i /= 10)
		wire[k] = (uint8_t)('0' + i % 10);
	return wire;
}

static void fill(unsigned n)
{
	static const char data[] = {0, 4, 10, 0, 0, 1};
	struct cached e = {
	    .kind = CACHE_RRSET,
	    .trust = CACHE_ANSWER,
	    .security = RRSET_INSECURE,
	    .set = {.type = DNS_A, .ttl = 86400, .n = 1, .data = {data, sizeof(data)}},
	    .ede = 0xffff};
	for (unsigned i = 0; i < n; i++) {
		e.set.owner = name_of(i);
		cache_put(recurse_self.cache, 0, &e, clock_sec());
	}
}

static void ask_for(unsigned n, uint16_t edns)
{
	uint8_t pkt[DNS_QUERY_MAX];
	for (unsigned i = 0; i < QUERIES; i++) {
		const struct dns_query q = {
		    .id = (uint16_t)i, .type = DNS_A, .flags = DNS_RD, .edns_size = edns};
		query[i].len = dns_query(pkt, name_of((i * 7919u) % n), &q);
		memcpy(query[i].pkt, pkt, query[i].len);
	}
}

static void answers(const char *what, bool together)
{
	static uint8_t out[UDP_MAX];
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct query_from from = {
	    .client = (struct sockaddr *)&sa, .by = BY_UDP, .serves = SERVES_CACHE};
	const struct sockaddr *client[BATCH];
	struct slice batch[BATCH];
	unsigned good = 0;
	for (unsigned i = 0; i < BATCH; i++)
		client[i] = from.client;
	double start = used_ns();
	for (unsigned i = 0; i < ROUNDS; i += BATCH) {
		for (unsigned k = 0; together && k < BATCH; k++)
			batch[k] = (struct slice){(const char *)query[(i + k) % QUERIES].pkt,
						  query[(i + k) % QUERIES].len};
		if (together)
			serve_ahead(batch, client, BATCH);
		for (unsigned k = i; k < i + BATCH; k++) {
			size_t n = serve(&from, query[k % QUERIES].pkt, query[k % QUERIES].len, out,
					 sizeof(out));
			good += n > 0 && (out[3] & DNS_RCODE) == DNS_NOERROR && out[7] == 1;
		}
	}
	figure(what, (used_ns() - start) / ROUNDS, "ns");
	if (good < ROUNDS)
		figure("  of them answered", 100.0 * good / ROUNDS, "%");
}

int main(int argc, char **argv)
{
	static const char text[] = "version 1\ncache 127.0.0.1:53\nrecursion {\n\tsize 128M\n}\n";
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
	struct pool *pool = pool_new(0);
	clock_init();
	log_init("dnsd_recurse", LOG_TO_STDERR, LOG_LV_WARN);
	if (conf_parse(pool, "dnsd.conf", text, sizeof(text) - 1, conf_table, &conf, conf_verify,
		       stderr))
		return 1;
	conf.cookies = false;
	conf.store = false;
	load_zones_start();
	serve_start(-1);
	fill(n);
	ask_for(1000 < n ? 1000 : n, 0);
	answers("answer, of 1000 names", true);
	ask_for(1000 < n ? 1000 : n, 1232);
	answers("answer with EDNS, of 1000 names", true);
	ask_for(n, 1232);
	answers("answer with EDNS, of all names", true);
	return 0;
}
