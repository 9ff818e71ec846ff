/* Clients that wait for what is being found out. The number of them is bounded, in all and of each
 * address; none waits for longer than WAIT_MS, and not even STALE_MS when there is an old answer.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include "dnsd/recurse/recurse_int.h"
#include "dnsd/wire/later.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"

enum {
	STALE_MS = 1800, /* RFC 8767 5: what a client's patience is thought to be */
	WAIT_MS = 20000,
	ADDRESSES = 1 << 15, /* counters; those of two addresses may be one */
	RENEWALS = 100,
	COOKIE_MAX = 40,
};

struct client {
	struct list link;
	struct later *later;
	struct resolution *resolution;
	struct timer timer;
	uint64_t since;
	struct query q; /* what it points to stands below */
	struct answer_way way;
	struct policy_query policy;
	enum transport by;
	unsigned slot; /* of its address */
	struct sockaddr_storage peer;
	struct tsig *tsig; /* NULL: not signed */
	char cookie[COOKIE_MAX];
	uint8_t question[DNS_HEADER + DNS_NAME_MAX + 4];
};
static struct list clients = {&clients, &clients};
static uint16_t of_address[ADDRESSES];
static unsigned renewals;

static unsigned slot_of(const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
	if (sa->sa_family == AF_INET)
		return map_hash(&in->sin_addr, sizeof(in->sin_addr)) % ADDRESSES;
	if (sa->sa_family != AF_INET6)
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return map_hash(in6->sin6_addr.s6_addr + 12, 4) % ADDRESSES;
	return map_hash(&in6->sin6_addr, 8) % ADDRESSES;
}

static void client_free(struct client *c)
{
	list_del(&c->link);
	timer_clear(&c->timer);
	of_address[c->slot]--;
	recurse_stats.waiting--;
	if (c->tsig)
		mem_wipe(c->tsig, sizeof(*c->tsig));
	free(c->tsig);
	free(c);
}

/* The client has its response; what is being found out may go on for the cache. */
static void respond(struct client *c, enum policy_verdict v, const struct resolved *found,
		    enum recurse_how how)
{
	static uint8_t out[DNS_MSG_MAX];
	struct answer_info info;
	size_t cap = c->by == BY_UDP ? UDP_MAX : DNS_MSG_MAX;
	c->way.now = (uint32_t)clock_sec();
	size_t n = recurse_policy(v, &c->q, &c->way, found, c->by == BY_UDP, out, cap, &info);
	recurse_note((const struct sockaddr *)&c->peer, &c->q, how, clock_mono() - c->since, &info,
		     found);
	stats.rcode[info.rcode < STATS_RCODES ? info.rcode : STATS_RCODES - 1]++;
	stats.truncated += info.truncated;
	if (c->tsig && n)
		n = tsig_sign(c->tsig, out, n, cap, clock_sec());
	if (c->resolution)
		resolve_cancel(&c->resolution);
	later_reply(&c->later, out, n);
	client_free(c);
}

static void on_resolved(void *arg, const struct resolved *r);

/* Found out, if that is for policy what the client is to get. */
static void take(struct client *c, const struct resolved *found, enum recurse_how how)
{
	static struct resolved made;
	static const struct resolved failed = {
	    .rcode = DNS_SERVFAIL, .security = RRSET_INDETERMINATE, .ede = RECURSE_NO_ANSWER};
	enum policy_verdict v = POLICY_AS_IS;
	if (policy_is_on())
		v = policy_after(&c->policy, found, &made);
	if (v == POLICY_RESOLVE) {
		struct resolve_ask ask = recurse_ask_of(&c->q, &c->policy);
		if (c->resolution)
			resolve_cancel(&c->resolution);
		c->resolution = resolve(&ask, on_resolved, c);
		if (!c->resolution)
			respond(c, POLICY_AS_IS, &failed, how);
		return;
	}
	respond(c, v, v == POLICY_ANSWER ? &made : found, how);
}

static void on_resolved(void *arg, const struct resolved *r)
{
	static struct resolved old;
	struct client *c = arg;
	struct resolve_ask ask = recurse_ask_of(&c->q, &c->policy);
	c->resolution = NULL;
	if (r->rcode == DNS_SERVFAIL && recurse_stale(&ask, r, &old))
		take(c, &old, HOW_STALE);
	else
		take(c, r, r->stale ? HOW_STALE : HOW_RESOLVED);
}

