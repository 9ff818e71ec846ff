/* POP3: the maildrop's lock, its list, and what QUIT does.
 *
 * Locks live on the loop's thread, one an account, under the session's own random word: the same
 * word again is a reconnect and is granted. A restart of stored forgets them; who comes back with
 * its word has the maildrop again unless another session was faster. A lock goes with QUIT, with
 * pop_close, and with the connection that holds it.
 *
 * When a login delay is set, the time of a login is in memory at once and goes to the shard with
 * the next commit, which nobody waits for: a restart forgets the logins of its last moment. */
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "stored/dir.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum {
	LOCK_MIN = 8,
	LOCK_MAX = 64,
	LIST_MAX = 200000, /* messages: as many as a frame holds; the oldest come first */
	UIDS_MAX = LIST_MAX,
};

struct lock {
	struct list link;
	uint64_t account;
	struct conn *conn;
	size_t len;
	char word[LOCK_MAX];
};
static struct {
	struct map *by_account;
	struct list all;
	struct map *last_login; /* account -> ms, of those with a login delay */
} pop;

struct session { /* a request under way, in its pool */
	struct request *rq;
	struct grant grant;
	struct account account;
	uint64_t now_ms, generation;
	bool fresh; /* the lock was taken by this request */
	void (*next)(struct session *s);
	enum ipc_err err;
	/* open */
	struct msg_pop_list list;
	bool absent;        /* the maildrop is still to be made */
	uint64_t polled_ms; /* its last login as the shard has it */
	/* quit */
	struct change change;
};

/* --- locks --------------------------------------------------------------- */

static struct lock *lock_of(uint64_t account)
{
	return pop.by_account ? map_get(pop.by_account, &account, sizeof(account)) : NULL;
}

static bool lock_is(const struct lock *l, struct slice word)
{
	return l->len == word.len && str_eq_secret(l->word, word.p, word.len);
}

static void lock_free(struct lock *l)
{
	map_del(pop.by_account, &l->account, sizeof(l->account));
	list_del(&l->link);
	free(l);
}

/* False: another session's. */
static bool lock_take(uint64_t account, struct slice word, struct conn *c, bool *fresh)
{
	if (!pop.by_account) {
		pop.by_account = map_new();
		pop.last_login = map_new();
		list_init(&pop.all);
	}
	struct lock *l = lock_of(account);
	*fresh = !l;
	if (l && !lock_is(l, word))
		return false;
	if (!l) {
		l = mem_alloc(sizeof(*l));
		l->account = account;
		l->len = word.len;
		memcpy(l->word, word.p, word.len);
		list_add_tail(&pop.all, &l->link);
		map_set(pop.by_account, &account, sizeof(account), l);
	}
	l->conn = c;
	return true;
}

static void lock_drop(uint64_t account, struct slice word)
{
	struct lock *l = lock_of(account);
	if (l && lock_is(l, word))
		lock_free(l);
}

void op_pop_closed(struct conn *c)
{
	if (!pop.by_account)
		return;
	list_each_safe(it, nx, &pop.all)
	{
		struct lock *l = list_entry(it, struct lock, link);
		if (l->conn == c)
			lock_free(l);
	}
}

/* --- steps --------------------------------------------------------------- */

static bool begin(struct request *rq, struct slice grant, struct slice word, struct session **out)
{
	struct grant g;
	if (!grant_check(grant, conn_role(rq->conn), &g)) {
		request_error(rq, ERR_GRANT, "the login is no longer valid");
		return false;
	}
	if (word.len < LOCK_MIN || word.len > LOCK_MAX) {
		request_error(rq, ERR_BAD, "no lock word");
		return false;
	}
	struct session *s = pool_alloc(rq->pool, sizeof(*s));
	s->rq = rq;
	s->grant = g;
	s->now_ms = clock_ms();
	*out = s;
	return true;
}

static void fail(struct session *s, enum ipc_err e, const char *text)
{
	const struct msg_pop_open *m = s->rq->msg;
	if (s->fresh)
		lock_drop(s->grant.account, m->lock);
	request_error(s->rq, e, text);
}

static bool start(struct session *s, unsigned base, bool write,
		  enum ipc_err (*run)(struct base *b, struct op *op), void (*done)(struct op *op))
{
	struct op *op = op_new(0);
	op->run = run;
	op->done = done;
	op->arg = s;
	if (write ? work_write(base, op) : work_read(base, op))
		return true;
	op_free(op);
	fail(s, ERR_TEMP, "the store is busy");
	return false;
}

static enum ipc_err account_run(struct base *b, struct op *op)
{
	struct session *s = op->arg;
	return dir_account_by_id(b, s->rq->pool, s->grant.account, &s->account);
}

