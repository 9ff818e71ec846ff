#include "dnsd/cache/cache_int.h"
#include <stdlib.h>
#include <sys/mman.h>
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"

enum {
	LEAST = 1 << 16,    /* octets of a cache */
	INDEX_SHARE = 12,   /* of all octets one in so many is for the buckets: a slot per 64 */
	LARGEST_SHARE = 10, /* no entry is larger than one in so many */
	STALE_TTL = 30,     /* RFC 8767 5.2 */
	DATA_MAX = 0xffffff,
	EDE_STALE = 3,
	EDE_STALE_NXDOMAIN = 19,
};

struct cache *cache_new(const struct cache_conf *conf)
{
	struct cache *c = mem_alloc(sizeof(*c));
	size_t octets = conf->octets < LEAST ? LEAST : conf->octets;
	const size_t most = (size_t)UINT32_MAX * UNIT;
	if (octets > most)
		octets = most;
	c->conf = *conf;
	c->octets = octets;
	c->buckets = (uint32_t)(octets / INDEX_SHARE / sizeof(struct bucket));
	size_t index = c->buckets * sizeof(struct bucket);
	c->size = (uint32_t)((octets - index) / UNIT);
	/* Not malloc: what was never written costs nothing. */
	void *p = mmap(NULL, octets, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		free(c);
		return NULL;
	}
	c->memory = p;
	c->bucket = p;
	c->ring = (uint32_t *)(void *)(c->memory + index);
	id_random(c->secret, sizeof(c->secret));
	return c;
}

void cache_free(struct cache **c)
{
	if (!*c)
		return;
	munmap((*c)->memory, (*c)->octets);
	free(*c);
	*c = NULL;
}

/* --- finding -----------------------------------------------------------------------------------
 */

static struct entry *lookup(const struct cache *c, struct key *k, enum slot_class class,
			    uint16_t type)
{
	k->class = class;
	k->type = type;
	struct slot s = index_find(c, k);
	return s.b ? entry_at(c, s.b->at[s.i]) : NULL;
}

static uint16_t shown_ede(const struct entry *e, bool stale)
{
	if (!stale || e->ede != EDE_NONE)
		return e->ede;
	return entry_kind(e) == CACHE_NXDOMAIN ? EDE_STALE_NXDOMAIN : EDE_STALE;
}

static void show(const struct entry *e, uint64_t now, struct cached *out)
{
	const char *p = (const char *)entry_name(e) + e->name_len;
	size_t all = (size_t)entry_units(e) * UNIT - (e->head >> PAD_SHIFT & 3);
	size_t rest = all - (size_t)(p - (const char *)e), data = rest;
	bool stale = !entry_fresh(e, now);
	int32_t left = entry_left(e, now);
	*out = (struct cached){.kind = entry_kind(e),
			       .trust = entry_trust(e),
			       .security = entry_security(e),
			       .ede = shown_ede(e, stale),
			       .stale = stale};
	if (e->head & ENTRY_MORE) {
		const struct more *m = (const struct more *)(e + 1);
		data = m->data & DATA_MAX;
		out->labels = (uint8_t)(m->data >> 24);
		out->extras = m->extras;
		out->extra = (struct slice){p + data, rest - data};
	}
	out->set = (struct rrset){.owner = entry_name(e),
				  .type = e->type,
				  .ttl = stale      ? STALE_TTL
					 : left > 0 ? (uint32_t)left
						    : 0,
				  .n = e->n,
				  .sigs = e->sigs,
				  .data = {p, data}};
}

/* It is used: it stays, and when its end is near one who asks is told to renew it. */
static void use(const struct cache *c, struct entry *e, uint64_t now, struct cached *out)
{
	show(e, now, out);
	if (!(e->head & ENTRY_ASKED)) {
		e->head |= ENTRY_ASKED;
	} else if (!(e->head & ENTRY_TOLD) && !out->stale && out->kind != CACHE_FAILURE &&
		   (uint64_t)out->set.ttl * 100 < (uint64_t)e->ttl * c->conf.prefetch) {
		e->head |= ENTRY_TOLD;
		out->prefetch = true;
	}
}

