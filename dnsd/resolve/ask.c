#include <stdio.h>
#include "dnsd/resolve/task.h"
#include "libcommon/base/clock.h"
#include "libcommon/dns/rdata.h"

bool ask_checking_disabled;

/* --- what servers say --------------------------------------------------------------------------
 */
static void say_reply(const struct task *t, const char *server, const struct upstream_answer *u)
{
	static const char *const kind[] = {[SCRUB_MALFORMED] = "malformed",
					   [SCRUB_FAILED] = "failure",
					   [SCRUB_LAME] = "lame",
					   [SCRUB_REFERRAL] = "referral to",
					   [SCRUB_ANSWER] = "answer",
					   [SCRUB_CNAME] = "alias",
					   [SCRUB_DNAME] = "DNAME at",
					   [SCRUB_NODATA] = "no such type",
					   [SCRUB_NXDOMAIN] = "no such name"};
	const struct scrubbed *r = &t->reply;
	char owner[DNS_NAME_TEXT] = "";
	if (r->main && (r->kind == SCRUB_REFERRAL || r->kind == SCRUB_DNAME))
		dns_name_text(owner, r->main->owner);
	task_say(t, "%s, %u ms%s: %s%s%s%s%s", server, u->ms, u->tcp ? " by TCP" : "",
		 kind[r->kind], *owner ? " " : "", owner, r->why ? ": " : "", r->why ? r->why : "");
}

/* A reply that is of no use: another server, or without minimisation. */
static void useless(struct task *t, const struct asking *a, const char *server)
{
	struct deleg_server *s = &t->deleg.server[a->server];
	snprintf(t->why, sizeof(t->why), "%.90s: %s", server, t->reply.why);
	if (a->name != t->name) {
		t->minimise.off = true;
		return;
	}
	s->bad = true;
	if (t->reply.kind != SCRUB_FAILED)
		upstream_lame(&s->to.sa, t->deleg.zone, TASK_LAME_MS);
}

static void read_reply(struct task *t, const struct asking *a, const struct upstream_answer *u)
{
	char server[DELEG_TEXT];
	struct scrub_question q = {.zone = t->deleg.zone,
				   .name = a->name,
				   .type = a->type,
				   .recursive = deleg_recursive(&t->deleg)};
	pool_clear(t->pool);
	scrub(t->pool, &q, u->pkt, u->len, &t->reply);
	deleg_text(&t->deleg, a->server, server);
	if (t->run->explain)
		say_reply(t, server, u);
	if (t->reply.kind <= SCRUB_LAME) {
		useless(t, a, server);
		return;
	}
	t->reply_name = a->name;
	t->reply_server = a->server;
	t->state = TASK_REPLY;
	ask_end(t);
}

static void no_reply(struct task *t, const struct asking *a, enum upstream_outcome o)
{
	char server[DELEG_TEXT];
	const char *what = upstream_outcome_text(o);
	deleg_text(&t->deleg, a->server, server);
	task_say(t, "%s: %s", server, what);
	snprintf(t->why, sizeof(t->why), "%.90s: %s", server, what);
	if (o != UPSTREAM_TIMEOUT)
		t->deleg.server[a->server].bad = true;
	t->full |= o == UPSTREAM_FULL;
}

static void heard(void *arg, const struct upstream_answer *u)
{
	struct asking *a = arg;
	struct task *t = a->task;
	task_wake(t);
	if (u->outcome == UPSTREAM_LATE) {
		t->another = true;
		return;
	}
	a->u = NULL;
	t->exchanges--;
	t->deleg.server[a->server].busy = false;
	if (u->outcome == UPSTREAM_ANSWER)
		read_reply(t, a, u);
	else
		no_reply(t, a, u->outcome);
}

