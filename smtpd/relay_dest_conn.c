/* A connection of a destination: from host to host until one takes mail, then from letter to
 * letter.
 *
 * A greeting or EHLO refused with 5xx is the host's word, not the domain's: the next host is asked
 * all the same, and only when every host there is has said so is it final (RFC 5321 3.1, RFC 7504
 * 4; Postfix would go on trying for days). A failed AUTH is our configuration's fault, and the
 * mail waits until it is mended.
 *
 * REQUIRETLS (RFC 8689 4.2.1) wants all of: a host that the domain's MX names under DNSSEC, or that
 * the route names; TLS with a certificate that is trusted and for that name; and REQUIRETLS in
 * the EHLO reply behind it. A host that has not is passed over; when only that was wrong with
 * all of them, the letter fails with 5.7.30. */
#include <stdlib.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "smtpd/relay_int.h"
#include "smtpd/smtpd.h"

enum { PLAIN_MS = 600000 };

/* All idle connections, the longest idle first. */
static struct list idle = {&idle, &idle};

static void try_host(struct conn *c);

static const struct host *host_of(const struct conn *c)
{
	return &c->hosts->h->host[c->host];
}

static void up(struct conn *c, bool on)
{
	if (c->up == on)
		return;
	c->up = on;
	c->hosts->state[c->host].up += on ? 1 : -1u;
}

static void idle_end(struct conn *c)
{
	if (c->state != CONN_IDLE)
		return;
	timer_clear(&c->timer);
	list_del(&c->idle);
	list_del(&c->all_idle);
	c->d->n_idle--;
}

/* The letter leaves the connection. */
static struct letter *let_go(struct conn *c)
{
	struct letter *l = c->l;
	c->l = NULL;
	if (l)
		l->errand->conn = NULL;
	return l;
}

/* Its slot is free, c is gone. */
static void conn_free(struct conn *c)
{
	struct dest *d = c->d;
	let_go(c);
	idle_end(c);
	if (c->state == CONN_SETUP) {
		d->n_coming--;
		d->n_setup -= c->bound ? 0 : 1;
	}
	up(c, false);
	list_del(&c->link);
	hostset_drop(&c->hosts);
	pool_free(&c->pool);
	free(c);
	limit_give(d);
	dest_touch(d);
}

void conn_close(struct conn *c)
{
	dial_cancel(&c->dial);
	if (c->out)
		out_close(c->out);
	conn_free(c);
}

bool conn_close_idle(void)
{
	if (list_empty(&idle))
		return false;
	conn_close(list_entry(idle.next, struct conn, all_idle));
	return true;
}

bool conn_any_idle(void)
{
	return !list_empty(&idle);
}

/* --- letters ------------------------------------------------------------------------------- */

bool conn_fits(const struct conn *c, const struct letter *l)
{
	const struct errand *e = l->errand;
	if (e->fresh || (e->strict && !c->strict))
		return false;
	if (e->hosts)
		return e->hosts == c->hosts && c->host >= e->host;
	return !c->detour;
}

static void go_idle(struct conn *c);

static void on_idle(struct timer *t)
{
	conn_close(list_entry(t, struct conn, timer));
}

/* The next letter that the connection may take; NULL: none. *yield: it is to be closed. */
static struct letter *next_letter(struct conn *c, bool *yield)
{
	struct dest *d = c->d;
	uint64_t most = d->route->messages;
	*yield = dest_draining || d->n_conns > d->limit || (most && c->letters >= most) ||
		 limit_yield(d, c->letters);
	if (*yield || dest_closed(d))
		return NULL;
	if (!list_empty(&d->special)) {
		struct letter *l = list_entry(d->special.next, struct letter, link);
		if (conn_fits(c, l))
			return l;
		/* It waits for a connection of its own: this one makes room. */
		*yield = d->n_conns >= d->limit || !list_empty(&d->hungry);
		if (*yield)
			return NULL;
	}
	if (list_empty(&d->ready) || c->detour) {
		*yield = c->detour;
		return NULL;
	}
	return list_entry(d->ready.next, struct letter, link);
}

