/* What the spans that are known say of a name: those that bear on it are gathered, and denial.h
 * judges them. */
#include "dnsd/validate/aggressive.h"
#include <stdlib.h>
#include "dnsd/validate/aggressive_int.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"

enum { SOA_NUMBERS = 20, NSEC3_HEAD = 5 };

struct aggressive *aggressive_new(size_t octets)
{
	struct aggressive *a = mem_alloc(sizeof(*a));
	a->by_name = map_new();
	a->most = octets;
	return a;
}

void aggressive_free(struct aggressive **a)
{
	while (*a && (*a)->hand)
		span_drop(*a, (*a)->hand);
	if (*a)
		map_free(&(*a)->by_name);
	free(*a);
	*a = NULL;
}

void aggressive_stats(const struct aggressive *a, struct aggressive_stats *out)
{
	*out = a->stats;
}

/* --- learning --------------------------------------------------------------------------------- */

/* What is known of a zone is of one kind, and of one chain of NSEC3. */
static void start_over(struct aggressive *a, struct span_zone *z)
{
	while (z->n > 1 || (z->n && z->soa))
		span_drop(a, z->span[0]);
}

static struct span_zone *zone_for(struct aggressive *a, unsigned space, const uint8_t *name)
{
	struct span_zone *z = span_zone_of(a, space, name);
	return z ? z : span_zone_new(a, space, name);
}

/* The zone with room for spans of that type; of NSEC3 with those parameters. */
static struct span_zone *zone_of_kind(struct aggressive *a, unsigned space, const uint8_t *name,
				      uint16_t type, uint16_t iterations, struct slice salt)
{
	struct span_zone *z = zone_for(a, space, name);
	struct slice had = {(const char *)z->salt, z->salt_len};
	if (z->n &&
	    (z->span[0]->type != type || z->iterations != iterations || !slice_eq(had, salt))) {
		start_over(a, z);
		if (z->n) { /* with its last span the zone would go */
			span_drop(a, z->span[0]);
			z = span_zone_new(a, space, name);
		}
	}
	z->iterations = iterations;
	z->salt_len = (uint8_t)salt.len;
	if (salt.len)
		memcpy(z->salt, salt.p, salt.len);
	return z;
}

static void learn_nsec(struct aggressive *a, unsigned space, const struct validate *v,
		       const uint8_t *zone, struct slice rdata)
{
	uint8_t key[SPAN_KEY], next[SPAN_KEY];
	if (!dns_name_check(octets_of(rdata), rdata.len) || !dns_name_under(octets_of(rdata), zone))
		return;
	size_t n = span_key(v->set->owner, key), m = span_key(octets_of(rdata), next);
	/* One up to "\000." and itself (RFC 4470, 9824) is of use for that name only: the cache has
	 * that. */
	if (m == n + 3 && !memcmp(key, next, n) && !memcmp(next + n, "\1\1", 3))
		return;
	span_put(a, zone_of_kind(a, space, zone, DNS_NSEC, 0, (struct slice){0}), v,
		 (struct slice){(char *)key, n}, (struct slice){(char *)next, m});
}

static void learn_nsec3(struct aggressive *a, unsigned space, const struct validate *v,
			const uint8_t *zone, struct slice rdata)
{
	struct denial d;
	denial_init(&d, zone);
	if (!nsec3_add(&d, v->set) || !d.n3)
		return;
	const struct denial_record *r = &d.nsec3[0];
	struct slice salt = {rdata.p + NSEC3_HEAD, octets_of(rdata)[NSEC3_HEAD - 1]};
	span_put(a, zone_of_kind(a, space, zone, DNS_NSEC3, d.iterations, salt), v,
		 (struct slice){(const char *)r->from, DENIAL_HASH},
		 (struct slice){(const char *)r->to, DENIAL_HASH});
}

void aggressive_add(struct aggressive *a, unsigned space, const struct validate *v)
{
	const struct rrset *s = v->set;
	struct slice data = s->data, rdata;
	if (v->security != RRSET_SECURE || v->expanded || s->n != 1 || !rrset_next(&data, &rdata))
		return;
	const uint8_t *zone = v->keys->owner;
	if (s->type == DNS_NSEC)
		learn_nsec(a, space, v, zone, rdata);
	else if (s->type == DNS_NSEC3)
		learn_nsec3(a, space, v, zone, rdata);
	else if (s->type == DNS_SOA && rdata.len >= SOA_NUMBERS && dns_name_eq(s->owner, zone))
		span_put(a, zone_for(a, space, zone), v, (struct slice){0}, (struct slice){0});
}

