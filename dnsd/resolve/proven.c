#include "dnsd/resolve/proven.h"

static struct aggressive *spans;
static struct cache *of;

void proven_start(struct cache *cache, size_t octets)
{
	proven_stop();
	if (octets)
		spans = aggressive_new(octets);
	of = cache;
}

void proven_stop(void)
{
	aggressive_free(&spans);
	of = NULL;
}

void proven_flush(const uint8_t *name)
{
	if (spans)
		aggressive_flush(spans, name);
}

void proven_learn(const struct cache *cache, unsigned space, const struct validate *v)
{
	if (spans && cache == of)
		aggressive_add(spans, space, v);
}

/* The wildcard that stands for the name is known, its records become the name's. */
static bool from_wildcard(unsigned space, const struct aggressive_found *f, uint16_t type,
			  uint64_t now, struct cached *out)
{
	uint8_t wildcard[DNS_NAME_MAX] = "\1*";
	size_t len = dns_name_len(f->encloser);
	if (2 + len > DNS_NAME_MAX)
		return false;
	memcpy(wildcard + 2, f->encloser, len);
	return (cache_find_kind(of, space, wildcard, CACHE_RRSET, type, now, out) ||
		cache_find_kind(of, space, wildcard, CACHE_RRSET, DNS_CNAME, now, out)) &&
	       out->security == RRSET_SECURE;
}

bool proven_find(struct cache *cache, unsigned space, const uint8_t *name, uint16_t type,
		 uint64_t now, struct buf *room, struct cached *out)
{
	struct aggressive_found f;
	struct validate_work w;
	/* The parent's side of a cut is not what the child's proofs speak of. */
	if (!spans || cache != of || type == DNS_DS)
		return false;
	validate_work_init(&w);
	if (!aggressive_find(spans, space, name, type, now, &w, &f))
		return false;
	if (f.kind == AGGRESSIVE_WILDCARD) {
		if (!from_wildcard(space, &f, type, now, out))
			return false;
		out->labels = (uint8_t)dns_name_labels(f.encloser);
		out->set.ttl = f.ttl < out->set.ttl ? f.ttl : out->set.ttl;
	} else {
		*out = (struct cached){.kind = f.kind == AGGRESSIVE_NXDOMAIN ? CACHE_NXDOMAIN
									     : CACHE_NODATA,
				       .trust = CACHE_AUTHORITY,
				       .security = RRSET_SECURE,
				       .set = {.type = type, .ttl = f.ttl},
				       .ede = 0xffff};
	}
	buf_clear(room);
	out->set.owner = name;
	out->extras = (uint16_t)aggressive_extra(&f, room);
	out->extra = buf_slice(room);
	return true;
}