static void take(struct conn *c, struct letter *l)
{
	dest_take(l);
	c->l = l;
	l->errand->conn = c;
}

/* Back to where it waits, before all others. */
static void put_back(struct dest *d, struct letter *l)
{
	bool special = l->errand->strict || l->errand->hosts;
	dest_put(l, special ? &d->special : &d->ready, special ? &d->n_special : &d->n_ready, true);
	dest_touch(d);
}

static void send_part(struct conn *c)
{
	struct letter *l = c->l;
	if (!out_send(c->out, errand_mail(l, out_caps(c->out)->rcpt_max))) {
		put_back(c->d, let_go(c));
		conn_close(c);
		return;
	}
	c->state = CONN_BUSY;
	c->sent++;
	dest_counts.transactions++;
}

static void send_letter(struct conn *c)
{
	idle_end(c);
	c->l->errand->fresh = false;
	dest_counts.reused += c->letters ? 1 : 0;
	c->letters++;
	dest_touch(c->d); /* to fetch ahead */
	send_part(c);
}

void conn_begin(struct conn *c, struct letter *l)
{
	bool yield = false;
	if (!l && !c->l)
		l = next_letter(c, &yield);
	if (yield) {
		conn_close(c);
		return;
	}
	if (l)
		take(c, l);
	if (c->l)
		send_letter(c);
	else if (c->state != CONN_IDLE)
		go_idle(c);
}

static void go_idle(struct conn *c)
{
	struct dest *d = c->d;
	c->state = CONN_IDLE;
	list_add_tail(&d->idle, &c->idle);
	list_add_tail(&idle, &c->all_idle);
	d->n_idle++;
	timer_set(&c->timer, d->route->idle_timeout, on_idle);
	dest_touch(d);
	limit_offer();
}

/* --- setup --------------------------------------------------------------------------------- */

static void keep_why(struct conn *c, const struct out_verdict *v)
{
	if (!c->pool)
		c->pool = pool_new(0);
	c->why = *v;
	c->why.text = pool_strdup(c->pool, v->text ? v->text : "");
	c->why.host = v->host ? pool_strdup(c->pool, v->host) : NULL;
}

/* The setup's end as a verdict on letters: final only when each host there is refused for good. */
static void judge(struct conn *c)
{
	size_t n = c->hosts->n;
	uint64_t all = n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
	bool strict = c->l && c->l->errand->strict;
	if (strict && !c->unreached && c->tried == all) {
		c->why.state = OUT_PERM;
		c->why.code = 0;
		str_fmt(c->why.status, sizeof(c->why.status), "5.7.30");
		return;
	}
	if (!strict && c->all_perm && c->tried == all)
		return;
	c->why.state = OUT_TEMP;
	if (c->why.status[0] == '5')
		c->why.status[0] = '4';
}

/* No host is left to try. */
static void exhausted(struct conn *c)
{
	struct dest *d = c->d;
	struct letter *l = c->l;
	bool others = d->n_conns > d->n_coming, dead = !c->detour && (!l || c->unreached);
	judge(c);
	if (let_go(c))
		errand_fail(l, &c->why);
	if (dead && !others)
		dest_dead(d, &c->why);
	if (l && dead && !others && c->why.state == OUT_TEMP)
		l->wait_ms = d->pause;
	conn_free(c);
	if (dead && others)
		limit_refused(d);
	if (l)
		dest_done(l);
}