static void say_question(const struct task *t, const struct asking *a)
{
	char server[DELEG_TEXT], name[DNS_NAME_TEXT], zone[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	if (!t->run->explain)
		return;
	dns_name_text(name, a->name);
	dns_name_text(zone, t->deleg.zone);
	task_say(t, "ask %s, of zone %s, for %s %s", deleg_text(&t->deleg, a->server, server), zone,
		 name, dns_type_text(a->type, type));
}

static void ask(struct task *t, unsigned server)
{
	struct asking *a = t->asking;
	struct deleg_server *s = &t->deleg.server[server];
	while (a->u)
		a++;
	*a = (struct asking){.task = t, .server = server};
	a->type = minimise_next(&t->minimise, t->deleg.zone, t->name, t->type, &a->name);
	struct upstream_question q = {.to = &s->to.sa,
				      .name = a->name,
				      .type = a->type,
				      .recursive = deleg_recursive(&t->deleg),
				      .checking_disabled =
					  deleg_recursive(&t->deleg) && ask_checking_disabled,
				      .tls = s->tls};
	say_question(t, a);
	s->busy = true;
	s->tries++;
	t->run->queries--;
	t->asked++;
	t->exchanges++;
	t->another = false;
	a->u = upstream_ask(&q, heard, a);
}

/* --- addresses of servers ----------------------------------------------------------------------
 */
static void got_address(struct wait *w, const struct result *r)
{
	struct task *t = w->arg;
	if (r->c.kind == CACHE_RRSET && (r->c.set.type == DNS_A || r->c.set.type == DNS_AAAA))
		deleg_addresses(&t->deleg, w->which, &r->c.set, task_families);
	task_wake(t);
}

/* Of one family: from the cache, or by a task. */
static void look_up(struct task *t, unsigned name, uint16_t type)
{
	const uint8_t *n = t->deleg.name[name].name;
	struct cached c;
	if (step_known(t->run->cache, t->run->space, n, type, TASK_UNCHECKED, task_now(), false,
		       &c)) {
		if (c.kind == CACHE_RRSET && c.set.type == type)
			deleg_addresses(&t->deleg, name, &c.set, task_families);
		return;
	}
	for (unsigned i = 0; i < TASK_WAITS && t->run->lookups; i++) {
		struct wait *w = &t->address[i];
		if (wait_is_on(w))
			continue;
		*w = (struct wait){.by = t, .fn = got_address, .arg = t, .which = name};
		task_wait(w, t->run, n, type, TASK_UNCHECKED);
		return;
	}
}

static unsigned waiting(const struct task *t)
{
	unsigned n = 0;
	for (unsigned i = 0; i < TASK_WAITS; i++)
		n += wait_is_on(&t->address[i]);
	return n;
}

/* Names one after the other, until there is an address or as many as may be are looked up. */
static void look_up_some(struct task *t)
{
	unsigned had = t->deleg.servers;
	int name;
	while (t->deleg.servers == had && waiting(t) + 2 <= TASK_WAITS &&
	       (name = deleg_lookup(&t->deleg)) >= 0) {
		t->deleg.name[name].looked = true;
		t->deleg.lookups++;
		if (task_families.v4)
			look_up(t, (unsigned)name, DNS_A);
		if (task_families.v6)
			look_up(t, (unsigned)name, DNS_AAAA);
		if (t->run->lookups)
			t->run->lookups--;
	}
}

/* --- which one is next -------------------------------------------------------------------------
 */
static bool may_ask(struct task *t)
{
	if (!t->run->queries)
		snprintf(t->why, sizeof(t->why), "more than %d questions to servers", RUN_QUERIES);
	else if (clock_mono() >= t->run->until)
		snprintf(t->why, sizeof(t->why), "it took more than %d s", RUN_MS / 1000);
	else
		return true;
	t->ede = EDE_OTHER;
	return false;
}

enum ask_next ask_step(struct task *t)
{
	char zone[DNS_NAME_TEXT];
	if ((t->exchanges && !t->another) || t->exchanges == TASK_EXCHANGES)
		return ASK_WAIT;
	t->ede = EDE_NO_REACHABLE_AUTHORITY;
	t->is_bogus = false;
	for (;;) {
		if (!may_ask(t))
			return t->exchanges ? ASK_WAIT : ASK_FAILED;
		unsigned had = t->deleg.servers;
		int s = t->asked < TASK_ASKED ? deleg_pick(&t->deleg, task_lot()) : -1;
		if (s >= 0) {
			ask(t, (unsigned)s);
			return ASK_WAIT;
		}
		if (t->asked < TASK_ASKED)
			look_up_some(t);
		if (t->deleg.servers == had)
			break;
	}
	if (t->exchanges || waiting(t))
		return ASK_WAIT;
	dns_name_text(zone, t->deleg.zone);
	if (!*t->why)
		snprintf(t->why, sizeof(t->why), "no server of %.80s has an address", zone);
	return ASK_FAILED;
}

bool ask_own(struct task *t)
{
	static uint8_t out[DNS_MSG_MAX];
	uint8_t query[DNS_QUERY_MAX];
	char zone[DNS_NAME_TEXT];
	struct dns_query dq = {.type = t->type, .edns_size = DNS_EDNS_SIZE, .dnssec_ok = true};
	struct scrub_question q = {.zone = t->deleg.zone, .name = t->name, .type = t->type};
	size_t len = task_own->answer(query, dns_query(query, t->name, &dq), out, sizeof(out));
	pool_clear(t->pool);
	scrub(t->pool, &q, out, len, &t->reply);
	dns_name_text(zone, t->deleg.zone);
	task_say(t, "zone %s is served here: %s", zone, t->reply.why ? t->reply.why : "answered");
	if (t->reply.kind <= SCRUB_LAME) {
		snprintf(t->why, sizeof(t->why), "%.80s, which is served here: %s", zone,
			 t->reply.why);
		t->ede = EDE_OTHER;
		return false;
	}
	t->reply_name = t->name;
	t->state = TASK_REPLY;
	return true;
}

void ask_end(struct task *t)
{
	for (unsigned i = 0; i < TASK_EXCHANGES; i++) {
		if (t->asking[i].u) {
			t->deleg.server[t->asking[i].server].busy = false;
			upstream_cancel(&t->asking[i].u);
		}
		t->asking[i].u = NULL;
	}
	for (unsigned i = 0; i < TASK_WAITS; i++)
		task_unwait(&t->address[i]);
	t->exchanges = 0;
	t->another = false;
}
