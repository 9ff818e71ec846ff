/* Nodes by name; those above a name that has data are there as well (empty non-terminals). */
#include "dnsd/policy/local.h"
#include <stdlib.h>
#include <string.h>
#include "dnsd/policy/keys.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/pool.h"

enum { SET_MOST = 60000, SOA_TTL = 3600 };

struct set {
	struct set *next;
	uint16_t type, n;
	uint32_t ttl;
	struct buf data; /* as in struct rrset */
};
struct node {
	const uint8_t *name;
	struct set *sets;
	bool zone;
	struct buf soa; /* of a zone: the record as authority sections have it */
};
struct local {
	struct pool *pool;
	struct keys *names; /* the place in node, and 1 */
	struct node *node;
	uint32_t nodes;
	uint64_t tops; /* a bit for the last label of each name: most questions are for others */
};

struct local *local_new(void)
{
	struct local *l = mem_alloc(sizeof(*l));
	l->pool = pool_new(4096);
	l->names = keys_new();
	return l;
}

void local_free(struct local **p)
{
	struct local *l = *p;
	if (!l)
		return;
	for (uint32_t i = 0; i < l->nodes; i++) {
		for (struct set *s = l->node[i].sets; s; s = s->next)
			buf_free(&s->data);
		buf_free(&l->node[i].soa);
	}
	free(l->node);
	keys_free(&l->names);
	pool_free(&l->pool);
	free(l);
	*p = NULL;
}

bool local_empty(const struct local *l)
{
	return l->nodes == 0;
}

static uint64_t top_of(const uint8_t *name)
{
	const uint8_t *top = name;
	for (; *name; name += 1u + *name)
		top = name;
	return *top ? 1ull << ((*top * 29u + top[1]) & 63) : ~0ull;
}

static struct node *get(const struct local *l, const uint8_t *name)
{
	uint32_t at = keys_get(l->names, name, dns_name_len(name));
	return at ? &l->node[at - 1] : NULL;
}

/* With all above it. The nodes that were found before may have moved. */
static struct node *make(struct local *l, const uint8_t *name)
{
	struct node *n = get(l, name);
	if (n)
		return n;
	if (*name)
		make(l, name + 1 + *name);
	size_t len = dns_name_len(name);
	uint8_t *copy = pool_alloc(l->pool, len);
	memcpy(copy, name, len);
	l->node = mem_realloc(l->node, (l->nodes + 1) * sizeof(*l->node));
	n = &l->node[l->nodes++];
	*n = (struct node){.name = copy};
	keys_put(l->names, name, len, l->nodes);
	return n;
}

static struct set *set_of(const struct node *n, uint16_t type)
{
	struct set *s = n->sets;
	while (s && s->type != type)
		s = s->next;
	return s;
}

static bool has(const struct set *s, const uint8_t *rdata, size_t len)
{
	struct slice data = buf_slice(&s->data), one;
	while (rrset_next(&data, &one))
		if (one.len == len && memcmp(one.p, rdata, len) == 0)
			return true;
	return false;
}

bool local_add(struct local *l, const struct zone_rr *rr, const char **why)
{
	uint8_t owner[DNS_NAME_MAX], len[2] = {(uint8_t)(rr->rdlen >> 8), (uint8_t)rr->rdlen};
	memcpy(owner, rr->owner, dns_name_len(rr->owner));
	dns_name_lower(owner);
	l->tops |= top_of(owner);
	struct node *n = make(l, owner);
	struct set *s = set_of(n, rr->type);
	bool cname = rr->type == DNS_CNAME;
	if (cname ? n->sets != NULL : set_of(n, DNS_CNAME) != NULL) {
		*why = "a CNAME stands alone";
		return false;
	}
	if (!s) {
		s = pool_alloc(l->pool, sizeof(*s));
		*s = (struct set){.next = n->sets, .type = rr->type, .ttl = rr->ttl};
		n->sets = s;
	}
	if (has(s, rr->rdata, rr->rdlen))
		return true;
	if (s->data.len + rr->rdlen + 2 > SET_MOST) {
		*why = "too much data of one name and type";
		return false;
	}
	buf_add(&s->data, len, 2);
	buf_add(&s->data, rr->rdata, rr->rdlen);
	if (cname) /* to be looked up here again */
		dns_name_lower((uint8_t *)s->data.p + s->data.len - rr->rdlen);
	s->ttl = rr->ttl < s->ttl ? rr->ttl : s->ttl;
	s->n++;
	return true;
}

void local_zone(struct local *l, const uint8_t *zone)
{
	uint8_t name[DNS_NAME_MAX];
	memcpy(name, zone, dns_name_len(zone));
	dns_name_lower(name);
	l->tops |= top_of(name);
	make(l, name)->zone = true;
}

/* --- when all is there ------------------------------------------------------------------------ */

size_t local_reverse_name(const uint8_t *addr, size_t len, uint8_t out[DNS_NAME_MAX])
{
	struct buf text;
	buf_init(&text, DNS_NAME_TEXT);
	for (size_t i = len; i-- > 0;) {
		if (len == 4)
			buf_printf(&text, "%u.", addr[i]);
		else
			buf_printf(&text, "%x.%x.", addr[i] & 15, addr[i] >> 4);
	}
	buf_adds(&text, len == 4 ? "in-addr.arpa" : "ip6.arpa");
	size_t n = dns_name_from_text(buf_slice(&text), out);
	buf_free(&text);
	return n;
}

