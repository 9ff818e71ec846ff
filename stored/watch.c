/* Watches: who wants to hear of a change that was committed. Loop's thread. */
#include <stdlib.h>
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "stored/mail.h"
#include "stored/sql.h"

/* What all connections of a role may watch: a taken-over daemon does not fill the memory. */
enum { WATCHES_MAX = 1 << 18 };

struct watch {
	struct list of_object, of_conn;
	struct watcher *watcher;
	uint32_t request;
	struct object *object;
	bool armed; /* its right was proved */
};
struct key {
	uint64_t object;
	uint64_t kind;
};
struct object {
	struct key key;
	struct list watches;
};
struct watcher { /* a connection */
	struct conn *conn;
	struct list watches;
	struct map *by_request;
};
static struct map *objects, *watchers;
static unsigned of_role[ROLE_COUNT];

static void drop(struct watch *w)
{
	struct object *o = w->object;
	of_role[conn_role(w->watcher->conn)]--;
	map_del(w->watcher->by_request, &w->request, sizeof(w->request));
	list_del(&w->of_object);
	list_del(&w->of_conn);
	free(w);
	if (list_empty(&o->watches)) {
		map_del(objects, &o->key, sizeof(o->key));
		free(o);
	}
}

static struct watch *find(struct conn *c, uint32_t request)
{
	struct watcher *wr = watchers ? map_get(watchers, &c, sizeof(struct conn *)) : NULL;
	return wr ? map_get(wr->by_request, &request, sizeof(request)) : NULL;
}

static struct watch *add(struct conn *c, uint32_t request, struct key key)
{
	if (!objects) {
		objects = map_new();
		watchers = map_new();
	}
	struct object *o = map_get(objects, &key, sizeof(key));
	if (!o) {
		o = mem_alloc(sizeof(*o));
		o->key = key;
		list_init(&o->watches);
		map_set(objects, &key, sizeof(key), o);
	}
	struct watcher *wr = map_get(watchers, &c, sizeof(struct conn *));
	if (!wr) {
		wr = mem_alloc(sizeof(*wr));
		wr->conn = c;
		list_init(&wr->watches);
		wr->by_request = map_new();
		map_set(watchers, &c, sizeof(struct conn *), wr);
	}
	struct watch *w = mem_alloc(sizeof(*w));
	w->watcher = wr;
	w->request = request;
	w->object = o;
	of_role[conn_role(c)]++;
	map_set(wr->by_request, &request, sizeof(request), w);
	list_add_tail(&o->watches, &w->of_object);
	list_add_tail(&wr->watches, &w->of_conn);
	return w;
}

void watch_closed(struct conn *c)
{
	struct watcher *wr = watchers ? map_del(watchers, &c, sizeof(struct conn *)) : NULL;
	if (!wr)
		return;
	list_each_safe(it, nx, &wr->watches) drop(list_entry(it, struct watch, of_conn));
	map_free(&wr->by_request);
	free(wr);
}

void watch_notify(enum watch_kind kind, uint64_t object, uint64_t value)
{
	struct key key = {object, kind};
	struct object *o = objects ? map_get(objects, &key, sizeof(key)) : NULL;
	if (!o)
		return;
	struct msg_watch_event ev = {.kind = kind, .object = object, .value = value};
	list_each_safe(it, nx, &o->watches)
	{
		struct watch *w = list_entry(it, struct watch, of_object);
		if (w->armed)
			conn_reply(w->watcher->conn, w->request, MSG_watch_event, &ev);
	}
}

void watch_owed(const struct op *op)
{
	if (op->err == ERR_OK && op->owed_ms)
		watch_notify(WATCH_QUEUE, QUEUE_WATCH_NOTICE, op->owed_ms);
}

/* --- requests ------------------------------------------------------------ */

struct asking {
	struct op op;
	struct request *rq;
	uint64_t account, mailbox;
	uint64_t modseq;
};

static enum ipc_err run(struct base *b, struct op *op)
{
	struct asking *a = (struct asking *)op;
	db_start(b->db, SQL_SHARD_MAILBOX);
	db_u64(b->db, mailbox_number(a->mailbox));
	enum db_result r = db_step(b->db);
	bool own = r == DB_ROW && db_col_u64(b->db, 0) == a->account;
	if (own)
		a->modseq = db_col_u64(b->db, 5);
	db_reset(b->db);
	if (r != DB_ROW && r != DB_DONE)
		return work_err(b, r);
	return own ? ERR_OK : ERR_NOTFOUND;
}

static void answer(struct request *rq, enum ipc_err e, const char *text, uint64_t value)
{
	struct watch *w = find(rq->conn, rq->id);
	if (w && e == ERR_OK)
		w->armed = true;
	else if (w)
		drop(w);
	if (e == ERR_OK)
		request_reply(rq, MSG_ok, &(struct msg_ok){.value = value});
	else
		request_error(rq, e, text);
}

static void done(struct op *op)
{
	struct asking *a = (struct asking *)op;
	answer(a->rq, op->err, op->err == ERR_NOTFOUND ? "no such mailbox" : NULL, a->modseq);
	op_free(op);
}

static void watch_mailbox(struct request *rq)
{
	const struct msg_watch *m = rq->msg;
	struct grant g;
	if (!grant_check(m->grant, conn_role(rq->conn), &g)) {
		request_error(rq, ERR_GRANT, "the login is no longer valid");
		return;
	}
	struct asking *a = (struct asking *)op_new(sizeof(*a));
	a->op.run = run;
	a->op.done = done;
	a->rq = rq;
	a->account = g.account;
	a->mailbox = m->object;
	/* Watched before it is looked at: a change in between is seen by one of the two. */
	add(rq->conn, rq->id, (struct key){m->object, WATCH_MAILBOX});
	if (mailbox_shard(m->object) == g.shard && work_read(g.shard, &a->op))
		return;
	op_free(&a->op);
	if (mailbox_shard(m->object) == g.shard)
		answer(rq, ERR_TEMP, "the store is busy", 0);
	else
		answer(rq, ERR_NOTFOUND, "no such mailbox", 0);
}

void op_watch(struct request *rq)
{
	const struct msg_watch *m = rq->msg;
	enum role role = conn_role(rq->conn);
	if (find(rq->conn, rq->id)) {
		request_error(rq, ERR_BAD, "this request's number is a watch already");
	} else if (of_role[role] >= WATCHES_MAX) {
		request_error(rq, ERR_LIMIT, "too many watches");
	} else if (m->kind == WATCH_MAILBOX) {
		watch_mailbox(rq);
	} else if ((m->kind == WATCH_QUEUE && (role == ROLE_SMTPD || role == ROLE_CTL)) ||
		   (m->kind == WATCH_ZONE && (role == ROLE_DNSD || role == ROLE_CTL))) {
		add(rq->conn, rq->id, (struct key){m->object, m->kind});
		answer(rq, ERR_OK, NULL, 0);
	} else {
		request_error(rq, ERR_DENIED, "nothing that this role may watch");
	}
}

void op_unwatch(struct request *rq)
{
	const struct msg_unwatch *m = rq->msg;
	struct watch *w = find(rq->conn, m->request);
	if (w)
		drop(w);
	request_reply(rq, MSG_ok, &(struct msg_ok){0});
}
