/* Collects the records of a zone. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "dnsd/image/image_maker.h"
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"

enum { CHUNK = 1 << 20, TABLE = 1024, REPORTS = 100 };

struct chunk {
	struct chunk *next;
	size_t used, cap;
	uint8_t bytes[];
};

/* Names and data are many and small: no alignment, nothing is zeroed. */
uint8_t *maker_keep(struct image_maker *m, const uint8_t *p, size_t n)
{
	struct chunk *c = m->arena;
	if (!c || c->cap - c->used < n) {
		size_t cap = n > CHUNK ? n : CHUNK;
		c = mem_realloc(NULL, sizeof(*c) + cap);
		*c = (struct chunk){.next = m->arena, .cap = cap};
		m->arena = c;
	}
	uint8_t *to = c->bytes + c->used;
	if (n)
		memcpy(to, p, n);
	c->used += n;
	return to;
}

static void *grow(void *p, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap ? *cap * 2 : 1024;
	return mem_realloc(p, *cap * size);
}

static uint64_t hash_of(const struct image_maker *m, const uint8_t *lower, size_t len)
{
	return image_hash(m->key, lower, len - m->zone_len);
}

/* Where the name stands in the table, or the free place for it. */
static uint32_t *place(const struct image_maker *m, const uint8_t *lower, size_t len, uint64_t hash)
{
	for (uint32_t at = (uint32_t)hash & m->table_mask;; at = (at + 1) & m->table_mask) {
		uint32_t id = m->table[at];
		if (id == NONE)
			return &m->table[at];
		const struct made_name *n = &m->name[id];
		if (n->hash == hash && n->len == len && !memcmp(n->wire, lower, len))
			return &m->table[at];
	}
}

static void table_make(struct image_maker *m, uint32_t size)
{
	free(m->table);
	m->table = mem_realloc(NULL, size * sizeof(*m->table));
	memset(m->table, 0xff, size * sizeof(*m->table));
	m->table_mask = size - 1;
	/* No two are the same: nobody need look at those in the way. */
	for (uint32_t i = 0; i < m->names; i++) {
		uint32_t at = (uint32_t)m->name[i].hash & m->table_mask;
		while (m->table[at] != NONE)
			at = (at + 1) & m->table_mask;
		m->table[at] = i;
	}
}

uint32_t maker_raw(const struct image_maker *m, const uint8_t *lower, size_t len)
{
	return *place(m, lower, len, hash_of(m, lower, len));
}

uint32_t maker_find(const struct image_maker *m, const uint8_t *lower, size_t len)
{
	uint32_t id = maker_raw(m, lower, len);
	return id != NONE && m->name[id].patch & PATCH_GONE ? NONE : id;
}

static uint32_t name_new(struct image_maker *m, const uint8_t *lower, size_t len, uint64_t hash,
			 uint32_t *at)
{
	uint32_t id = *at = m->names;
	m->name = grow(m->name, m->names, &m->names_cap, sizeof(*m->name));
	m->name[m->names++] = (struct made_name){.wire = maker_keep(m, lower, len),
						 .hash = hash,
						 .len = (uint8_t)len,
						 .labels = (uint8_t)dns_name_labels(lower),
						 .list = NONE,
						 .parent = NONE,
						 .above = NONE};
	if (m->names > m->table_mask / 2)
		table_make(m, (m->table_mask + 1) * 2);
	return id;
}

/* The name, made with those between it and the zone where it is new. */
uint32_t maker_name(struct image_maker *m, const uint8_t *lower, size_t len)
{
	uint32_t first = NONE, child = NONE;
	for (;;) {
		uint64_t hash = hash_of(m, lower, len);
		uint32_t *at = place(m, lower, len, hash);
		bool old = *at != NONE;
		uint32_t id = old ? *at : name_new(m, lower, len, hash, at);
		if (child == NONE)
			first = id;
		else
			m->name[child].parent = id;
		if (old || len == m->zone_len)
			return first;
		child = id;
		len -= 1u + *lower;
		lower += 1u + *lower;
	}
}

struct image_maker *maker_make(int folder, const char *path, const uint8_t *zone,
			       const struct image_options *o, const uint8_t *key)
{
	struct image_maker *m = mem_alloc(sizeof(*m));
	if (o)
		m->o = *o;
	m->folder = folder;
	m->path = mem_strdup(path);
	m->zone_len = dns_name_len(zone);
	m->zone_labels = dns_name_labels(zone);
	memcpy(m->zone, zone, m->zone_len);
	dns_name_lower(m->zone);
	m->scratch = mem_realloc(NULL, 2 * (size_t)DNS_RDATA_MAX);
	if (key)
		memcpy(m->key, key, sizeof(m->key));
	else
		id_random(m->key, sizeof(m->key));
	table_make(m, TABLE);
	m->last = maker_name(m, m->zone, m->zone_len);
	return m;
}

struct image_maker *image_make(int folder, const char *path, const uint8_t *zone,
			       const struct image_options *o)
{
	return maker_make(folder, path, zone, o, NULL);
}

static void add_record(struct image_maker *m, uint32_t name, const struct record *r)
{
	m->record = grow(m->record, m->records, &m->records_cap, sizeof(*m->record));
	struct record *to = &m->record[m->records];
	*to = *r;
	to->next = m->name[name].list;
	m->name[name].list = m->records++;
}

