/* In which order policies are heard: our own data; lists, as they stand in conf, each with its
 * triggers in the order client, name, address, server; private addresses; DNS64. */
#include "dnsd/policy/policy.h"
#include <stdlib.h>
#include <string.h>
#include "dnsd/policy/policy_int.h"
#include "dnsd/upstream/forward.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

enum {
	VIEWS_MOST = 256,
	CNAMES_MOST = 12,
	REVERSE_TTL = 600,
	ZONES_UP = 8, /* delegations above an answer whose servers are looked at */
	EDE_FORGED = 4,
	EDE_BLOCKED = 15,
};

struct policy_stats policy_stats;
static struct local *local[VIEWS_MOST];
static struct local *special; /* names that the world has nothing of */
static bool (*is_ours)(const uint8_t *name);
static struct list **lists;
static size_t lists_n;
static struct dns64 dns64;
static struct rebind rebind;
static struct cache *cache;
static bool on;

/* --- what there is ---------------------------------------------------------------------------- */

struct local *policy_local(unsigned view)
{
	if (view >= VIEWS_MOST)
		view = 0;
	if (!local[view])
		local[view] = local_new();
	on = true;
	return local[view];
}

size_t policy_add_list(struct list *l)
{
	lists = mem_realloc(lists, (lists_n + 1) * sizeof(*lists));
	lists[lists_n++] = l;
	on = true;
	return lists_n - 1;
}

void policy_replace_list(size_t at, struct list *l)
{
	list_free(&lists[at]);
	lists[at] = l;
}

void policy_set_dns64(const struct dns64 *d)
{
	dns64 = *d;
	on = true;
}

void policy_set_rebind(const struct rebind *b)
{
	rebind = *b;
	rebind.ours = is_ours;
	on = on || b->on;
}

void policy_special_names(void)
{
	local_free(&special);
	special = local_new();
	special_fill(special);
	on = true;
}

void policy_ours(bool (*ours)(const uint8_t *name))
{
	is_ours = rebind.ours = ours;
}

void policy_start(struct cache *c)
{
	cache = c;
}

void policy_forget(void)
{
	for (unsigned i = 0; i < VIEWS_MOST; i++)
		local_free(&local[i]);
	local_free(&special);
	for (size_t i = 0; i < lists_n; i++)
		list_free(&lists[i]);
	free(lists);
	lists = NULL;
	lists_n = 0;
	dns64 = (struct dns64){0};
	rebind = (struct rebind){0};
	cache = NULL;
	is_ours = NULL;
	on = false;
}

bool policy_is_on(void)
{
	return on;
}

/* --- our own data ----------------------------------------------------------------------------- */

static enum local_found find(unsigned view, const uint8_t *name, uint16_t type, struct cached *c)
{
	enum local_found f = LOCAL_NONE;
	if (view && view < VIEWS_MOST && local[view])
		f = local_find(local[view], name, type, c);
	if (f == LOCAL_NONE && local[0])
		f = local_find(local[0], name, type, c);
	if (f != LOCAL_NONE || !special)
		return f;
	f = local_find(special, name, type, c);
	if (f == LOCAL_NONE || (is_ours && is_ours(name)))
		return LOCAL_NONE;
	const struct forward *other = forward_find(view, name);
	return other && *other->zone ? LOCAL_NONE : f;
}

static void begin(struct resolved *out)
{
	out->rcode = DNS_NOERROR;
	out->security = RRSET_INSECURE;
	out->ede = RESOLVE_NO_EDE;
	out->why[0] = 0;
	out->stale = out->prefetch = false;
	out->n = 0;
}

/* What we have along the CNAMEs. *ask: where it goes on elsewhere; NULL: it is all. False: the name
 * is not ours. */