/* policy: the host is there, but is not what a policy of ours wants. */
static void host_failed(struct conn *c, const struct out_verdict *v, bool policy)
{
	struct dest *d = c->d;
	bool last = ++c->tries >= d->route->hosts_tried;
	dest_counts.connect_failures++;
	log_event(LOG_LV_INFO, NULL, "host-failed", LSL("domain", dest_name(d)),
		  LS("host", host_of(c)->name), LS("status", v->status), LS("at", v->at),
		  LS("why", v->text));
	keep_why(c, v);
	c->all_perm &= v->state == OUT_PERM;
	c->unreached |= !policy;
	c->out = NULL;
	if (!c->bound && c->hosts->state[c->host].up) {
		/* It has connections of ours, and wants no more. */
		conn_free(c);
		limit_refused(d);
		return;
	}
	if (!c->strict)
		hostset_failed(c->hosts, c->host);
	if (!last && hostset_next(c->hosts, c->tried, &c->host))
		try_host(c);
	else
		exhausted(c);
}

static void host_failed_own(struct conn *c, enum out_state state, const char *status,
			    const char *at, const char *text, bool policy)
{
	struct out_verdict v = {.state = state, .at = at, .text = text, .host = host_of(c)->name};
	str_fmt(v.status, sizeof(v.status), "%s", status);
	host_failed(c, &v, policy);
}

/* Named by the administrator, or by the domain itself under DNSSEC. */
static bool host_authentic(const struct conn *c)
{
	const struct route *r = c->d->route;
	bool mx = r->hosts == 0;
	for (size_t i = 0; i < r->hosts; i++)
		mx |= r->host[i].mx;
	return !mx || host_of(c)->secure;
}

static void log_ready(const struct conn *c)
{
	gnutls_session_t tls = out_session(c->out);
	bool verified = tls && (c->strict || c->d->route->tls == OUT_TLS_VERIFY);
	log_event(LOG_LV_INFO, NULL, "host-ready", LSL("domain", dest_name(c->d)),
		  LS("host", host_of(c)->name), LS("address", out_address(c->out)),
		  LS("tls", tls ? gnutls_ciphersuite_get(tls) : "none"),
		  LS("verified", verified ? "yes" : "no"));
}

static void on_ready(struct out *o, void *arg)
{
	struct conn *c = arg;
	struct dest *d = c->d;
	if (c->strict && !(out_caps(o)->flags & OUT_CAP_REQUIRETLS)) {
		out_close(o);
		host_failed_own(c, OUT_PERM, "5.7.30", "EHLO",
				"the server does not support REQUIRETLS", true);
		return;
	}
	log_ready(c);
	dest_counts.tls += out_session(o) ? 1 : 0;
	c->hosts->state[c->host].down_until = 0;
	up(c, true);
	d->n_coming--;
	d->n_setup -= c->bound ? 0 : 1;
	limit_proven(d);
	if (d->closed_until)
		log_event(LOG_LV_INFO, NULL, "destination-open", LSL("domain", dest_name(d)),
			  LS("host", host_of(c)->name));
	d->closed_until = 0;
	c->state = CONN_OVER; /* neither idle nor busy yet */
	dest_touch(d);
	conn_begin(c, NULL);
}

/* --- the end of a transaction -------------------------------------------------------------- */

/* What the transaction says of the peer's health. */
static void note_health(struct dest *d, const struct out_verdict *v, size_t n, bool stale)
{
	enum { BAD_MAX = 5 };
	const struct out_verdict *bad = NULL;
	for (size_t i = 0; i < n && !bad; i++)
		bad = v[i].state == OUT_LOST || v[i].code == 421 ? &v[i] : NULL;
	if (stale)
		return;
	if (!bad) {
		limit_good(d);
		return;
	}
	limit_cut(d);
	/* It takes connections and breaks each: as good as dead. */
	if (++d->bad >= BAD_MAX) {
		struct out_verdict why = *bad;
		why.state = OUT_TEMP;
		d->bad = 0;
		dest_dead(d, &why);
	}
}

static void on_done(struct out *o, void *arg, const struct out_verdict *v, size_t n)
{
	struct conn *c = arg;
	struct dest *d = c->d;
	struct letter *l = c->l;
	enum errand_next next = errand_result(l, c, c->sent > 1, v, n);
	c->state = CONN_OVER;
	note_health(d, v, n, l->errand->fresh);
	if (next == ERRAND_MORE && out_usable(o) && !dest_draining) {
		send_part(c);
		return;
	}
	let_go(c);
	if (next == ERRAND_DONE)
		dest_done(l);
	else
		put_back(d, l);
	if (out_usable(o))
		conn_begin(c, NULL);
}

