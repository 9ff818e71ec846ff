/* What a hostile server may answer: whatever is taken of it is under the zone asked, belongs to the
 * question, and can be put into the cache and read from there again. The first octets choose the
 * question. */
#include <stdlib.h>
#include "dnsd/resolve/put.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_set(const struct scrub_question *q, const struct rrset *s)
{
	struct slice data = s->data, rdata;
	unsigned n = 0;
	if (!dns_name_under(s->owner, q->zone) || !s->n)
		abort();
	while (rrset_next(&data, &rdata))
		n++;
	if (n != (unsigned)s->n + s->sigs || data.len)
		abort();
}

static void check(struct pool *pool, const struct scrub_question *q, const struct scrubbed *s)
{
	const struct rrset *set[SCRUB_SETS];
	struct cached c, copy;
	if (s->kind <= SCRUB_LAME) {
		if (!s->why || s->main)
			abort();
		return;
	}
	if (s->main)
		check_set(q, s->main);
	for (unsigned i = 0; i < s->proofs; i++)
		check_set(q, s->proof[i]);
	for (unsigned i = 0; i < s->addresses; i++)
		check_set(q, s->address[i]);
	put_cached(pool, s, q->name, q->type, 1, &c);
	copy = put_copy(pool, &c);
	scrub_records(pool, copy.extra, set, SCRUB_SETS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint16_t type[] = {DNS_A, DNS_NS, DNS_DS, DNS_CNAME, DNS_TXT, DNS_NSEC};
	struct scrub_question q = {.zone = (const uint8_t *)"\4test",
				   .name = (const uint8_t *)"\3www\1a\4test"};
	struct scrubbed s;
	if (len < 1)
		return 0;
	q.type = type[*data % 6];
	q.recursive = *data & 0x80;
	if (*data & 0x40)
		q.zone = (const uint8_t *)"";
	uint8_t *pkt = malloc(len); /* as long as it is, so that nobody reads on */
	if (!pkt)
		return 0;
	memcpy(pkt, data + 1, len - 1);
	struct pool *pool = pool_new(0);
	scrub(pool, &q, pkt, len - 1, &s);
	check(pool, &q, &s);
	pool_free(&pool);
	free(pkt);
	return 0;
}
