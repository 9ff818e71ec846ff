/* What smtpd asks: may this recipient be written to, may this sender be used, and: take this
 * message. A message whose recipients all lie in one shard is committed there; any other is
 * committed once to the queue and fanned out from it. */
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "stored/dir.h"
#include "stored/mail.h"
#include "stored/sql.h"
#include "stored/srs.h"

enum { RCPTS_MAX = 10000, TARGETS_MAX = 100000, ADDR_MAX = 1024 };

/* The grant of a request, when it has one. False: answered. */
static bool granted(struct request *rq, struct slice s, struct grant *g)
{
	*g = (struct grant){0};
	if (s.len == 0 || grant_check(s, conn_role(rq->conn), g))
		return true;
	request_error(rq, ERR_GRANT, "the login is no longer valid");
	return false;
}

/* --- rcpt_check ---------------------------------------------------------- */

struct check {
	struct request *rq;
	struct route route;
	struct route_rcpt rcpt;
	uint64_t size;
	size_t at; /* the target whose shard is being asked */
	enum ipc_err err;
};

static void check_quota(struct check *k);

static void check_answer(struct check *k)
{
	struct msg_rcpt_ok ok = {.kind = k->rcpt.to.kind, .canonical = k->rcpt.to.canonical};
	request_reply(k->rq, MSG_rcpt_ok, &ok);
}

static enum ipc_err quota_run(struct base *b, struct op *op)
{
	struct check *k = op->arg;
	const struct account *a = &k->rcpt.account[k->at];
	db_start(b->db, SQL_SHARD_OWNER);
	db_u64(b->db, a->id);
	enum db_result r = db_step(b->db);
	uint64_t used = r == DB_ROW ? db_col_u64(b->db, 1) : 0;
	db_reset(b->db);
	if (r != DB_ROW && r != DB_DONE)
		return work_err(b, r);
	/* Without a size, a full mailbox refuses and any other may be tried. */
	uint64_t need = k->size ? k->size : 1;
	return need > a->quota || used > a->quota - need ? ERR_QUOTA : ERR_OK;
}

static void quota_done(struct op *op)
{
	struct check *k = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK) {
		request_error(k->rq, e, e == ERR_QUOTA ? "the mailbox is full" : NULL);
		return;
	}
	k->at++;
	check_quota(k);
}

static void check_quota(struct check *k)
{
	while (k->at < k->rcpt.to.n && k->rcpt.account[k->at].quota == 0)
		k->at++;
	if (k->at == k->rcpt.to.n) {
		check_answer(k);
		return;
	}
	struct op *op = op_new(0);
	op->run = quota_run;
	op->done = quota_done;
	op->arg = k;
	if (!work_read(k->rcpt.account[k->at].shard, op)) {
		op_free(op);
		request_error(k->rq, ERR_TEMP, "the store is busy");
	}
}

static void check_routed(struct route *r)
{
	struct check *k = r->arg;
	enum ipc_err e = r->err != ERR_OK ? r->err : k->rcpt.err;
	if (e != ERR_OK)
		request_error(k->rq, e, r->err != ERR_OK ? r->text : k->rcpt.text);
	else
		check_quota(k);
}

void op_rcpt_check(struct request *rq)
{
	const struct msg_rcpt_check *m = rq->msg;
	struct grant g;
	if (!granted(rq, m->grant, &g))
		return;
	if (m->rcpt.len == 0 || m->rcpt.len > ADDR_MAX) {
		request_error(rq, ERR_BAD, "no address");
		return;
	}
	struct check *k = pool_alloc(rq->pool, sizeof(*k));
	k->rq = rq;
	k->size = m->size;
	k->rcpt.addr = m->rcpt;
	k->route = (struct route){.pool = rq->pool,
				  .rcpt = &k->rcpt,
				  .n = 1,
				  .submitter = g.account,
				  .bounce = m->sender.len == 0,
				  .done = check_routed,
				  .arg = k};
	route_start(&k->route);
}

/* --- sender_check -------------------------------------------------------- */

static void sender_routed(struct route *r)
{
	struct request *rq = r->arg;
	struct msg_ok ok = {0};
	if (r->err == ERR_OK)
		request_reply(rq, MSG_ok, &ok);
	else
		request_error(rq, r->err, r->text);
}