/* --- answers ---------------------------------------------------------------------------------- */

struct gathering {
	struct span_zone *zone;
	uint64_t now, ends; /* ends: of the first of them to do so */
	struct denial d;
	struct span *span[AGGRESSIVE_SETS];
	unsigned n;
};

static void gather(struct gathering *g, struct span *s)
{
	if (!s || s->ends <= g->now || g->n == AGGRESSIVE_SETS - 1)
		return;
	for (unsigned i = 0; i < g->n; i++)
		if (g->span[i] == s)
			return;
	struct rrset set = span_set(s, 0);
	if (!denial_add_secure(&g->d, &set))
		return;
	g->span[g->n++] = s;
	if (s->ends < g->ends)
		g->ends = s->ends;
}

static void gather_name(struct gathering *g, const uint8_t *name)
{
	uint8_t key[SPAN_KEY];
	size_t len = span_key(name, key);
	gather(g, span_floor(g->zone, key, len));
}

static const uint8_t *gather_nsec(struct gathering *g, const uint8_t *name)
{
	uint8_t wildcard[DNS_NAME_MAX];
	gather_name(g, name);
	const uint8_t *encloser = nsec_absent(&g->d, name);
	if (encloser) {
		name_wildcard(encloser, wildcard);
		gather_name(g, wildcard);
	}
	return encloser;
}

static struct span *hashed(struct gathering *g, const uint8_t *name, bool wildcard,
			   struct validate_work *w, bool *exact)
{
	const uint8_t *h = nsec3_hash_of(&g->d, name, wildcard, w);
	struct span *s = h ? span_floor(g->zone, h, DENIAL_HASH) : NULL;
	*exact = s && s->ends > g->now && !memcmp(s->bytes, h, DENIAL_HASH);
	return s;
}

/* The record of the longest name that is there, of the next one, of the wildcard below it. */
static const uint8_t *gather_nsec3(struct gathering *g, const uint8_t *name,
				   struct validate_work *w)
{
	struct span *next = NULL;
	bool exact;
	g->d.iterations = g->zone->iterations;
	g->d.salt = (struct slice){(const char *)g->zone->salt, g->zone->salt_len};
	for (const uint8_t *n = name; dns_name_under(n, g->zone->name); n += 1u + *n) {
		struct span *s = hashed(g, n, false, w, &exact);
		if (exact) {
			gather(g, s);
			if (n == name)
				return NULL;
			gather(g, next);
			gather(g, hashed(g, n, true, w, &exact));
			return nsec3_absent(&g->d, name, w);
		}
		if (!s || !*n)
			break;
		next = s;
	}
	return NULL;
}

/* The deepest zone that the name may be in of which spans are known. */
static struct span_zone *zone_above(const struct aggressive *a, unsigned space, const uint8_t *name,
				    bool above)
{
	for (;; name += 1u + *name, above = false) {
		struct span_zone *z = above ? NULL : span_zone_of(a, space, name);
		if (z && z->n)
			return z;
		if (!*name)
			return NULL;
	}
}

static uint32_t soa_minimum(const struct span *soa)
{
	struct rrset set = span_set(soa, 0);
	struct slice rdata = {0};
	rrset_next(&set.data, &rdata);
	return dns_u32(octets_of(rdata) + rdata.len - 4);
}

/* RFC 8198 5.4: no longer than the SOA says. */
static void finish(struct aggressive *a, struct gathering *g, struct aggressive_found *out)
{
	struct span *soa = out->kind == AGGRESSIVE_WILDCARD ? NULL : g->zone->soa;
	uint64_t ends = soa && soa->ends < g->ends ? soa->ends : g->ends;
	uint32_t most = soa ? soa_minimum(soa) : UINT32_MAX;
	out->ttl = ends - g->now < most ? (uint32_t)(ends - g->now) : most;
	out->zone = g->zone->name;
	out->n = 0;
	if (soa) {
		soa->used = true;
		out->set[out->n++] = span_set(soa, out->ttl);
	}
	for (unsigned i = 0; i < g->n; i++) {
		g->span[i]->used = true;
		out->set[out->n++] = span_set(g->span[i], out->ttl);
	}
	uint64_t *counter[] = {[AGGRESSIVE_NXDOMAIN] = &a->stats.nxdomain,
			       [AGGRESSIVE_NODATA] = &a->stats.nodata,
			       [AGGRESSIVE_WILDCARD] = &a->stats.wildcard};
	++*counter[out->kind];
}