/* Beside a CNAME there may be these (RFC 4034 2.2, 4; RFC 6895), and DS is the parent's. */
static bool cname_answers(uint16_t type)
{
	return type != DNS_CNAME && type != DNS_DS && type != DNS_NSEC && type != DNS_RRSIG &&
	       type != DNS_ANY;
}

/* A name above which does not exist, proven: none below it does (RFC 8020). */
static struct entry *nxdomain_above(const struct cache *c, unsigned space, const uint8_t *name,
				    uint64_t now)
{
	struct key k;
	if (!c->nxdomains)
		return NULL;
	while (*name) {
		name += 1 + *name;
		index_key(c, &k, space, name);
		struct entry *e = lookup(c, &k, SLOT_NXDOMAIN, 0);
		if (e && entry_security(e) == RRSET_SECURE && entry_fresh(e, now))
			return e;
	}
	return NULL;
}

/* The best of what there is for the name itself that is fresh, or of what is not. */
static struct entry *best(const struct cache *c, struct key *k, uint16_t type, bool fresh,
			  uint64_t now)
{
	struct entry *e = lookup(c, k, SLOT_DATA, type);
	if (e && entry_fresh(e, now) == fresh)
		return e;
	e = cname_answers(type) ? lookup(c, k, SLOT_DATA, DNS_CNAME) : NULL;
	if (e && entry_fresh(e, now) == fresh && entry_kind(e) == CACHE_RRSET)
		return e;
	e = c->nxdomains ? lookup(c, k, SLOT_NXDOMAIN, 0) : NULL;
	return e && entry_fresh(e, now) == fresh ? e : NULL;
}

bool cache_find(struct cache *c, unsigned space, const uint8_t *name, uint16_t type, uint64_t now,
		bool stale, struct cached *out)
{
	struct key k;
	index_key(c, &k, space, name);
	struct entry *e = best(c, &k, type, true, now);
	if (!e)
		e = nxdomain_above(c, space, name, now);
	if (!e && stale) {
		e = best(c, &k, type, false, now);
		if (e && entry_over(c, e, now))
			e = NULL;
	}
	if (!e) {
		e = lookup(c, &k, SLOT_FAILURE, type);
		if (e && !entry_fresh(e, now))
			e = NULL;
	}
	if (!e) {
		c->stats.misses++;
		return false;
	}
	use(c, e, now, out);
	c->stats.hits++;
	c->stats.stale += out->stale;
	return true;
}

void cache_ahead(const struct cache *c, unsigned space, const struct cache_ahead *a, unsigned n)
{
	struct key k[CACHE_AHEAD];
	for (unsigned i = 0; i < n; i++) {
		index_key(c, &k[i], space, a[i].name);
		k[i].class = SLOT_DATA;
		k[i].type = a[i].type;
		index_ahead(c, &k[i]);
	}
	for (unsigned i = 0; i < n; i++)
		index_ahead_entry(c, &k[i]);
}

static struct entry *lookup_kind(const struct cache *c, struct key *k, enum cache_kind kind,
				 uint16_t type, uint64_t now)
{
	enum slot_class class = class_of_kind(kind);
	bool typed = class == SLOT_DATA || class == SLOT_FAILURE;
	struct entry *e = lookup(c, k, class, typed ? type : 0);
	return e && entry_kind(e) == kind && entry_fresh(e, now) ? e : NULL;
}

bool cache_find_kind(struct cache *c, unsigned space, const uint8_t *name, enum cache_kind kind,
		     uint16_t type, uint64_t now, struct cached *out)
{
	struct key k;
	index_key(c, &k, space, name);
	struct entry *e = lookup_kind(c, &k, kind, type, now);
	if (!e)
		return false;
	e->head |= ENTRY_ASKED;
	show(e, now, out);
	return true;
}