void op_sender_check(struct request *rq)
{
	const struct msg_sender_check *m = rq->msg;
	struct grant g;
	if (!granted(rq, m->grant, &g))
		return;
	if (!g.account || m->sender.len > ADDR_MAX) {
		request_error(rq, ERR_DENIED, "log in first");
		return;
	}
	struct route *r = pool_alloc(rq->pool, sizeof(*r));
	*r = (struct route){.pool = rq->pool,
			    .submitter = g.account,
			    .sender = m->sender,
			    .check_sender = true,
			    .done = sender_routed,
			    .arg = rq};
	route_start(r);
}

/* --- deliver ------------------------------------------------------------- */

static struct {
	uint64_t stored, queued, refused, bytes;
} counts;

void mail_stats(struct buf *out)
{
	buf_printf(out,
		   "stored_messages_stored_total %llu\nstored_messages_queued_total %llu\n"
		   "stored_messages_refused_total %llu\nstored_message_bytes_total %llu\n",
		   (unsigned long long)counts.stored, (unsigned long long)counts.queued,
		   (unsigned long long)counts.refused, (unsigned long long)counts.bytes);
}

struct intake { /* a message being taken in; in the request's pool */
	struct request *rq;
	const struct msg_deliver *m;
	struct grant grant;
	struct route route;
	uint64_t now_ms;
	/* Places of delivery, each once however many recipients lead to it. */
	struct queue_to *to;
	uint64_t *quota;
	size_t n, cap;
	struct map *seen;
	struct drop_group *group; /* a recipient's places */
	bool outside, inside;     /* what the places are */
	bool several;             /* several shards */
	struct delivery delivery;
	struct queue_add add;
};

static void answer(struct intake *j, enum ipc_err e, const char *text)
{
	const struct msg_deliver *m = j->m;
	counts.refused += e != ERR_OK;
	struct row_rcpt_result *res = pool_alloc(j->rq->pool, (m->rcpts_n + 1) * sizeof(*res));
	for (uint32_t i = 0; i < m->rcpts_n; i++) {
		enum ipc_err ri = e;
		const char *ti = text;
		if (e == ERR_OK && m->each) {
			ri = j->route.rcpt[i].err;
			ti = j->route.rcpt[i].text;
		}
		if (ri != ERR_OK && !ti)
			ti = ri == ERR_QUOTA ? "the mailbox is full" : ipc_err_name(ri);
		res[i] = (struct row_rcpt_result){ri, slice_of(ti ? ti : "")};
	}
	struct msg_delivered d = {.results = res, .results_n = m->rcpts_n};
	request_reply(j->rq, MSG_delivered, &d);
}

static struct queue_to *add_place(struct intake *j)
{
	size_t cap = j->cap; /* of both */
	j->to = pool_grow(j->rq->pool, j->to, j->n, &cap, sizeof(*j->to));
	j->quota = pool_grow(j->rq->pool, j->quota, j->n, &j->cap, sizeof(*j->quota));
	j->quota[j->n] = 0;
	return &j->to[j->n++];
}

/* Finds or adds the place; its index. */
static uint32_t place(struct intake *j, const struct row_rcpt *rc, const struct target *t,
		      const struct account *a)
{
	char key[ADDR_MAX + 1];
	size_t len;
	if (t->account) {
		memcpy(key, &t->account, len = sizeof(t->account));
	} else {
		len = t->address.len < ADDR_MAX ? t->address.len : ADDR_MAX;
		key[0] = '@'; /* no account's key has this length with these bytes */
		memcpy(key + 1, t->address.p, len);
		str_lowern(key + 1, len++);
		if (len == sizeof(t->account))
			key[len++] = '\0';
	}
	void *have = map_get(j->seen, key, len);
	if (have)
		return (uint32_t)((uintptr_t)have - 1);
	*add_place(j) = (struct queue_to){.addr = t->address,
					  .notify = rc->notify,
					  .orcpt = rc->orcpt,
					  .outside = t->account == 0,
					  .account = t->account,
					  .shard = t->shard};
	j->quota[j->n - 1] = t->account ? a->quota : 0;
	j->outside = j->outside || t->account == 0;
	j->inside = j->inside || t->account != 0;
	if (t->account && (t->shard != j->to[0].shard || j->to[0].outside))
		j->several = true;
	map_set(j->seen, key, len, (void *)(uintptr_t)j->n);
	return (uint32_t)j->n - 1;
}

/* The DSN options of an alias's targets. One that has several is success enough: its sender is told
 * of that, and not of each target that the sender need not know. */