bool aggressive_find(struct aggressive *a, unsigned space, const uint8_t *name, uint16_t type,
		     uint64_t now, struct validate_work *w, struct aggressive_found *out)
{
	struct gathering g = {.now = now, .ends = UINT64_MAX};
	struct proof p;
	g.zone = zone_above(a, space, name, type == DNS_DS && *name);
	if (!g.zone)
		return false;
	denial_init(&g.d, g.zone->name);
	const uint8_t *encloser =
	    g.zone->span[0]->type == DNS_NSEC ? gather_nsec(&g, name) : gather_nsec3(&g, name, w);
	bool soa = g.zone->soa && g.zone->soa->ends > now;
	if (!g.n)
		return false;
	out->encloser = encloser;
	if (soa && denial_nodata(&g.d, name, type, w, &p) == RRSET_SECURE)
		out->kind = AGGRESSIVE_NODATA;
	else if (soa && denial_nxdomain(&g.d, name, w, &p) == RRSET_SECURE)
		out->kind = AGGRESSIVE_NXDOMAIN;
	else if (encloser)
		out->kind = AGGRESSIVE_WILDCARD;
	else
		return false;
	finish(a, &g, out);
	return true;
}

static void add_u16(struct buf *b, uint16_t v)
{
	const uint8_t p[] = {(uint8_t)(v >> 8), (uint8_t)v};
	buf_add(b, p, sizeof(p));
}

unsigned aggressive_extra(const struct aggressive_found *f, struct buf *out)
{
	unsigned n = 0;
	for (unsigned i = 0; i < f->n; i++) {
		const struct rrset *s = &f->set[i];
		struct slice data = s->data, rdata;
		for (unsigned k = 0; rrset_next(&data, &rdata); k++, n++) {
			buf_add(out, s->owner, dns_name_len(s->owner));
			add_u16(out, k < s->n ? s->type : DNS_RRSIG);
			add_u16(out, DNS_IN);
			add_u16(out, (uint16_t)(s->ttl >> 16));
			add_u16(out, (uint16_t)s->ttl);
			add_u16(out, (uint16_t)rdata.len);
			buf_add_slice(out, rdata);
		}
	}
	return n;
}

/* --- forgetting ------------------------------------------------------------------------------- */

struct flush {
	const uint8_t *name, *zone; /* zone: the deepest that the name is in */
	struct span_zone *found;
};

static int find_zone(const void *key, size_t len, void *value, void *arg)
{
	struct span_zone *z = value;
	struct flush *f = arg;
	(void)key;
	(void)len;
	if (dns_name_under(f->name, z->name) &&
	    (!f->zone || dns_name_labels(z->name) > dns_name_labels(f->zone)))
		f->zone = z->name;
	return 0;
}

static int find_next(const void *key, size_t len, void *value, void *arg)
{
	struct span_zone *z = value;
	struct flush *f = arg;
	(void)key;
	(void)len;
	f->found = z;
	return dns_name_under(z->name, f->name) || (f->zone && dns_name_eq(z->name, f->zone));
}

static void forget(struct aggressive *a, struct span_zone *z)
{
	unsigned left = z->n + (z->soa != NULL);
	while (left--) { /* the zone goes with the last one */
		struct span *s = z->n ? z->span[z->n - 1] : z->soa;
		if (s)
			span_drop(a, s);
	}
}

void aggressive_flush(struct aggressive *a, const uint8_t *name)
{
	uint8_t zone[DNS_NAME_MAX];
	struct flush f = {.name = name};
	map_each(a->by_name, find_zone, &f);
	if (f.zone) /* of a zone that will be gone */
		f.zone = memcpy(zone, f.zone, dns_name_len(f.zone));
	while (map_each(a->by_name, find_next, &f))
		forget(a, f.found);
}