static void on_end(struct out *o, void *arg, const struct out_end *end)
{
	struct conn *c = arg;
	(void)o;
	c->out = NULL;
	if (c->state != CONN_SETUP) {
		conn_free(c);
		return;
	}
	if (end->try_plain && !c->plain) {
		c->hosts->state[c->host].plain_until = clock_mono() + PLAIN_MS;
		try_host(c);
		return;
	}
	struct out_verdict v = end->verdict;
	bool tls = end->why == OUT_NO_TLS || end->why == OUT_BAD_TLS;
	if (end->why == OUT_NO_AUTH || v.state == OUT_LOST)
		v.state = OUT_TEMP;
	host_failed(c, &v, c->strict && tls);
}

static const struct out_ops OPS = {on_ready, on_done, on_end};

/* --- connecting ---------------------------------------------------------------------------- */

static enum out_tls tls_policy(struct conn *c)
{
	const struct route *r = c->d->route;
	c->plain = r->tls == OUT_TLS_MAY && c->hosts->state[c->host].plain_until > clock_mono();
	if (c->strict)
		return OUT_TLS_VERIFY;
	return c->plain ? OUT_TLS_NONE : (enum out_tls)r->tls;
}

static void on_dial(int fd, const struct sockaddr *to, const char *why, void *arg)
{
	struct conn *c = arg;
	const struct route *r = c->d->route;
	struct out_options opt = {.host = host_of(c)->name,
				  .name = r->tls_name,
				  .helo = relay_conf.helo ? relay_conf.helo : conf.hostname,
				  .lmtp = r->protocol == ROUTE_LMTP,
				  .tls_now = r->protocol == ROUTE_SUBMISSIONS,
				  .tls = tls_policy(c),
				  .ctx = r->tls_ctx,
				  .user = r->user,
				  .password = r->password,
				  .times = r->times};
	(void)to;
	c->dial = NULL;
	if (fd < 0) {
		host_failed_own(c, OUT_TEMP, "4.4.1", "connect", why, false);
		return;
	}
	dest_counts.connects++;
	c->out = out_open(fd, &opt, &OPS, c);
	if (!c->out)
		host_failed_own(c, OUT_TEMP, "4.3.0", "connect", "no resources", false);
}

static void try_host(struct conn *c)
{
	const struct host *h = host_of(c);
	c->tried |= UINT64_C(1) << c->host;
	if (c->strict && !host_authentic(c))
		host_failed_own(c, OUT_PERM, "5.7.30", "DNS",
				"REQUIRETLS: the host's name is not authenticated by DNSSEC", true);
	else if (h->addrs == 0)
		host_failed_own(c, OUT_TEMP, "4.4.3", "DNS", "the host has no address now", false);
	else
		c->dial = dial_open(h, c->d->route, on_dial, c);
}

void conn_open(struct dest *d, struct letter *l)
{
	struct conn *c = mem_alloc(sizeof(*c));
	*c = (struct conn){.d = d, .state = CONN_SETUP, .bound = l != NULL, .all_perm = true};
	list_add_tail(&d->conns, &c->link);
	list_init(&c->idle);
	list_init(&c->all_idle);
	c->hosts = hostset_ref(d->hosts);
	d->n_coming++;
	d->n_setup += l ? 0 : 1;
	if (l) {
		struct errand *e = l->errand;
		take(c, l);
		c->strict = e->strict;
		c->detour = e->strict || (e->hosts && e->host);
		if (e->hosts) {
			c->tried = (UINT64_C(1) << e->host) - 1;
			hostset_drop(&c->hosts);
			c->hosts = hostset_ref(e->hosts);
		}
	}
	if (hostset_next(c->hosts, c->tried, &c->host))
		try_host(c);
}