static struct row_rcpt options(struct intake *j, const struct row_rcpt *rc,
			       const struct route_rcpt *to)
{
	struct row_rcpt out = *rc;
	if (to->to.kind != RCPT_ALIAS)
		return out;
	if (!out.orcpt.len)
		out.orcpt = dsn_orcpt(j->rq->pool, rc->addr);
	if (to->to.n < 2 || !(rc->notify & NOTIFY_SUCCESS) || !j->m->sender.len)
		return out;
	*add_place(j) = (struct queue_to){
	    .addr = rc->addr, .notify = rc->notify, .orcpt = rc->orcpt, .expanded = true};
	j->several = true; /* to the queue */
	out.notify = dsn_notify(rc->notify);
	return out;
}

/* False: too many. */
static bool gather(struct intake *j)
{
	const struct msg_deliver *m = j->m;
	j->group = pool_alloc(j->rq->pool, (m->rcpts_n + 1) * sizeof(*j->group));
	j->seen = map_new();
	for (uint32_t i = 0; i < m->rcpts_n && j->n <= TARGETS_MAX; i++) {
		struct route_rcpt *rc = &j->route.rcpt[i];
		j->group[i].err = rc->err;
		if (rc->err != ERR_OK)
			continue;
		uint32_t *drop = pool_alloc(j->rq->pool, rc->to.n * sizeof(*drop));
		struct row_rcpt opt = options(j, &m->rcpts[i], rc);
		for (size_t k = 0; k < rc->to.n; k++)
			drop[k] = place(j, &opt, &rc->to.t[k], &rc->account[k]);
		j->group[i].drop = drop;
		j->group[i].n = rc->to.n;
	}
	map_free(&j->seen);
	return j->n <= TARGETS_MAX;
}

/* --- one shard: there --- */

static void delivered(struct delivery *d, enum ipc_err e, void *arg)
{
	struct intake *j = arg;
	for (uint32_t i = 0; i < j->m->rcpts_n && e == ERR_OK; i++)
		if (j->route.rcpt[i].err == ERR_OK)
			j->route.rcpt[i].err = d->group[i].err;
	if (e == ERR_OK) {
		counts.stored++;
		counts.bytes += d->size;
	}
	answer(j, e, NULL);
}

static void to_shard(struct intake *j)
{
	struct delivery *d = &j->delivery;
	struct drop *drop = pool_alloc(j->rq->pool, j->n * sizeof(*drop));
	for (size_t i = 0; i < j->n; i++)
		drop[i] = (struct drop){.account = j->to[i].account, .quota = j->quota[i]};
	*d = (struct delivery){.id = j->m->id,
			       .body = j->m->body,
			       .meta = j->m->meta,
			       .size = j->add.size,
			       .now_ms = j->now_ms,
			       .drop = drop,
			       .n = j->n,
			       .group = j->group,
			       .groups = j->m->rcpts_n,
			       .one_fate = !j->m->each};
	deliver_start(j->to[0].shard, d, delivered, j);
}

/* --- any other: to the queue --- */

/* A stranger's mail that an alias sends outside leaves from an address of ours (srs.h): the host
 * that takes it need not believe that we may send for the stranger. */
static enum ipc_err forward(struct base *b, struct intake *j, struct pool *pool)
{
	struct addr a;
	struct domain d;
	struct slice ours = slice_of(conf.srs_domain), sender = j->m->sender;
	j->add.relay_sender = SLICE("");
	if (!dir_addr(pool, sender, &a) || slice_eq(a.domain, ours))
		return ERR_OK;
	enum ipc_err e = dir_domain_get(b, pool, a.domain, &d);
	if (e != ERR_NOTFOUND)
		return e;
	if (!srs_forward(j->rq->pool, sender, ours, j->now_ms, &j->add.relay_sender))
		log_event(LOG_LV_INFO, NULL, "srs-not-possible", LSL("id", j->m->id),
			  LSL("sender", sender));
	return ERR_OK;
}

static enum ipc_err queue_run(struct base *b, struct op *op)
{
	struct intake *j = op->arg;
	enum ipc_err e = ERR_OK;
	if (j->outside && !j->grant.account && j->m->sender.len && conf.srs_domain)
		e = forward(b, j, op->pool);
	return e == ERR_OK ? queue_add(b, &j->add) : e;
}