static void on_timer(struct timer *t)
{
	static struct resolved found;
	struct client *c = list_entry(t, struct client, timer);
	struct resolve_ask ask = recurse_ask_of(&c->q, &c->policy);
	if (recurse_stale(&ask, NULL, &found)) {
		timer_set(&c->timer, WAIT_MS, on_timer); /* for what policy may want besides */
		take(c, &found, HOW_STALE);
		return;
	}
	uint64_t waited = clock_mono() - c->since;
	if (waited < WAIT_MS) {
		timer_set(&c->timer, WAIT_MS - waited, on_timer);
		return;
	}
	recurse_stats.late++;
	found.rcode = DNS_SERVFAIL;
	found.security = RRSET_INDETERMINATE;
	found.ede = RECURSE_NO_ANSWER;
	found.n = 0;
	found.stale = false;
	snprintf(found.why, sizeof(found.why), "no answer within %d s", WAIT_MS / 1000);
	respond(c, POLICY_AS_IS, &found, HOW_RESOLVED);
}

/* The query outlives the packet: what a response is made from is copied. */
static void copy_query(struct client *c, const struct recurse_question *r,
		       const struct policy_query *p)
{
	c->q = *r->q;
	memcpy(c->question, r->q->pkt, DNS_HEADER + r->q->question_len);
	c->q.pkt = c->question;
	c->q.len = DNS_HEADER + r->q->question_len;
	c->q.subnet = (struct slice){0};
	c->q.cookie.p = c->cookie;
	if (r->q->cookie.len > COOKIE_MAX)
		c->q.cookie.len = 0;
	else if (r->q->cookie.len)
		memcpy(c->cookie, r->q->cookie.p, r->q->cookie.len);
	c->q.prepared = false;
	c->q.zone = NULL;
	c->q.zones = NULL;
	bool v6 = r->from->client->sa_family == AF_INET6;
	memcpy(&c->peer, r->from->client,
	       v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	c->way = *r->way;
	c->way.client = (const struct sockaddr *)&c->peer;
	c->by = r->from->by;
	c->policy = *p;
	c->policy.client = c->way.client;
	c->policy.name = c->q.name;
	if (p->ask == p->name)
		c->policy.ask = c->q.name;
	else if (p->ask == p->buf)
		c->policy.ask = c->policy.buf;
	if (r->tsig && (r->tsig->key || r->tsig->error)) {
		c->tsig = mem_alloc(sizeof(*c->tsig));
		*c->tsig = *r->tsig;
	}
}

static struct client *client_new(const struct recurse_question *r, const struct policy_query *p,
				 unsigned slot)
{
	struct client *c = mem_alloc(sizeof(*c));
	copy_query(c, r, p);
	c->slot = slot;
	c->since = clock_mono();
	list_add_tail(&clients, &c->link);
	of_address[slot]++;
	recurse_stats.waiting++;
	return c;
}

bool recurse_wait(const struct recurse_question *r, const struct policy_query *p, const char **why)
{
	unsigned slot = slot_of(r->from->client);
	bool limited = !conf_recursion_unlimited(r->from->client);
	*why = "too many questions are being found out";
	if (recurse_stats.waiting >= conf.recursion.waiting)
		return false;
	if (limited && of_address[slot] >= conf.recursion.waiting_per_client) {
		*why = "too many questions of this client are being found out";
		return false;
	}
	struct client *c = client_new(r, p, slot);
	struct resolve_ask ask = recurse_ask_of(&c->q, &c->policy);
	c->resolution = resolve(&ask, on_resolved, c);
	c->later = c->resolution ? later_keep(r->from) : NULL;
	if (!c->later) {
		if (c->resolution)
			resolve_cancel(&c->resolution);
		client_free(c);
		return false;
	}
	timer_set(&c->timer, conf.recursion.serve_stale ? STALE_MS : WAIT_MS, on_timer);
	recurse_stats.waited++;
	return true;
}

static void on_renewed(void *arg, const struct resolved *r)
{
	(void)arg;
	(void)r;
	renewals--;
}

void recurse_renew(const struct resolve_ask *ask)
{
	struct resolve_ask again = *ask;
	again.renew = true;
	if (renewals >= RENEWALS || !resolve(&again, on_renewed, NULL))
		return;
	renewals++;
	recurse_stats.prefetched++;
}

void recurse_forget(void)
{
	while (!list_empty(&clients)) {
		struct client *c = list_entry(clients.next, struct client, link);
		resolve_cancel(&c->resolution);
		later_reply(&c->later, NULL, 0);
		client_free(c);
	}
	renewals = 0;
}