static bool own_data(const struct policy_query *q, struct resolved *out, const uint8_t **ask)
{
	const uint8_t *name = q->name;
	begin(out);
	*ask = NULL;
	while (out->n < CNAMES_MOST) {
		struct cached *c = &out->part[out->n];
		enum local_found f = find(q->view, name, q->type, c);
		if (f == LOCAL_NONE) {
			*ask = name;
			return out->n > 0;
		}
		out->n++;
		if (f == LOCAL_NXDOMAIN)
			out->rcode = DNS_NXDOMAIN;
		if (f != LOCAL_CNAME)
			return true;
		name = (const uint8_t *)c->set.data.p + 2;
	}
	out->rcode = DNS_SERVFAIL; /* in a circle */
	out->n = 0;
	return true;
}

/* --- lists ------------------------------------------------------------------------------------ */

static bool client_hit(const struct list *l, const struct policy_query *q, struct list_hit *hit)
{
	uint8_t addr[16];
	net_client(q->client, addr);
	return list_has_address(l, LIST_CLIENT, addr, sizeof(addr), hit);
}

static bool name_hit(const struct list *l, const struct policy_query *q, const struct resolved *r,
		     struct list_hit *hit)
{
	if (!q->listed && list_has_name(l, LIST_NAME, q->name, hit))
		return true;
	for (unsigned i = 1; r && i < r->n; i++) /* the first part is the name's own */
		if (list_has_name(l, LIST_NAME, r->part[i].set.owner, hit))
			return true;
	return false;
}

static bool addresses_hit(const struct list *l, enum list_trigger t, const struct rrset *set,
			  struct list_hit *hit)
{
	struct slice data = set->data, one;
	for (unsigned i = 0; i < set->n && rrset_next(&data, &one); i++)
		if ((one.len == 4 || one.len == 16) &&
		    list_has_address(l, t, (const uint8_t *)one.p, one.len, hit))
			return true;
	return false;
}

static bool answer_hit(const struct list *l, const struct resolved *r, struct list_hit *hit)
{
	const struct cached *last = r->n ? &r->part[r->n - 1] : NULL;
	return last && last->kind == CACHE_RRSET &&
	       (last->set.type == DNS_A || last->set.type == DNS_AAAA) &&
	       addresses_hit(l, LIST_ADDRESS, &last->set, hit);
}

/* The addresses that came with a delegation. */
static bool glue_hit(const struct list *l, const struct cached *d, struct list_hit *hit)
{
	const uint8_t *p = (const uint8_t *)d->extra.p;
	size_t left = d->extra.len;
	for (unsigned i = 0; i < d->extras; i++) {
		size_t n = dns_name_check(p, left);
		if (!n || left - n < 10)
			return false;
		uint16_t type = dns_u16(p + n), len = dns_u16(p + n + 8);
		if (left - n - 10 < len)
			return false;
		if ((type == DNS_A || type == DNS_AAAA) && (len == 4 || len == 16) &&
		    list_has_address(l, LIST_NS_ADDRESS, p + n + 10, len, hit))
			return true;
		p += n + 10 + len;
		left -= n + 10 + len;
	}
	return false;
}

static bool server_hit(const struct list *l, unsigned space, const uint8_t *ns, uint64_t now,
		       struct list_hit *hit)
{
	uint8_t name[DNS_NAME_MAX];
	struct cached c;
	size_t n = dns_name_len(ns);
	memcpy(name, ns, n);
	dns_name_lower(name);
	if (list_has_name(l, LIST_NS, name, hit))
		return true;
	for (int i = 0; i < 2; i++)
		if (cache_find_kind(cache, space, name, CACHE_RRSET, i ? DNS_AAAA : DNS_A, now,
				    &c) &&
		    addresses_hit(l, LIST_NS_ADDRESS, &c.set, hit))
			return true;
	return false;
}

/* The servers of the zone that the answer is from, and of those above it, but for top-level ones.
 */