static void queued(struct op *op)
{
	struct intake *j = op->arg;
	enum ipc_err e = op->err;
	watch_owed(op);
	op_free(op);
	if (e == ERR_OK) {
		counts.queued++;
		counts.bytes += j->add.size;
		if (j->inside)
			fanout_kick();
		if (j->outside)
			watch_notify(WATCH_QUEUE, QUEUE_WATCH_DUE, j->add.item);
	}
	/* Once more the same message: it is there. */
	answer(j, e == ERR_EXISTS ? ERR_OK : e, NULL);
}

static void to_queue(struct intake *j)
{
	j->add.to = j->to;
	j->add.n = j->n;
	struct op *op = op_new(0);
	op->run = queue_run;
	op->done = queued;
	op->arg = j;
	if (work_write(WORK_DIRECTORY, op))
		return;
	op_free(op);
	answer(j, ERR_TEMP, "the store is busy");
}

/* --- */

/* A notice of success is owed by the queue alone. */
static bool wants_notice(const struct intake *j)
{
	bool any = false;
	for (uint32_t i = 0; i < j->m->rcpts_n && j->m->sender.len; i++)
		any = any || (j->m->rcpts[i].notify & NOTIFY_SUCCESS);
	return any;
}

static void deliver_routed(struct route *r)
{
	struct intake *j = r->arg;
	if (r->err != ERR_OK) {
		answer(j, r->err, r->text);
		return;
	}
	for (size_t i = 0; i < r->n && !j->m->each; i++)
		if (r->rcpt[i].err != ERR_OK) {
			answer(j, r->rcpt[i].err, r->rcpt[i].text);
			return;
		}
	if (!gather(j)) {
		answer(j, ERR_LIMIT, "too many recipients");
		return;
	}
	if (j->n == 0) {
		answer(j, ERR_OK, NULL);
		return;
	}
	enum ipc_err e =
	    j->grant.account ? dir_send_take(j->grant.account, (unsigned)r->n) : ERR_OK;
	if (e != ERR_OK)
		answer(j, e, "this account has sent too much for now");
	else if (j->outside || j->several || j->m->hold_until_ms > j->now_ms || wants_notice(j))
		to_queue(j);
	else
		to_shard(j);
}

static bool well_formed(const struct msg_deliver *m)
{
	bool ok = m->id.len > 0 && m->id.len <= DELIVERY_ID_MAX && str_print(m->id) &&
		  m->rcpts_n > 0 && m->rcpts_n <= RCPTS_MAX && m->sender.len <= ADDR_MAX &&
		  m->hold_until_ms <= INT64_MAX && m->deliver_by_ms <= INT64_MAX;
	for (uint32_t i = 0; i < m->rcpts_n && ok; i++)
		ok = m->rcpts[i].addr.len > 0 && m->rcpts[i].addr.len <= ADDR_MAX;
	return ok;
}

void op_deliver(struct request *rq)
{
	const struct msg_deliver *m = rq->msg;
	struct grant g;
	if (!granted(rq, m->grant, &g))
		return;
	bool submitted = (m->flags & DELIVER_SUBMITTED) || g.account;
	if (!well_formed(m) || (submitted && !g.account)) {
		request_error(rq, ERR_BAD, "no message that can be delivered");
		return;
	}
	struct intake *j = pool_alloc(rq->pool, sizeof(*j));
	j->rq = rq;
	j->m = m;
	j->grant = g;
	j->now_ms = clock_ms();
	j->add = (struct queue_add){.id = m->id,
				    .sid = m->sid,
				    .sender = m->sender,
				    .envid = m->envid,
				    .meta = m->meta,
				    .account = g.account,
				    .flags = m->flags,
				    .now_ms = j->now_ms,
				    .hold_until_ms = m->hold_until_ms,
				    .deliver_by_ms = m->deliver_by_ms,
				    .body = m->body,
				    .size = m->body.fd > 0 ? m->body.size : m->body.bytes.len};
	j->route =
	    (struct route){.pool = rq->pool,
			   .rcpt = pool_alloc(rq->pool, m->rcpts_n * sizeof(struct route_rcpt)),
			   .n = m->rcpts_n,
			   .submitter = g.account,
			   .sender = m->sender,
			   .check_sender = submitted,
			   .bounce = m->sender.len == 0,
			   .done = deliver_routed,
			   .arg = j};
	for (uint32_t i = 0; i < m->rcpts_n; i++)
		j->route.rcpt[i].addr = m->rcpts[i].addr;
	route_start(&j->route);
}