static void reverse_of(struct local *l, const uint8_t *name, const struct set *s)
{
	struct slice data = buf_slice(&s->data), addr;
	const char *why;
	uint8_t owner[DNS_NAME_MAX];
	if ((s->type != DNS_A && s->type != DNS_AAAA) || (name[0] == 1 && name[1] == '*'))
		return;
	while (rrset_next(&data, &addr)) {
		if (!local_reverse_name((const uint8_t *)addr.p, addr.len, owner))
			continue;
		const struct node *there = get(l, owner);
		if (there && there->sets)
			continue; /* said, or made of a name before */
		struct zone_rr rr = {.owner = owner,
				     .type = DNS_PTR,
				     .ttl = s->ttl,
				     .rdata = name,
				     .rdlen = dns_name_len(name)};
		local_add(l, &rr, &why);
	}
}

/* The record that says how long what is not there may be believed not to be. */
static void finish_zone(struct local *l, uint32_t at)
{
	static const uint8_t rest[20] = {0, 0,    0, 1, 0,    0,    0x0e, 0x10, 0,    0,
					 4, 0xb0, 0, 9, 0x3a, 0x80, 0,    0,    0x0e, 0x10};
	static const uint8_t nobody[] = "\6nobody\7invalid";
	const uint8_t *name = l->node[at].name;
	const char *why;
	uint8_t rdata[2 * DNS_NAME_MAX + 20];
	size_t n = dns_name_len(name), len = n;
	memcpy(rdata, name, n);
	memcpy(rdata + len, nobody, sizeof(nobody));
	len += sizeof(nobody);
	memcpy(rdata + len, rest, sizeof(rest));
	len += sizeof(rest);
	if (!set_of(&l->node[at], DNS_SOA) && !set_of(&l->node[at], DNS_CNAME)) {
		struct zone_rr rr = {
		    .owner = name, .type = DNS_SOA, .ttl = SOA_TTL, .rdata = rdata, .rdlen = len};
		local_add(l, &rr, &why);
	}
	const struct set *s = set_of(&l->node[at], DNS_SOA);
	if (!s)
		return;
	uint8_t head[8] = {0,
			   DNS_SOA,
			   0,
			   DNS_IN,
			   (uint8_t)(s->ttl >> 24),
			   (uint8_t)(s->ttl >> 16),
			   (uint8_t)(s->ttl >> 8),
			   (uint8_t)s->ttl};
	struct buf *b = &l->node[at].soa;
	buf_add(b, name, n);
	buf_add(b, head, sizeof(head));
	buf_add_slice(b, buf_slice(&s->data)); /* its length before it, as here */
}

void local_finish(struct local *l, bool reverse)
{
	for (uint32_t i = 0, n = l->nodes; reverse && i < n; i++)
		for (const struct set *s = l->node[i].sets; s; s = s->next)
			reverse_of(l, l->node[i].name, s);
	for (uint32_t i = 0; i < l->nodes; i++)
		if (l->node[i].zone)
			finish_zone(l, i);
}

/* --- finding ---------------------------------------------------------------------------------- */

static enum local_found say(const struct node *n, const struct node *zone, const uint8_t *name,
			    uint16_t type, struct cached *out)
{
	const struct set *s = n ? set_of(n, type) : NULL;
	if (n && type == DNS_ANY)
		s = n->sets;
	if (n && !s)
		s = set_of(n, DNS_CNAME);
	*out = (struct cached){.kind = s   ? CACHE_RRSET
				       : n ? CACHE_NODATA
					   : CACHE_NXDOMAIN,
			       .trust = CACHE_LOCAL,
			       .security = RRSET_INSECURE,
			       .ede = 0xffff,
			       .set = {.owner = name, .type = type, .ttl = SOA_TTL}};
	if (s) {
		out->set.type = s->type;
		out->set.ttl = s->ttl;
		out->set.n = s->n;
		out->set.data = buf_slice(&s->data);
		return s->type == DNS_CNAME && type != DNS_CNAME && type != DNS_ANY ? LOCAL_CNAME
										    : LOCAL_DATA;
	}
	if (zone) {
		out->extra = buf_slice(&zone->soa);
		out->extras = zone->soa.len > 0;
	}
	return n ? LOCAL_NODATA : LOCAL_NXDOMAIN;
}

/* The zone that the name is in; NULL: none of ours. */
static const struct node *zone_of(const struct local *l, const uint8_t *name)
{
	for (;; name += 1u + *name) {
		const struct node *n = get(l, name);
		if (n && n->zone)
			return n;
		if (!*name)
			return NULL;
	}
}

enum local_found local_find(const struct local *l, const uint8_t *name, uint16_t type,
			    struct cached *out)
{
	uint8_t star[2 + DNS_NAME_MAX];
	if (!(l->tops & top_of(name)))
		return LOCAL_NONE;
	const struct node *zone = zone_of(l, name), *n = get(l, name);
	if (n && (n->sets || zone))
		return say(n, zone, name, type, out);
	if (n)
		return LOCAL_NONE;
	/* The closest name above that is there may have a wildcard. */
	const uint8_t *above = name;
	while (*above && !get(l, above))
		above += 1u + *above;
	size_t len = dns_name_len(above);
	star[0] = 1;
	star[1] = '*';
	memcpy(star + 2, above, len);
	n = len + 2 <= DNS_NAME_MAX ? get(l, star) : NULL;
	if ((n && n->sets) || zone)
		return say(n, zone, name, type, out);
	return LOCAL_NONE;
}

enum local_found local_at(const struct local *l, const uint8_t *at, const uint8_t *name,
			  uint16_t type, struct cached *out)
{
	static const struct node nothing;
	const struct node *n = get(l, at);
	return say(n ? n : &nothing, NULL, name, type, out);
}