static bool servers_hit(const struct list *l, const struct policy_query *q,
			const struct resolved *r, struct list_hit *hit)
{
	uint8_t zone[DNS_NAME_MAX], ns[DNS_NAME_MAX];
	uint64_t now = clock_sec();
	struct cached d;
	if (!cache || !r->n)
		return false;
	memcpy(zone, r->part[r->n - 1].set.owner, dns_name_len(r->part[r->n - 1].set.owner));
	for (int up = 0; up < ZONES_UP; up++) {
		if (!cache_delegation(cache, q->view, zone, up > 0, now, &d) ||
		    dns_name_labels(d.set.owner) < 2)
			return false;
		memcpy(zone, d.set.owner, dns_name_len(d.set.owner));
		if (glue_hit(l, &d, hit))
			return true;
		struct slice data = d.set.data, one;
		/* What is looked up in the cache does not change it. */
		for (unsigned i = 0; i < d.set.n && rrset_next(&data, &one); i++) {
			size_t n = dns_name_check((const uint8_t *)one.p, one.len);
			if (!n)
				continue;
			memcpy(ns, one.p, n);
			if (server_hit(l, q->view, ns, now, hit))
				return true;
		}
	}
	return false;
}

static bool list_hit(const struct list *l, const struct policy_query *q, const struct resolved *r,
		     struct list_hit *hit)
{
	if ((!q->listed && client_hit(l, q, hit)) || name_hit(l, q, r, hit))
		return true;
	return r && list_waits(l) && (answer_hit(l, r, hit) || servers_hit(l, q, r, hit));
}

/* The list's own data in place of the answer. */
static enum policy_verdict data_of(const struct list *l, const struct list_hit *hit,
				   struct policy_query *q, struct resolved *out)
{
	struct cached *c = &out->part[out->n++];
	enum local_found f = list_data(l, hit, q->name, q->type, c, q->buf);
	out->ede = EDE_FORGED;
	if (f != LOCAL_CNAME)
		return POLICY_ANSWER;
	q->ask = q->buf;
	return POLICY_RESOLVE;
}

static enum policy_verdict act(const struct list *l, const struct list_hit *hit,
			       struct policy_query *q, struct resolved *out)
{
	if (hit->action == LIST_DROP) {
		policy_stats.dropped++;
		return POLICY_DROP;
	}
	if (hit->action == LIST_TCP) {
		policy_stats.tcp += !q->stream;
		return q->stream ? POLICY_AS_IS : POLICY_TCP;
	}
	if (hit->action == LIST_PASS) {
		policy_stats.passed++;
		return POLICY_AS_IS;
	}
	policy_stats.blocked++;
	begin(out);
	out->ede = EDE_BLOCKED;
	str_fmt(out->why, sizeof(out->why), "blocked by %s", list_name(l));
	if (hit->action == LIST_DATA)
		return data_of(l, hit, q, out);
	bool nx = hit->action == LIST_NXDOMAIN;
	out->rcode = nx ? DNS_NXDOMAIN : DNS_NOERROR;
	out->part[out->n++] = (struct cached){.kind = nx ? CACHE_NXDOMAIN : CACHE_NODATA,
					      .trust = CACHE_LOCAL,
					      .security = RRSET_INSECURE,
					      .ede = RESOLVE_NO_EDE,
					      .set = {.owner = q->name, .type = q->type}};
	return POLICY_ANSWER;
}

/* r: NULL, the answer is not there yet. AS_IS: no list objects. */
static enum policy_verdict ask_lists(struct policy_query *q, const struct resolved *r,
				     struct resolved *out)
{
	struct list_hit hit;
	for (size_t i = 0; i < lists_n; i++) {
		if (list_hit(lists[i], q, r, &hit))
			return act(lists[i], &hit, q, out);
		/* What stands behind it is heard when it has been. */
		if (!r && list_waits(lists[i]))
			return POLICY_AS_IS;
	}
	q->listed = true;
	return POLICY_AS_IS;
}

/* --- before and after ------------------------------------------------------------------------- */