bool cache_delegation(struct cache *c, unsigned space, const uint8_t *name, bool above,
		      uint64_t now, struct cached *out)
{
	if (above && !*name)
		return false;
	for (name += above ? 1 + *name : 0;; name += 1 + *name) {
		if (cache_find_kind(c, space, name, CACHE_DELEGATION, 0, now, out))
			return true;
		if (!*name)
			return false;
	}
}

/* --- putting -----------------------------------------------------------------------------------
 */

static uint32_t clamped(const struct cache_conf *conf, const struct cached *in)
{
	uint32_t ttl = in->set.ttl, most = conf->ttl_most;
	if (in->kind == CACHE_FAILURE)
		return ttl && ttl < conf->failure_ttl ? ttl : conf->failure_ttl;
	if (in->kind == CACHE_NODATA || in->kind == CACHE_NXDOMAIN)
		most = conf->negative_most < most ? conf->negative_most : most;
	if (ttl < conf->ttl_least)
		ttl = conf->ttl_least;
	return ttl < most ? ttl : most;
}

/* What is there stays: it is fresh, and trusted more, or was validated as this was not. */
static bool stands(const struct entry *e, const struct cached *in, uint64_t now)
{
	if (!entry_fresh(e, now))
		return false;
	if (entry_trust(e) != in->trust)
		return entry_trust(e) > in->trust;
	return entry_security(e) == RRSET_SECURE && in->security < RRSET_INDETERMINATE &&
	       in->kind != CACHE_FAILURE;
}

static bool has_more(const struct cached *in)
{
	return in->extras > 0 || in->labels > 0;
}

static size_t octets_of(const struct cached *in, size_t name_len)
{
	return sizeof(struct entry) + (has_more(in) ? sizeof(struct more) : 0) + name_len +
	       in->set.data.len + (has_more(in) ? in->extra.len : 0);
}

static uint32_t units_of(size_t octets)
{
	return (uint32_t)((octets + UNIT - 1) / UNIT);
}

static void write_entry(const struct cache *c, struct entry *e, const struct key *k,
			const struct cached *in, uint64_t now, uint32_t flags)
{
	size_t octets = octets_of(in, k->name_len);
	uint32_t units = units_of(octets), ttl = clamped(&c->conf, in);
	uint8_t *p = (uint8_t *)(e + 1);
	*e = (struct entry){
	    .head = units | flags | ENTRY_LIVE | (uint32_t)(units * UNIT - octets) << PAD_SHIFT,
	    .expires = (uint32_t)now + ttl,
	    .ttl = ttl,
	    .type = in->set.type,
	    .n = in->set.n,
	    .sigs = in->set.sigs,
	    .ede = in->ede,
	    .space = k->space,
	    .name_len = k->name_len,
	    .what = (uint8_t)(in->kind | (unsigned)in->trust << 3 | (unsigned)in->security << 5)};
	if (has_more(in)) {
		struct more m = {.data = (uint32_t)in->set.data.len | (uint32_t)in->labels << 24,
				 .extras = in->extras};
		e->head |= ENTRY_MORE;
		memcpy(p, &m, sizeof(m));
		p += sizeof(m);
	}
	memcpy(p, k->name, k->name_len);
	p += k->name_len;
	if (in->set.data.len)
		memcpy(p, in->set.data.p, in->set.data.len);
	if (has_more(in) && in->extra.len)
		memcpy(p + in->set.data.len, in->extra.p, in->extra.len);
}

/* Data of a name is there: it exists. */
static void drop_nxdomain(struct cache *c, struct key k, const struct cached *in)
{
	if (!c->nxdomains || in->trust < CACHE_ANSWER ||
	    (in->kind != CACHE_RRSET && in->kind != CACHE_NODATA))
		return;
	k.class = SLOT_NXDOMAIN;
	k.type = 0;
	struct slot s = index_find(c, &k);
	if (s.b && entry_trust(entry_at(c, s.b->at[s.i])) <= in->trust)
		index_drop(c, s);
}

static bool inside(const struct cache *c, const void *p)
{
	const uint8_t *at = p;
	return at >= c->memory && at < c->memory + c->octets;
}

