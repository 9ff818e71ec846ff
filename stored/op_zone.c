/* Zones for dnsd and hamletctl. A draft belongs to the connection that began it. */
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "stored/zone.h"

enum { DRAFTS_MAX = 64 }; /* of a connection */

struct held { /* a draft of a connection */
	struct list link;
	struct conn *conn;
	struct zone_draft d;
	bool busy, closed;
	uint8_t name[DNS_NAME_MAX];
};
static struct list helds = {&helds, &helds};

struct task { /* a request under way, in its pool */
	struct request *rq;
	struct slice name;
	struct zone z;
	struct zone *zones;
	size_t zones_n;
	struct msg_zone_chunks chunks;
	struct msg_zone_steps steps;
	struct zone_result result;
	struct held *held;
	struct zone_draft after; /* the held draft's as it will be */
	const char *why;
	enum ipc_err (*run)(struct zone_tx *t, struct task *task);
	void (*answer)(struct task *task);
};

static void held_free(struct held *h);

/* --- operations ------------------------------------------------------------------------------- */

static enum ipc_err on_thread(struct base *b, struct op *op)
{
	struct task *task = op->arg;
	struct zone_tx t = {b, task->rq->pool, clock_ms(), NULL};
	enum ipc_err e = task->run(&t, task);
	task->why = t.why;
	return e;
}

static void release(struct held *h, struct zone_draft *after)
{
	h->busy = false;
	if (after)
		h->d = *after;
	if (h->closed || !h->d.generation) /* it could not be begun */
		held_free(h);
}

static void fail(struct task *task, enum ipc_err e, const char *why)
{
	if (task->held)
		release(task->held, NULL);
	request_error(task->rq, e, why);
}

static void on_loop(struct op *op)
{
	struct task *task = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_OK) {
		task->answer(task);
		return;
	}
	fail(task, e, task->why);
}

static struct task *task_new(struct request *rq,
			     enum ipc_err (*run)(struct zone_tx *t, struct task *task),
			     void (*answer)(struct task *task))
{
	struct task *task = pool_alloc(rq->pool, sizeof(*task));
	*task = (struct task){.rq = rq, .run = run, .answer = answer};
	return task;
}

static void start(struct task *task, bool write)
{
	struct op *op = op_new(0);
	op->run = on_thread;
	op->done = on_loop;
	op->arg = task;
	if (write ? work_write(WORK_DIRECTORY, op) : work_read(WORK_DIRECTORY, op))
		return;
	op_free(op);
	fail(task, ERR_TEMP, "the store is busy");
}

/* The zone's name of a message; answers when it is none. */
static bool named(struct task *task, struct slice name)
{
	if (zone_name(task->rq->pool, name, &task->name))
		return true;
	request_error(task->rq, ERR_BAD, "that is no name of a zone");
	return false;
}