static void account_done(struct op *op)
{
	struct session *s = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_OK) {
		dir_cache_put_account(s->generation, &s->account);
		s->next(s);
	} else {
		fail(s, e == ERR_NOTFOUND ? ERR_GRANT : e, NULL);
	}
}

/* The account's settings, then next(). */
static void with_account(struct session *s, void (*next)(struct session *s))
{
	s->next = next;
	s->generation = dir_generation();
	if (dir_cache_account(s->grant.account, s->rq->pool, &s->account))
		next(s);
	else
		start(s, WORK_DIRECTORY, false, account_run, account_done);
}

/* --- open ---------------------------------------------------------------- */

static enum ipc_err list_run(struct base *b, struct op *op)
{
	struct session *s = op->arg;
	struct msg_pop_list *l = &s->list;
	db_start(b->db, SQL_SHARD_POP_OPEN);
	db_u64(b->db, s->grant.account);
	enum db_result r = db_step(b->db);
	s->absent = r == DB_DONE;
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_OK : work_err(b, r);
	uint64_t inbox = db_col_u64(b->db, 0), max = db_col_u64(b->db, 2);
	*l = (struct msg_pop_list){.mailbox = mailbox_global(b->shard, inbox),
				   .uidvalidity = db_col_u64(b->db, 1)};
	if (max > LIST_MAX)
		max = LIST_MAX;
	s->polled_ms = db_col_u64(b->db, 3);
	l->messages = pool_alloc(s->rq->pool, (max + 1) * sizeof(*l->messages));
	db_start(b->db, SQL_SHARD_POP_LIST);
	db_u64(b->db, inbox);
	db_u64(b->db, max);
	while (l->messages_n <= max && (r = db_step(b->db)) == DB_ROW)
		l->messages[l->messages_n++] = (struct row_pop_message){
		    .uid = db_col_u64(b->db, 0), .size = db_col_u64(b->db, 1), .uidl = SLICE("")};
	db_reset(b->db);
	return r == DB_DONE || r == DB_ROW ? ERR_OK : work_err(b, r);
}

static enum ipc_err make_run(struct base *b, struct op *op)
{
	uint64_t inbox;
	struct session *s = op->arg;
	enum ipc_err e = mailbox_inbox(b, s->grant.account, &inbox);
	return e == ERR_OK ? list_run(b, op) : e;
}

struct poll_op {
	struct op op;
	uint64_t account, now_ms;
};

static enum ipc_err polled_run(struct base *b, struct op *op)
{
	const struct poll_op *p = (const struct poll_op *)op;
	db_start(b->db, SQL_SHARD_POP_POLLED);
	db_u64(b->db, p->now_ms);
	db_u64(b->db, p->account);
	return work_err(b, db_run(b->db));
}

/* Remembers the login; whether the shard could be written decides nothing. */
static void polled(const struct session *s)
{
	map_set(pop.last_login, &s->grant.account, sizeof(s->grant.account),
		(void *)(uintptr_t)s->now_ms);
	struct poll_op *p = (struct poll_op *)op_new(sizeof(*p));
	p->account = s->grant.account;
	p->now_ms = s->now_ms;
	p->op.run = polled_run;
	p->op.done = op_free;
	if (!work_write(s->grant.shard, &p->op))
		op_free(&p->op);
}

/* Polled again too early after `last`: refused. */
static bool too_early(struct session *s, uint64_t last)
{
	const struct msg_pop_open *m = s->rq->msg;
	uint64_t delay = s->account.login_delay_ms;
	/* A clock that was set back does not lock anybody out. */
	if (!delay || !last || m->again || !s->fresh || s->now_ms < last ||
	    s->now_ms - last >= delay)
		return false;
	uint64_t wait = (delay - (s->now_ms - last) + 999) / 1000;
	fail(s, ERR_DELAY,
	     pool_printf(s->rq->pool, "the next login is possible in %llu s",
			 (unsigned long long)wait));
	return true;
}

static void list_done(struct op *op)
{
	struct session *s = op->arg;
	const struct msg_pop_open *m = s->rq->msg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_OK && s->absent) {
		start(s, s->grant.shard, true, make_run, list_done);
		return;
	}
	if (e != ERR_OK) {
		fail(s, e, NULL);
		return;
	}
	if (too_early(s, s->polled_ms))
		return;
	if (s->account.login_delay_ms && !m->again)
		polled(s);
	request_reply(s->rq, MSG_pop_list, &s->list);
}

