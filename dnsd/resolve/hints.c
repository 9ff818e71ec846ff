#include "dnsd/resolve/hints.h"
#include <stdio.h>
#include "dnsd/resolve/put.h"
#include "libcommon/dns/zonetext.h"

static const char iana[] = ". 518400 IN NS a.root-servers.net.\n"
			   ". 518400 IN NS b.root-servers.net.\n"
			   ". 518400 IN NS c.root-servers.net.\n"
			   ". 518400 IN NS d.root-servers.net.\n"
			   ". 518400 IN NS e.root-servers.net.\n"
			   ". 518400 IN NS f.root-servers.net.\n"
			   ". 518400 IN NS g.root-servers.net.\n"
			   ". 518400 IN NS h.root-servers.net.\n"
			   ". 518400 IN NS i.root-servers.net.\n"
			   ". 518400 IN NS j.root-servers.net.\n"
			   ". 518400 IN NS k.root-servers.net.\n"
			   ". 518400 IN NS l.root-servers.net.\n"
			   ". 518400 IN NS m.root-servers.net.\n"
			   "$ORIGIN root-servers.net.\n"
			   "a 518400 IN A 198.41.0.4\n"
			   "a 518400 IN AAAA 2001:503:ba3e::2:30\n"
			   "b 518400 IN A 170.247.170.2\n"
			   "b 518400 IN AAAA 2801:1b8:10::b\n"
			   "c 518400 IN A 192.33.4.12\n"
			   "c 518400 IN AAAA 2001:500:2::c\n"
			   "d 518400 IN A 199.7.91.13\n"
			   "d 518400 IN AAAA 2001:500:2d::d\n"
			   "e 518400 IN A 192.203.230.10\n"
			   "e 518400 IN AAAA 2001:500:a8::e\n"
			   "f 518400 IN A 192.5.5.241\n"
			   "f 518400 IN AAAA 2001:500:2f::f\n"
			   "g 518400 IN A 192.112.36.4\n"
			   "g 518400 IN AAAA 2001:500:12::d0d\n"
			   "h 518400 IN A 198.97.190.53\n"
			   "h 518400 IN AAAA 2001:500:1::53\n"
			   "i 518400 IN A 192.36.148.17\n"
			   "i 518400 IN AAAA 2001:7fe::53\n"
			   "j 518400 IN A 192.58.128.30\n"
			   "j 518400 IN AAAA 2001:503:c27::2:30\n"
			   "k 518400 IN A 193.0.14.129\n"
			   "k 518400 IN AAAA 2001:7fd::1\n"
			   "l 518400 IN A 199.7.83.42\n"
			   "l 518400 IN AAAA 2001:500:9f::42\n"
			   "m 518400 IN A 202.12.27.33\n"
			   "m 518400 IN AAAA 2001:dc3::35\n";

static struct pool *memory; /* of the list */
static struct cached list;

struct reading {
	struct scrub_sets *sets;
	unsigned records;
	char why[256];
};

static bool take(void *arg, const struct zone_rr *rr)
{
	struct reading *r = arg;
	uint8_t owner[DNS_NAME_MAX];
	memcpy(owner, rr->owner, dns_name_len(rr->owner));
	dns_name_lower(owner);
	if ((rr->type == DNS_NS && *owner == 0) || rr->type == DNS_A || rr->type == DNS_AAAA)
		return r->records++ < HINTS_RECORDS &&
		       scrub_add(r->sets, DNS_AUTHORITY, owner, rr->type, rr->ttl, rr->rdata,
				 rr->rdlen);
	return true;
}

static void hear(void *arg, const char *line)
{
	struct reading *r = arg;
	if (!*r->why)
		snprintf(r->why, sizeof(r->why), "%s", line);
}

/* The servers and their addresses; false: one of the two is missing. */
static bool collect(struct pool *pool, const struct scrub_sets *s, struct cached *out)
{
	const struct rrset *address[SCRUB_SETS];
	unsigned n = 0;
	*out = (struct cached){.kind = CACHE_DELEGATION, .trust = CACHE_ADDITIONAL};
	for (unsigned i = 0; i < s->n; i++) {
		if (s->set[i].set.type == DNS_NS)
			out->set = s->set[i].set;
		else
			address[n++] = &s->set[i].set;
	}
	out->extra = put_records(pool, address, n, &out->extras);
	return out->set.n && n;
}

bool hints_set(const char *text, const char **why)
{
	static char said[256];
	struct pool *pool = pool_new(8192);
	struct reading r = {.sets = pool_alloc(pool, sizeof(*r.sets))};
	struct cached got;
	r.sets->pool = pool;
	struct zonetext z = {.origin = (const uint8_t *)"",
			     .ttl = 518400,
			     .no_include = true,
			     .on_rr = take,
			     .on_error = hear,
			     .arg = &r};
	unsigned errors =
	    zonetext_memory(&z, text ? "root-hints" : "built-in", slice_of(text ? text : iana));
	scrub_lay(r.sets);
	if (errors || !collect(pool, r.sets, &got)) {
		snprintf(said, sizeof(said), "%s",
			 *r.why ? r.why : "NS records of the root and their addresses are wanted");
		*why = said;
		pool_free(&pool);
		return false;
	}
	pool_free(&memory);
	memory = pool;
	list = got;
	return true;
}

const struct cached *hints(void)
{
	const char *why;
	if (!memory)
		hints_set(NULL, &why);
	return &list;
}

bool hints_on_loopback(void)
{
	const uint8_t *p = (const uint8_t *)hints()->extra.p, *end = p + hints()->extra.len;
	for (; p < end; p += 10 + dns_u16(p + 8)) {
		p += dns_name_len(p);
		if (dns_u16(p) == DNS_A && p[10] == 127)
			return true;
	}
	return false;
}

void hints_forget(void)
{
	pool_free(&memory);
}
