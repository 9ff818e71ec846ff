#include "libcommon/dns/zonesort.h"
#include <endian.h>
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "libcommon/base/pool.h"

struct rec {
	const char *file;
	unsigned line;
	uint32_t ttl;
	uint16_t type, key_len, rdlen, owner_len;
	uint8_t bytes[]; /* key, owner, data */
};
struct item {
	uint64_t word; /* the first octets of the key */
	struct rec *rec;
};
struct zone_sort {
	struct pool *pool;
	size_t zone_len;
	struct item *item;
	size_t n, cap, at;
	bool sorted; /* so far they came in order */
	const char *file, *file_seen;
};

struct zone_sort *zone_sort_new(const uint8_t *zone)
{
	struct zone_sort *s = mem_alloc(sizeof(*s));
	s->pool = pool_new(1 << 20);
	s->zone_len = dns_name_len(zone);
	s->sorted = true;
	return s;
}

void zone_sort_free(struct zone_sort **sp)
{
	struct zone_sort *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	pool_free(&s->pool);
	free(s->item);
	free(s);
}

static const uint8_t *rdata_of(const struct rec *r)
{
	return r->bytes + r->key_len + r->owner_len;
}

static struct slice key_of(const struct rec *r)
{
	return (struct slice){(const char *)r->bytes, r->key_len};
}

static int compare(const void *ap, const void *bp)
{
	const struct item *a = ap, *b = bp;
	if (a->word != b->word)
		return a->word < b->word ? -1 : 1;
	int r = zone_key_cmp(key_of(a->rec), key_of(b->rec));
	if (r)
		return r;
	if (a->rec->type != b->rec->type)
		return a->rec->type < b->rec->type ? -1 : 1;
	return zone_rdata_cmp(a->rec->type, rdata_of(a->rec), a->rec->rdlen, rdata_of(b->rec),
			      b->rec->rdlen);
}

/* Files follow one another in long runs: each run's name is kept once. */
static const char *file_of(struct zone_sort *s, const char *file)
{
	if (file && (file != s->file_seen || strcmp(file, s->file) != 0)) {
		s->file = pool_strdup(s->pool, file);
		s->file_seen = file;
	}
	return file ? s->file : NULL;
}

void zone_sort_add(struct zone_sort *s, const struct zone_rr *rr)
{
	uint8_t key[ZONE_KEY_MAX];
	size_t owner_len = dns_name_len(rr->owner), key_len = zone_key(rr->owner, s->zone_len, key);
	struct rec *r = pool_alloc(s->pool, sizeof(*r) + key_len + owner_len + rr->rdlen);
	*r = (struct rec){.file = file_of(s, rr->file),
			  .line = rr->line,
			  .ttl = rr->ttl,
			  .type = rr->type,
			  .key_len = (uint16_t)key_len,
			  .rdlen = (uint16_t)rr->rdlen,
			  .owner_len = (uint16_t)owner_len};
	memcpy(r->bytes, key, key_len);
	memcpy(r->bytes + key_len, rr->owner, owner_len);
	if (rr->rdlen)
		memcpy(r->bytes + key_len + owner_len, rr->rdata, rr->rdlen);
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 1024;
		s->item = mem_realloc(s->item, s->cap * sizeof(*s->item));
	}
	uint64_t word = 0;
	memcpy(&word, key, key_len < sizeof(word) ? key_len : sizeof(word));
	s->item[s->n] = (struct item){be64toh(word), r};
	s->sorted = s->sorted && (s->n == 0 || compare(&s->item[s->n - 1], &s->item[s->n]) <= 0);
	s->n++;
}

size_t zone_sort_count(const struct zone_sort *s)
{
	return s->n;
}

static bool same_set(const struct rec *a, const struct rec *b)
{
	return a->type == b->type && zone_key_cmp(key_of(a), key_of(b)) == 0;
}

/* One TTL for each set; repeated records go. */
static void settle(struct zone_sort *s)
{
	size_t out = 0;
	for (size_t i = 0, end; i < s->n; i = end) {
		uint32_t ttl = s->item[i].rec->ttl;
		for (end = i + 1; end < s->n && same_set(s->item[i].rec, s->item[end].rec); end++)
			if (s->item[end].rec->ttl < ttl)
				ttl = s->item[end].rec->ttl;
		for (size_t k = i; k < end; k++) {
			if (k > i && compare(&s->item[out - 1], &s->item[k]) == 0)
				continue;
			s->item[k].rec->ttl = ttl;
			s->item[out++] = s->item[k];
		}
	}
	s->n = out;
}

void zone_sort_run(struct zone_sort *s)
{
	if (!s->sorted)
		qsort(s->item, s->n, sizeof(*s->item), compare);
	settle(s);
	s->sorted = true;
	s->at = 0;
}

bool zone_sort_next(struct zone_sort *s, struct zone_rr *rr)
{
	if (s->at == s->n)
		return false;
	const struct rec *r = s->item[s->at++].rec;
	*rr = (struct zone_rr){.owner = r->bytes + r->key_len,
			       .type = r->type,
			       .ttl = r->ttl,
			       .rdata = rdata_of(r),
			       .rdlen = r->rdlen,
			       .file = r->file,
			       .line = r->line};
	return true;
}
