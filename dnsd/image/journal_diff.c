/* Several steps of a journal as one: what came and went again, or went and came, is left out. */
#include <stdlib.h>
#include "dnsd/image/journal.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/pool.h"

enum { RR_FIXED = 10 /* octets of a record but for its owner and data */ };

struct change {
	struct change *next; /* in the order in which they came */
	struct zone_rr rr;
	bool gone;
	bool taken_back;
};
struct journal_diff {
	struct pool *pool;
	struct map *changes; /* by the record */
	struct change *first, **last;
	struct zone_rr soa[2]; /* the first one and the last one */
	const struct change *at;
	unsigned stage; /* SOA, what goes, SOA, what comes */
	size_t octets;
};

static struct zone_rr keep(struct pool *pool, const struct zone_rr *rr)
{
	struct zone_rr r = *rr;
	r.owner = pool_dup(pool, rr->owner, dns_name_len(rr->owner));
	r.rdata = rr->rdlen ? pool_dup(pool, rr->rdata, rr->rdlen) : (const uint8_t *)"";
	return r;
}

static size_t octets_of(const struct zone_rr *rr)
{
	return dns_name_len(rr->owner) + RR_FIXED + rr->rdlen;
}

/* A record that goes as often as it comes has not changed; else the last word counts. */
static void change(struct journal_diff *d, const struct zone_rr *rr, bool gone)
{
	static uint8_t key[DNS_NAME_MAX + 6 + DNS_RDATA_MAX];
	size_t n = dns_name_len(rr->owner);
	const uint8_t front[] = {(uint8_t)(rr->type >> 8), (uint8_t)rr->type,
				 (uint8_t)(rr->ttl >> 24), (uint8_t)(rr->ttl >> 16),
				 (uint8_t)(rr->ttl >> 8),  (uint8_t)rr->ttl};
	memcpy(key, rr->owner, n);
	memcpy(key + n, front, sizeof(front));
	n += sizeof(front);
	memcpy(key + n, rr->rdata, rr->rdlen);
	n += rr->rdlen;
	struct change *c = map_get(d->changes, key, n);
	if (c && c->gone != gone) {
		c->taken_back = true;
		d->octets -= octets_of(&c->rr);
		map_del(d->changes, key, n);
	} else if (!c) {
		c = pool_alloc(d->pool, sizeof(*c));
		*c = (struct change){.rr = keep(d->pool, rr), .gone = gone};
		*d->last = c;
		d->last = &c->next;
		d->octets += octets_of(&c->rr);
		map_set(d->changes, key, n, c);
	}
}

struct journal_diff *journal_condense(const struct journal_steps *steps)
{
	struct journal_steps s = *steps;
	struct journal_diff *d = mem_alloc(sizeof(*d));
	struct zone_rr rr;
	unsigned soas = 0;
	d->pool = pool_new(16 << 10);
	d->changes = map_new();
	d->last = &d->first;
	while (journal_next(&s, &rr)) {
		if (rr.type != DNS_SOA) {
			change(d, &rr, soas % 2 == 1);
			continue;
		}
		d->soa[soas != 0] = keep(d->pool, &rr);
		soas++;
	}
	map_free(&d->changes);
	/* Each step has two. */
	if (s.bad || !soas || soas % 2) {
		journal_diff_free(&d);
		return NULL;
	}
	d->octets += octets_of(&d->soa[0]) + octets_of(&d->soa[1]);
	journal_diff_begin(d);
	return d;
}

void journal_diff_free(struct journal_diff **d)
{
	if (!*d)
		return;
	pool_free(&(*d)->pool);
	free(*d);
	*d = NULL;
}

size_t journal_diff_octets(const struct journal_diff *d)
{
	return d->octets;
}

void journal_diff_begin(struct journal_diff *d)
{
	d->stage = 0;
	d->at = NULL;
}

bool journal_diff_next(struct journal_diff *d, struct zone_rr *out)
{
	while (d->stage < 4) {
		if (d->stage % 2 == 0) {
			*out = d->soa[d->stage++ / 2];
			d->at = d->first;
			return true;
		}
		const struct change *c = d->at;
		if (!c) {
			d->stage++;
			continue;
		}
		d->at = c->next;
		if (!c->taken_back && c->gone == (d->stage == 1)) {
			*out = c->rr;
			return true;
		}
	}
	return false;
}