static void open_known(struct session *s)
{
	uint64_t last =
	    (uintptr_t)map_get(pop.last_login, &s->grant.account, sizeof(s->grant.account));
	if (!too_early(s, last))
		start(s, s->grant.shard, false, list_run, list_done);
}

void op_pop_open(struct request *rq)
{
	const struct msg_pop_open *m = rq->msg;
	struct session *s;
	if (!begin(rq, m->grant, m->lock, &s))
		return;
	/* Before anything that waits: a connection that ends meanwhile takes its lock along. */
	if (!lock_take(s->grant.account, m->lock, rq->conn, &s->fresh))
		request_error(rq, ERR_INUSE, "another session has the mailbox");
	else
		with_account(s, open_known);
}

/* --- quit ---------------------------------------------------------------- */

static size_t copy_uids(uint64_t *to, const struct row_uid *uid, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = uid[i].uid < UINT32_MAX ? uid[i].uid : 0; /* there is no UID 0 */
	return n;
}

static enum ipc_err quit_run(struct base *b, struct op *op)
{
	struct session *s = op->arg;
	const struct msg_pop_quit *m = s->rq->msg;
	uint64_t mailbox = mailbox_number(m->mailbox);
	size_t n = (size_t)m->deleted_n + m->retrieved_n + 1;
	uint64_t *gone = pool_alloc(op->pool, n * sizeof(*gone));
	n = copy_uids(gone, m->deleted, m->deleted_n);
	bool at_once = s->account.expire_ms == 0;
	if (at_once)
		n += copy_uids(gone + n, m->retrieved, m->retrieved_n);
	db_start(b->db, SQL_SHARD_MAILBOX);
	db_u64(b->db, mailbox);
	enum db_result r = db_step(b->db);
	bool own = r == DB_ROW && db_col_u64(b->db, 0) == s->grant.account;
	db_reset(b->db);
	if (!own)
		return r == DB_ROW || r == DB_DONE ? ERR_NOTFOUND : work_err(b, r);
	enum ipc_err e =
	    mailbox_expunge(b, s->grant.account, mailbox, gone, n, s->now_ms, &s->change);
	if (e != ERR_OK || at_once || m->retrieved_n == 0)
		return e;
	uint64_t *seen = pool_alloc(op->pool, m->retrieved_n * sizeof(*seen));
	copy_uids(seen, m->retrieved, m->retrieved_n);
	return mailbox_retrieved(b, mailbox, seen, m->retrieved_n, s->now_ms);
}

static void quit_done(struct op *op)
{
	struct session *s = op->arg;
	const struct msg_pop_quit *m = s->rq->msg;
	enum ipc_err e = op->err;
	op_free(op);
	lock_drop(s->grant.account, m->lock);
	struct msg_ok ok = {.value = m->deleted_n};
	if (e != ERR_OK) {
		request_error(s->rq, e, NULL);
		return;
	}
	change_notify(&s->change);
	request_reply(s->rq, MSG_ok, &ok);
}

static void quit_known(struct session *s)
{
	const struct msg_pop_quit *m = s->rq->msg;
	if (m->deleted_n || m->retrieved_n) {
		start(s, s->grant.shard, true, quit_run, quit_done);
		return;
	}
	lock_drop(s->grant.account, m->lock);
	request_reply(s->rq, MSG_ok, &(struct msg_ok){0});
}

/* The lock is the session's, or nobody's: then stored was restarted, or the connection broke. */
static bool may_end(struct request *rq, struct slice grant, struct slice word, uint64_t mailbox,
		    struct session **s)
{
	if (!begin(rq, grant, word, s))
		return false;
	const struct lock *l = lock_of((*s)->grant.account);
	if (l && !lock_is(l, word))
		request_error(rq, ERR_INUSE, "another session has the mailbox");
	else if (mailbox_shard(mailbox) != (*s)->grant.shard)
		request_error(rq, ERR_NOTFOUND, "no such mailbox");
	else
		return true;
	return false;
}

void op_pop_quit(struct request *rq)
{
	const struct msg_pop_quit *m = rq->msg;
	struct session *s;
	if (!may_end(rq, m->grant, m->lock, m->mailbox, &s))
		return;
	if (m->deleted_n > UIDS_MAX || m->retrieved_n > UIDS_MAX)
		request_error(rq, ERR_BAD, "more messages than were listed");
	else
		with_account(s, quit_known);
}

void op_pop_close(struct request *rq)
{
	const struct msg_pop_close *m = rq->msg;
	struct session *s;
	if (!may_end(rq, m->grant, m->lock, m->mailbox, &s))
		return;
	lock_drop(s->grant.account, m->lock);
	request_reply(rq, MSG_ok, &(struct msg_ok){0});
}
