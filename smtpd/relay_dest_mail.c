/* A letter under way: which of its recipients are in the next transaction, and what each verdict
 * means for the rest of its way.
 *
 *   delivered, 5xx                   final
 *   4xx "too many recipients"        the next transaction, at once
 *   4xx                              once to a host of another preference, which may know better
 *   lost before all of it was sent,  the next host, as many as the route allows; once the same one
 *   421                              when the connection had been idle: it was closed under us
 *   lost behind it                   final: the server may have it, and a second copy is worse
 *                                    now than a late one (RFC 5321 4.5.4.1)
 */
#include "smtpd/relay_int.h"

void errand_new(struct dest *d, struct letter *l)
{
	size_t n = l->mail.rcpt_n;
	struct errand *e = pool_alloc(l->pool, sizeof(*e));
	e->d = d;
	e->mark = pool_alloc(l->pool, n);
	e->open = n;
	e->tries = 1;
	e->strict = (l->mail.flags & DELIVER_REQUIRETLS) != 0;
	l->verdict = pool_alloc(l->pool, n * sizeof(*l->verdict));
	l->wait_ms = 0;
	l->errand = e;
}

const struct out_mail *errand_mail(struct letter *l, uint64_t rcpt_max)
{
	struct errand *e = l->errand;
	uint64_t max = e->d->route->recipients;
	size_t n = 0;
	if (max == 0 || (rcpt_max && rcpt_max < max))
		max = rcpt_max;
	e->mail = l->mail;
	e->mail.deliver_by_ms = l->deliver_by_ms;
	e->mail.body = &l->body;
	e->part = e->open < l->mail.rcpt_n || (max && e->open > max);
	if (!e->part)
		return &e->mail;
	if (max == 0 || max > e->open)
		max = e->open;
	if (max > e->batch) {
		e->batch = max;
		e->rcpt = pool_alloc(l->pool, max * sizeof(*e->rcpt));
		e->index = pool_alloc(l->pool, max * sizeof(*e->index));
	}
	for (size_t i = e->from; n < max; i++) {
		if (e->mark[i] != MARK_OPEN)
			continue;
		e->index[n] = i;
		e->rcpt[n++] = l->mail.rcpt[i];
	}
	e->from = e->index[0];
	e->mail.rcpt = e->rcpt;
	e->mail.rcpt_n = n;
	return &e->mail;
}

/* Texts are copied; those of the recipient before when they are the same. */
static void keep(struct letter *l, size_t i, const struct out_verdict *v,
		 const struct out_verdict *last_src, const struct out_verdict *last)
{
	struct out_verdict *to = &l->verdict[i];
	*to = *v;
	if (last && last_src->text == v->text)
		to->text = last->text;
	else
		to->text = pool_strdup(l->pool, v->text ? v->text : "");
	if (last && last_src->host == v->host)
		to->host = last->host;
	else
		to->host = v->host ? pool_strdup(l->pool, v->host) : NULL;
}

static void mark(struct errand *e, size_t i, enum mark m)
{
	e->open -= e->mark[i] == MARK_OPEN ? 1 : 0;
	e->later -= e->mark[i] == MARK_LATER ? 1 : 0;
	e->mark[i] = (uint8_t)m;
	e->open += m == MARK_OPEN ? 1 : 0;
	e->later += m == MARK_LATER ? 1 : 0;
}

/* 452 and its kin (RFC 5321 4.5.3.1.10); the engine has made 4xx of the 552 that means it. */
static bool too_many(const struct out_verdict *v)
{
	if (v->state != OUT_TEMP || !v->at || strcmp(v->at, "RCPT TO") != 0)
		return false;
	return strcmp(v->status, "4.5.3") == 0 || v->code == 552 ||
	       (v->code == 452 && strcmp(v->status, "4.0.0") == 0);
}

static bool lost(const struct out_verdict *v)
{
	return v->state == OUT_LOST || (v->state == OUT_TEMP && v->code == 421);
}

/* Where the recipient may go on; false: nowhere. */
static bool elsewhere(struct errand *e, const struct conn *c, const struct out_verdict *v)
{
	size_t next;
	bool gone = lost(v);
	if (v->state == OUT_DELIVERED || v->state == OUT_PERM || v->maybe ||
	    e->tries >= e->d->route->hosts_tried || (!gone && e->deferred) ||
	    !hostset_after(c->hosts, c->host, !gone, &next))
		return false;
	if (!e->host_next || next < e->next)
		e->next = next;
	e->host_next = true;
	e->deferred |= !gone;
	return true;
}

/* The connection was closed while it was idle, and we did not know yet. */
static bool stale(const struct errand *e, bool reused, const struct out_verdict *v)
{
	return reused && !e->refreshed && lost(v) && !v->maybe && v->at &&
	       (strcmp(v->at, "MAIL FROM") == 0 || strcmp(v->at, "RSET") == 0);
}

static void go_special(struct letter *l, const struct conn *c, size_t host)
{
	struct errand *e = l->errand;
	hostset_drop(&e->hosts);
	e->hosts = hostset_ref(c->hosts);
	e->host = host;
}

/* Those who may hear better things from another host are open again. */
static enum errand_next go_on(struct letter *l, const struct conn *c)
{
	struct errand *e = l->errand;
	if (e->later == 0)
		return ERRAND_DONE;
	for (size_t i = 0; i < l->mail.rcpt_n; i++)
		if (e->mark[i] == MARK_LATER)
			mark(e, i, MARK_OPEN);
	e->from = 0;
	e->tries++;
	e->host_next = false;
	go_special(l, c, e->next);
	return ERRAND_SPECIAL;
}

enum errand_next errand_result(struct letter *l, const struct conn *c, bool reused,
			       const struct out_verdict *v, size_t n)
{
	struct errand *e = l->errand;
	bool progress = false, was_deferred = e->deferred;
	const struct out_verdict *src = NULL, *last = NULL;
	if (n && stale(e, reused, &v[0])) {
		e->refreshed = e->fresh = true;
		go_special(l, c, c->host);
		return ERRAND_SPECIAL;
	}
	for (size_t k = 0; k < n; k++)
		progress |= !too_many(&v[k]);
	for (size_t k = 0; k < n; k++) {
		size_t i = e->part ? e->index[k] : k;
		if (progress && too_many(&v[k]))
			continue; /* stays open */
		keep(l, i, &v[k], src, last);
		src = &v[k];
		last = &l->verdict[i];
		bool deferred = e->deferred;
		e->deferred = was_deferred;
		mark(e, i, elsewhere(e, c, &v[k]) ? MARK_LATER : MARK_DONE);
		e->deferred |= deferred;
	}
	return e->open ? ERRAND_MORE : go_on(l, c);
}

void errand_fail(struct letter *l, const struct out_verdict *v)
{
	struct errand *e = l->errand;
	const struct out_verdict *last = NULL;
	for (size_t i = 0; i < l->mail.rcpt_n; i++) {
		if (e->mark[i] == MARK_OPEN && !l->verdict[i].status[0]) {
			keep(l, i, v, v, last);
			last = &l->verdict[i];
		}
		mark(e, i, MARK_DONE);
	}
}

bool errand_untried(const struct letter *l)
{
	for (size_t i = 0; i < l->mail.rcpt_n; i++)
		if (l->verdict[i].status[0])
			return false;
	return true;
}