static struct row_zone row_of(const struct zone *z)
{
	return (struct row_zone){.id = z->id,
				 .name = z->name,
				 .source = (uint32_t)z->source,
				 .serial = z->serial,
				 .records = z->records,
				 .size = z->bytes,
				 .changed_ms = z->changed_ms};
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum ipc_err list_run(struct zone_tx *t, struct task *task)
{
	const struct msg_zone_list *m = task->rq->msg;
	task->zones = pool_alloc(t->pool, ZONE_LIST_MAX * sizeof(*task->zones));
	return zone_list(t, m->after, task->zones, ZONE_LIST_MAX, &task->zones_n);
}

static void list_answer(struct task *task)
{
	struct msg_zones m = {.zones_n = (uint32_t)task->zones_n};
	m.zones = pool_alloc(task->rq->pool, (task->zones_n + 1) * sizeof(*m.zones));
	for (size_t i = 0; i < task->zones_n; i++)
		m.zones[i] = row_of(&task->zones[i]);
	request_reply(task->rq, MSG_zones, &m);
}

void op_zone_list(struct request *rq)
{
	const struct msg_zone_list *m = rq->msg;
	if (m->after > INT64_MAX)
		request_error(rq, ERR_BAD, "no such zone");
	else
		start(task_new(rq, list_run, list_answer), false);
}

static enum ipc_err read_run(struct zone_tx *t, struct task *task)
{
	const struct msg_zone_read *m = task->rq->msg;
	bool more = false;
	struct msg_zone_chunks *c = &task->chunks;
	enum ipc_err e = zone_get(t, task->name, &task->z);
	if (e == ERR_OK)
		e = zone_pieces(t, &task->z, m->from, m->max, &c->chunks, &c->chunks_n, &more,
				&c->next);
	c->more = more;
	return e;
}

static void read_answer(struct task *task)
{
	struct row_zone row = row_of(&task->z);
	task->chunks.zone = &row;
	task->chunks.zone_n = 1;
	request_reply(task->rq, MSG_zone_chunks, &task->chunks);
}

void op_zone_read(struct request *rq)
{
	const struct msg_zone_read *m = rq->msg;
	struct task *task = task_new(rq, read_run, read_answer);
	if (m->from.len > ZONE_KEY_MAX)
		request_error(rq, ERR_BAD, "no such key");
	else if (named(task, m->zone))
		start(task, false);
}

static enum ipc_err changes_run(struct zone_tx *t, struct task *task)
{
	const struct msg_zone_changes *m = task->rq->msg;
	enum ipc_err e = zone_get(t, task->name, &task->z);
	return e == ERR_OK
		   ? zone_steps(t, &task->z, m->serial, &task->steps.steps, &task->steps.steps_n)
		   : e;
}

static void changes_answer(struct task *task)
{
	task->steps.serial = task->z.serial;
	request_reply(task->rq, MSG_zone_steps, &task->steps);
}

void op_zone_changes(struct request *rq)
{
	const struct msg_zone_changes *m = rq->msg;
	struct task *task = task_new(rq, changes_run, changes_answer);
	if (named(task, m->zone))
		start(task, false);
}

/* --- cleaning up ------------------------------------------------------------------------------ */

struct cleaning {
	struct op op;
	bool all, more; /* all: drafts of an earlier process go first */
};
static bool cleaning, again;

static enum ipc_err clean_run(struct base *b, struct op *op)
{
	struct cleaning *c = (struct cleaning *)op;
	struct zone_tx t = {b, op->pool, clock_ms(), NULL};
	enum ipc_err e = c->all ? zone_gone_all(&t) : ERR_OK;
	return e == ERR_OK ? zone_clean(&t, &c->more) : e;
}

static void clean(bool all);

static void clean_done(struct op *op)
{
	struct cleaning *c = (struct cleaning *)op;
	bool more = (op->err == ERR_OK && c->more) || again;
	op_free(op);
	cleaning = again = false;
	if (more)
		clean(false);
}

static void clean(bool all)
{
	again = cleaning;
	if (cleaning)
		return;
	struct cleaning *c = (struct cleaning *)op_new(sizeof(*c));
	c->op.run = clean_run;
	c->op.done = clean_done;
	c->all = all;
	cleaning = work_write(WORK_DIRECTORY, &c->op);
	if (!cleaning)
		op_free(&c->op);
}

void zone_start(void)
{
	clean(true);
}

/* --- whole zones ------------------------------------------------------------------------------ */

struct dropping {
	struct op op;
	uint64_t generation;
};

static enum ipc_err drop_run(struct base *b, struct op *op)
{
	struct zone_tx t = {b, op->pool, clock_ms(), NULL};
	return zone_gone(&t, ((struct dropping *)op)->generation, false);
}

static void drop_done(struct op *op)
{
	op_free(op);
	clean(false);
}

static void drop(uint64_t generation)
{
	struct dropping *d = (struct dropping *)op_new(sizeof(*d));
	d->op.run = drop_run;
	d->op.done = drop_done;
	d->generation = generation;
	if (generation && !work_write(WORK_DIRECTORY, &d->op))
		generation = 0; /* the next start removes it */
	if (!generation)
		op_free(&d->op);
}

static void held_free(struct held *h)
{
	list_del(&h->link);
	drop(h->d.generation);
	free(h);
}

void op_zone_closed(struct conn *c)
{
	list_each_safe(it, nx, &helds)
	{
		struct held *h = list_entry(it, struct held, link);
		if (h->conn != c)
			continue;
		h->closed = true;
		if (!h->busy)
			held_free(h);
	}
}

/* The connection's draft, taken for an operation; answers when there is none. */
static bool take(struct task *task, uint64_t draft)
{
	list_each(it, &helds)
	{
		struct held *h = list_entry(it, struct held, link);
		if (h->conn != task->rq->conn || h->d.generation != draft || !draft)
			continue;
		if (h->busy) {
			request_error(task->rq, ERR_INUSE, "the draft is being worked on");
			return false;
		}
		h->busy = true;
		task->held = h;
		return true;
	}
	request_error(task->rq, ERR_NOTFOUND, "no such draft");
	return false;
}

static enum ipc_err begin_run(struct zone_tx *t, struct task *task)
{
	task->after = task->held->d;
	return zone_draft_begin(t, &task->after);
}

static void begin_answer(struct task *task)
{
	struct msg_ok ok = {.value = task->after.generation};
	release(task->held, &task->after);
	request_reply(task->rq, MSG_ok, &ok);
}

static unsigned held_by(const struct conn *c)
{
	unsigned n = 0;
	list_each(it, &helds) n += list_entry(it, struct held, link)->conn == c;
	return n;
}

/* Who may change what comes from where. */
static bool allowed(struct task *task, uint64_t source)
{
	enum role role = conn_role(task->rq->conn);
	return role == ROLE_CTL ? source == ZONE_STORE : source == ZONE_SECONDARY;
}

void op_zone_begin(struct request *rq)
{
	const struct msg_zone_begin *m = rq->msg;
	struct task *task = task_new(rq, begin_run, begin_answer);
	if (!allowed(task, m->source)) {
		request_error(rq, ERR_DENIED, "not a zone that this role may write");
	} else if (held_by(rq->conn) >= DRAFTS_MAX) {
		request_error(rq, ERR_LIMIT, "too many drafts");
	} else if (named(task, m->zone)) {
		struct held *h = mem_alloc(sizeof(*h));
		h->conn = rq->conn;
		h->busy = true;
		memcpy(h->name, task->name.p, task->name.len);
		h->d.name = (struct slice){(const char *)h->name, task->name.len};
		h->d.source = m->source;
		list_add_tail(&helds, &h->link);
		task->held = h;
		start(task, true);
	}
}

static enum ipc_err put_run(struct zone_tx *t, struct task *task)
{
	const struct msg_zone_put *m = task->rq->msg;
	task->after = task->held->d;
	return zone_draft_put(t, &task->after, m->chunks, m->chunks_n);
}

static void put_answer(struct task *task)
{
	struct msg_ok ok = {.value = task->after.records};
	release(task->held, &task->after);
	request_reply(task->rq, MSG_ok, &ok);
}

void op_zone_put(struct request *rq)
{
	const struct msg_zone_put *m = rq->msg;
	struct task *task = task_new(rq, put_run, put_answer);
	if (take(task, m->draft))
		start(task, true);
}

void zone_changed(struct pool *pool, struct slice name, const struct zone_result *r)
{
	log_event(LOG_LV_INFO, NULL, "zone-changed", LS("zone", zone_text(pool, name)),
		  LU("serial", r->serial), LU("deleted", r->deleted), LU("added", r->added),
		  LU("records", r->records));
	watch_notify(WATCH_ZONE, r->id, r->serial);
	watch_notify(WATCH_ZONE, 0, r->id);
}

static void answer_result(struct task *task)
{
	const struct zone_result *r = &task->result;
	struct msg_zone_changed m = {.id = r->id,
				     .before = r->before,
				     .serial = r->serial,
				     .known = r->known,
				     .deleted = r->deleted,
				     .added = r->added,
				     .records = r->records};
	/* A secondary may be fetched again with the serial that it had. */
	if (r->fresh || r->serial != r->before || r->deleted || r->added)
		zone_changed(task->rq->pool, task->name, r);
	request_reply(task->rq, MSG_zone_changed, &m);
}

static enum ipc_err commit_run(struct zone_tx *t, struct task *task)
{
	return zone_draft_commit(t, &task->held->d, &task->result);
}

static void commit_answer(struct task *task)
{
	struct held *h = task->held;
	task->name = slice_copy(task->rq->pool, h->d.name);
	h->d.generation = 0; /* it is the zone's now, or marked to go */
	held_free(h);
	clean(false);
	answer_result(task);
}

void op_zone_commit(struct request *rq)
{
	const struct msg_zone_commit *m = rq->msg;
	struct task *task = task_new(rq, commit_run, commit_answer);
	if (take(task, m->draft))
		start(task, true);
}

void op_zone_abort(struct request *rq)
{
	const struct msg_zone_abort *m = rq->msg;
	struct task *task = task_new(rq, NULL, NULL);
	if (!take(task, m->draft))
		return;
	held_free(task->held);
	request_reply(rq, MSG_ok, &(struct msg_ok){0});
}

/* --- edits ------------------------------------------------------------------------------------ */

static enum ipc_err edit_run(struct zone_tx *t, struct task *task)
{
	const struct msg_zone_edit *m = task->rq->msg;
	enum ipc_err e = zone_get(t, task->name, &task->z);
	if (e == ERR_OK && task->z.source != ZONE_STORE && conn_role(task->rq->conn) == ROLE_CTL)
		return zone_say(t, ERR_DENIED, "zone %s is a secondary: edit it at its primary",
				zone_text(t->pool, task->name));
	if (e == ERR_OK && m->serial != UINT64_MAX && m->serial != task->z.serial)
		return zone_say(t, ERR_INUSE, "the zone was changed meanwhile");
	enum zone_rules rules =
	    task->z.source == ZONE_SECONDARY ? ZONE_RULES_EXACT : ZONE_RULES_EDIT;
	return e == ERR_OK ? zone_edit(t, &task->z, rules, m->ops, m->ops_n, &task->result) : e;
}

void op_zone_edit(struct request *rq)
{
	const struct msg_zone_edit *m = rq->msg;
	struct task *task = task_new(rq, edit_run, answer_result);
	if (m->ops_n > ZONE_EDIT_OPS)
		request_error(rq, ERR_LIMIT, "too many changes at once");
	else if (named(task, m->zone))
		start(task, true);
}

static enum ipc_err delete_run(struct zone_tx *t, struct task *task)
{
	enum ipc_err e = zone_get(t, task->name, &task->z);
	/* An administrator may also forget a secondary: dnsd fetches it again where it is one. */
	if (e == ERR_OK && conn_role(task->rq->conn) != ROLE_CTL && !allowed(task, task->z.source))
		return ERR_DENIED;
	return e == ERR_OK ? zone_delete(t, &task->z) : e;
}

static void delete_answer(struct task *task)
{
	log_event(LOG_LV_INFO, NULL, "zone-deleted",
		  LS("zone", zone_text(task->rq->pool, task->name)));
	clean(false);
	watch_notify(WATCH_ZONE, task->z.id, 0);
	watch_notify(WATCH_ZONE, 0, task->z.id);
	request_reply(task->rq, MSG_ok, &(struct msg_ok){0});
}

void op_zone_delete(struct request *rq)
{
	const struct msg_zone_delete *m = rq->msg;
	struct task *task = task_new(rq, delete_run, delete_answer);
	if (named(task, m->zone))
		start(task, true);
}