static void put_new(struct cache *c, const struct key *k, const struct cached *in, uint64_t now,
		    uint32_t flags)
{
	uint32_t units = units_of(octets_of(in, k->name_len));
	ring_room(c, units, now);
	struct slot s = index_room(c, k, now);
	uint32_t at = ring_take(c, units);
	write_entry(c, entry_at(c, at), k, in, now, flags);
	index_set(s, k, at);
	c->stats.entries++;
	c->nxdomains += in->kind == CACHE_NXDOMAIN;
}

static bool put(struct cache *c, const struct key *k, const struct cached *in, uint64_t now)
{
	size_t octets = octets_of(in, k->name_len);
	uint32_t flags = 0;
	if (octets > c->octets / LARGEST_SHARE || units_of(octets) > UNITS_MASK ||
	    in->set.data.len > DATA_MAX)
		return false;
	struct slot s = index_find(c, k);
	if (s.b) {
		struct entry *e = entry_at(c, s.b->at[s.i]);
		if (stands(e, in, now))
			return false;
		flags = e->head & ENTRY_ASKED;
		if (entry_units(e) == units_of(octets)) {
			write_entry(c, e, k, in, now, flags);
			c->stats.puts++;
			return true;
		}
		index_drop(c, s);
	}
	put_new(c, k, in, now, flags);
	drop_nxdomain(c, *k, in);
	c->stats.puts++;
	return true;
}

bool cache_put(struct cache *c, unsigned space, const struct cached *in, uint64_t now)
{
	struct key k = {.class = class_of_kind(in->kind)};
	uint8_t name[DNS_NAME_MAX];
	if (space > UINT16_MAX)
		return false;
	index_key(c, &k, space, in->set.owner);
	if (k.class == SLOT_DATA || k.class == SLOT_FAILURE)
		k.type = in->set.type;
	if (!inside(c, in->set.owner) && !inside(c, in->set.data.p) && !inside(c, in->extra.p))
		return put(c, &k, in, now);
	/* What it shows stands in the cache, and may give way. */
	struct cached copy = *in;
	char *mem = mem_alloc(in->set.data.len + in->extra.len + 1);
	if (in->set.data.len)
		memcpy(mem, in->set.data.p, in->set.data.len);
	if (in->extra.len)
		memcpy(mem + in->set.data.len, in->extra.p, in->extra.len);
	memcpy(name, in->set.owner, k.name_len);
	copy.set.data.p = mem;
	copy.extra.p = mem + in->set.data.len;
	k.name = name;
	bool ok = put(c, &k, &copy, now);
	free(mem);
	return ok;
}

/* --- all of it ---------------------------------------------------------------------------------
 */

size_t cache_flush(struct cache *c, const uint8_t *name, uint16_t type, bool below)
{
	uint32_t at = c->tail, passed = 0, here = at;
	size_t n = 0, len = dns_name_len(name);
	for (struct entry *e; (e = ring_next(c, &at, &passed)); here = at) {
		if (!(e->head & ENTRY_LIVE))
			continue;
		if (type && e->type != type && entry_kind(e) != CACHE_NXDOMAIN)
			continue;
		bool same = e->name_len == len && !memcmp(entry_name(e), name, len);
		if (!same && !(below && dns_name_under(entry_name(e), name)))
			continue;
		index_drop_entry(c, here);
		n++;
	}
	return n;
}

void cache_each(struct cache *c, uint64_t now, cache_fn *fn, void *arg)
{
	uint32_t at = c->tail, passed = 0;
	struct cached shown;
	for (struct entry *e; (e = ring_next(c, &at, &passed));) {
		if (!(e->head & ENTRY_LIVE) || !entry_fresh(e, now))
			continue;
		show(e, now, &shown);
		if (!fn(arg, e->space, &shown))
			return;
	}
}

void cache_stats(const struct cache *c, struct cache_stats *out)
{
	*out = c->stats;
	out->octets = c->buckets * sizeof(struct bucket) + (uint64_t)c->filled * UNIT;
}