uint32_t maker_record(struct image_maker *m, uint32_t name, uint16_t type, uint32_t ttl,
		      const uint8_t *kept, size_t len)
{
	const struct record r = {.data = kept, .type = type, .len = (uint16_t)len, .ttl = ttl};
	add_record(m, name, &r);
	return m->records - 1;
}

static void add_alias(struct image_maker *m, uint32_t name, uint32_t ttl, const uint8_t *target)
{
	uint8_t lower[DNS_NAME_MAX];
	size_t len = dns_name_len(target);
	memcpy(lower, target, len);
	dns_name_lower(lower);
	if (m->aliases == m->aliases_cap) {
		m->aliases_cap = m->aliases_cap ? m->aliases_cap * 2 : 16;
		m->alias = mem_realloc(m->alias, m->aliases_cap * sizeof(*m->alias));
	}
	m->alias[m->aliases++] =
	    (struct made_alias){.target = maker_keep(m, lower, len), .name = name, .ttl = ttl};
}

/* What the signer makes. */
bool image_is_signers(uint16_t type)
{
	return type == DNS_RRSIG || type == DNS_NSEC || type == DNS_DNSKEY || type == DNS_NSEC3 ||
	       type == DNS_NSEC3PARAM || type == DNS_CDS || type == DNS_CDNSKEY ||
	       type == DNS_ZONEMD;
}

void maker_add(struct image_maker *m, uint32_t name, uint16_t type, uint32_t ttl,
	       const uint8_t *rdata, size_t rdlen)
{
	struct record r = {.type = type, .len = (uint16_t)rdlen, .ttl = dns_ttl(ttl)};
	/* As it came, and behind it the canonical form, which is kept only where it differs. */
	uint8_t *both = m->scratch, *canon = both + rdlen;
	memcpy(both, rdata, rdlen);
	memcpy(canon, rdata, rdlen);
	dns_rdata_canonical(type, canon, rdlen);
	r.canon = memcmp(canon, both, rdlen) != 0;
	r.data = maker_keep(m, both, r.canon ? 2 * rdlen : rdlen);
	add_record(m, name, &r);
}

bool image_add(struct image_maker *m, const uint8_t *owner, uint16_t type, uint32_t ttl,
	       const uint8_t *rdata, size_t rdlen, const char **why)
{
	uint8_t lower[DNS_NAME_MAX];
	size_t len = dns_name_len(owner);
	*why = NULL;
	if (dns_type_is_meta(type))
		*why = "no zone has records of this type";
	else if (!dns_rdata_check(type, rdata, rdlen))
		*why = "the data is malformed";
	else if (m->records >= NONE / 2 || m->names >= NONE / 2)
		*why = "the zone has too many records";
	if (*why)
		return false;
	memcpy(lower, owner, len);
	dns_name_lower(lower);
	if (!dns_name_under(lower, m->zone)) {
		*why = "the name is not in the zone";
		return false;
	}
	if (m->o.sign && image_is_signers(type)) {
		m->left_out++;
		return true;
	}
	const struct made_name *last = &m->name[m->last];
	if (last->len != len || memcmp(last->wire, lower, len) != 0)
		m->last = maker_name(m, lower, len);
	if (m->patch)
		patch_name(m, m->last);
	if (type == DNS_ALIAS) {
		add_alias(m, m->last, dns_ttl(ttl), rdata);
		return true;
	}
	maker_add(m, m->last, type, ttl, rdata, rdlen);
	return true;
}

static uint16_t covered(const struct record *r)
{
	return r->type == DNS_RRSIG ? dns_u16(r->data) : 0;
}

bool maker_next(const struct image_maker *m, const struct made_name *n, uint32_t *at,
		struct rrset *out)
{
	if (*at >= n->count)
		return false;
	const uint32_t *first = m->sorted + n->first + *at;
	const struct record *r = &m->record[*first];
	*out = (struct rrset){r->type, covered(r), r->ttl, first, 0};
	for (; *at < n->count; (*at)++, out->n++) {
		r = &m->record[first[out->n]];
		if (r->type != out->type || covered(r) != out->covered)
			break;
		if (r->ttl < out->ttl)
			out->ttl = r->ttl;
	}
	return true;
}

bool maker_rrset(const struct image_maker *m, const struct made_name *n, uint16_t type,
		 uint16_t covers, struct rrset *out)
{
	uint32_t at = 0;
	while (maker_next(m, n, &at, out))
		if (out->type == type && out->covered == covers)
			return true;
	return false;
}

void maker_report(struct image_maker *m, bool error, const struct made_name *n, const char *fmt,
		  ...)
{
	char line[2 * DNS_NAME_TEXT + 256], name[DNS_NAME_TEXT];
	unsigned *count = error ? &m->stats.errors : &m->stats.warnings;
	if (++*count > REPORTS || !m->report)
		return;
	dns_name_text(name, n ? n->wire : m->zone);
	size_t len = (size_t)snprintf(line, sizeof(line), "%s: ", name);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	m->report(m->report_arg, error, line);
}

void image_set_origin(struct image_maker *m, const struct image_origin *o)
{
	m->origin = *o;
}

void image_abort(struct image_maker *m)
{
	for (struct chunk *c = m->arena, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(m->record);
	free(m->alias);
	free(m->name);
	free(m->table);
	free(m->order);
	free(m->sorted);
	free(m->scratch);
	free(m->patch);
	free(m->path);
	free(m);
}