/* Our host that has no IPv6, for a client that has nothing else. */
static void own_dns64(struct policy_query *q, struct resolved *out)
{
	const uint8_t *ask;
	if (!dns64_wanted(&dns64, q, out))
		return;
	q->type = DNS_A;
	bool made = own_data(q, out, &ask) && !ask && dns64_make(&dns64, out);
	q->type = DNS_AAAA;
	if (!made)
		own_data(q, out, &ask);
}

enum policy_verdict policy_before(struct policy_query *q, struct resolved *out)
{
	const uint8_t *ask;
	q->stage = POLICY_BEGUN;
	q->ask = q->name;
	q->ask_type = q->type;
	q->listed = false;
	if (own_data(q, out, &ask)) {
		policy_stats.local++;
		q->ask = ask;
		q->stage = POLICY_ASKED;
		if (ask)
			return POLICY_RESOLVE;
		own_dns64(q, out);
		return POLICY_ANSWER;
	}
	enum policy_verdict v = lists_n ? ask_lists(q, NULL, out) : POLICY_AS_IS;
	if (v != POLICY_AS_IS && v != POLICY_RESOLVE)
		return v;
	if (v == POLICY_AS_IS && q->type == DNS_PTR && dns64_reverse(&dns64, q->name, q->buf))
		q->ask = q->buf;
	q->stage = POLICY_ASKED;
	return POLICY_RESOLVE;
}

/* The CNAME from q->name to q->ask, that DNS64 makes of a reverse name. */
static void put_cname(const struct policy_query *q, struct resolved *out)
{
	static uint8_t data[2 + DNS_NAME_MAX];
	size_t n = dns_name_len(q->ask);
	data[1] = (uint8_t)n;
	memcpy(data + 2, q->ask, n);
	out->part[out->n++] = (struct cached){.kind = CACHE_RRSET,
					      .trust = CACHE_LOCAL,
					      .security = RRSET_INSECURE,
					      .ede = RESOLVE_NO_EDE,
					      .set = {.owner = q->name,
						      .type = DNS_CNAME,
						      .ttl = REVERSE_TTL,
						      .n = 1,
						      .data = {(const char *)data, 2 + n}}};
}

/* What was resolved, behind what led there. */
static void put_behind(const struct policy_query *q, const struct resolved *r, struct resolved *out)
{
	const uint8_t *ask;
	if (!own_data(q, out, &ask)) {
		begin(out);
		put_cname(q, out);
	}
	out->rcode = r->rcode;
	out->ede = r->ede;
	out->stale = r->stale;
	memcpy(out->why, r->why, sizeof(out->why));
	for (unsigned i = 0; i < r->n && out->n <= RESOLVE_HOPS; i++)
		out->part[out->n++] = r->part[i];
	out->security = r->security < RRSET_INSECURE ? r->security : RRSET_INSECURE;
}

enum policy_verdict policy_after(struct policy_query *q, const struct resolved *r,
				 struct resolved *out)
{
	bool changed = false;
	if (q->ask != q->name) {
		put_behind(q, r, out);
		r = out;
		changed = true;
	}
	/* Our own data, and what it leads to, are not for lists to judge. */
	if (!changed && lists_n) {
		enum policy_verdict v = ask_lists(q, r, out);
		if (v != POLICY_AS_IS)
			return v;
	}
	if (rebind_filter(&rebind, q, r, out)) {
		policy_stats.rebinding++;
		r = out;
		changed = true;
	}
	if (q->stage == POLICY_ASKED_A) {
		if (!changed)
			*out = *r;
		changed = dns64_make(&dns64, out) || changed;
		policy_stats.dns64 += changed;
	} else if (dns64_wanted(&dns64, q, r)) {
		q->ask_type = DNS_A;
		q->stage = POLICY_ASKED_A;
		return POLICY_RESOLVE;
	}
	return changed ? POLICY_ANSWER : POLICY_AS_IS;
}
