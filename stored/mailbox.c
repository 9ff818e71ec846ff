/* Mailboxes: made at their first use; expunging, restoring and forgetting messages. */
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

void change_notify(const struct change *c)
{
	if (c->mailbox)
		watch_notify(WATCH_MAILBOX, c->mailbox, c->modseq);
}

static enum ipc_err ran(struct base *b)
{
	enum db_result r = db_run(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

/* A row is wanted: ERR_NOTFOUND without one. */
static enum ipc_err row(struct base *b)
{
	enum db_result r = db_step(b->db);
	return r == DB_ROW ? ERR_OK : r == DB_DONE ? ERR_NOTFOUND : work_err(b, r);
}

static enum ipc_err make_inbox(struct base *b, uint64_t account, uint64_t *inbox)
{
	db_start(b->db, SQL_SHARD_MAILBOX_LAST);
	enum ipc_err e = row(b);
	if (e != ERR_OK)
		return e;
	*inbox = db_col_u64(b->db, 0) + 1;
	db_start(b->db, SQL_SHARD_OWNER_ADD);
	db_u64(b->db, account);
	db_u64(b->db, *inbox);
	if ((e = ran(b)) != ERR_OK)
		return e;
	uint64_t now = clock_ms();
	db_start(b->db, SQL_SHARD_MAILBOX_ADD);
	db_u64(b->db, *inbox);
	db_u64(b->db, account);
	db_u64(b->db, 0);
	db_bytes(b->db, SLICE("INBOX"));
	db_u64(b->db, MAILBOX_INBOX);
	db_u64(b->db, now / 1000 & UINT32_MAX);
	db_u64(b->db, now);
	return ran(b);
}

enum ipc_err mailbox_inbox(struct base *b, uint64_t account, uint64_t *inbox)
{
	db_start(b->db, SQL_SHARD_OWNER);
	db_u64(b->db, account);
	enum ipc_err e = row(b);
	if (e == ERR_OK)
		*inbox = db_col_u64(b->db, 0);
	db_reset(b->db);
	return e == ERR_NOTFOUND ? make_inbox(b, account, inbox) : e;
}

/* --- ranges of UIDs ------------------------------------------------------ */

static int by_uid(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* The next run of consecutive numbers in the sorted list; false at its end. */
static bool next_run(const uint64_t *uid, size_t n, size_t *at, uint64_t *first, uint64_t *last)
{
	if (*at == n)
		return false;
	*first = *last = uid[(*at)++];
	while (*at < n && uid[*at] - *last <= 1)
		*last = uid[(*at)++];
	return true;
}

struct sums {
	uint64_t n, bytes, unseen;
};

static enum ipc_err sum_run(struct base *b, uint64_t mailbox, uint64_t first, uint64_t last,
			    struct sums *s, uint64_t *found)
{
	db_start(b->db, SQL_SHARD_RANGE_SUM);
	db_u64(b->db, mailbox);
	db_u64(b->db, first);
	db_u64(b->db, last);
	enum ipc_err e = row(b);
	if (e != ERR_OK)
		return e;
	*found = db_col_u64(b->db, 0);
	s->n += *found;
	s->bytes += db_col_u64(b->db, 1);
	s->unseen += db_col_u64(b->db, 2);
	db_reset(b->db);
	return ERR_OK;
}

/* Takes the sums off the mailbox's counters and the quota's. */
static enum ipc_err count_less(struct base *b, uint64_t account, uint64_t mailbox,
			       const struct sums *s)
{
	db_start(b->db, SQL_SHARD_MAILBOX_LESS);
	db_u64(b->db, s->n);
	db_u64(b->db, s->unseen);
	db_u64(b->db, s->bytes);
	db_u64(b->db, mailbox);
	enum ipc_err e = ran(b);
	if (e != ERR_OK)
		return e;
	db_start(b->db, SQL_SHARD_OWNER_ADJUST);
	db_u64(b->db, s->bytes);
	db_u64(b->db, s->n);
	db_u64(b->db, account);
	return ran(b);
}

static enum ipc_err bump(struct base *b, uint64_t account, uint64_t mailbox, struct change *change)
{
	db_start(b->db, SQL_SHARD_MAILBOX_BUMP);
	db_u64(b->db, mailbox);
	db_u64(b->db, account);
	enum ipc_err e = row(b);
	if (e == ERR_OK)
		*change = (struct change){mailbox_global(b->shard, mailbox), db_col_u64(b->db, 0)};
	db_reset(b->db);
	return e;
}

enum ipc_err mailbox_expunge(struct base *b, uint64_t account, uint64_t mailbox, uint64_t *uid,
			     size_t n, uint64_t now_ms, struct change *change)
{
	*change = (struct change){0};
	if (n == 0)
		return ERR_OK;
	enum ipc_err e = bump(b, account, mailbox, change);
	qsort(uid, n, sizeof(*uid), by_uid);
	struct sums s = {0};
	uint64_t first, last, found;
	for (size_t at = 0; e == ERR_OK && next_run(uid, n, &at, &first, &last);) {
		if ((e = sum_run(b, mailbox, first, last, &s, &found)) != ERR_OK || found == 0)
			continue;
		db_start(b->db, SQL_SHARD_EXPUNGE);
		db_u64(b->db, now_ms);
		db_u64(b->db, change->modseq);
		db_u64(b->db, mailbox);
		db_u64(b->db, first);
		db_u64(b->db, last);
		e = ran(b);
	}
	return e == ERR_OK && s.n ? count_less(b, account, mailbox, &s) : e;
}

enum ipc_err mailbox_retrieved(struct base *b, uint64_t mailbox, uint64_t *uid, size_t n,
			       uint64_t now_ms)
{
	enum ipc_err e = ERR_OK;
	if (n > 1)
		qsort(uid, n, sizeof(*uid), by_uid);
	uint64_t first, last;
	for (size_t at = 0; e == ERR_OK && next_run(uid, n, &at, &first, &last);) {
		db_start(b->db, SQL_SHARD_RETRIEVED);
		db_u64(b->db, now_ms);
		db_u64(b->db, mailbox);
		db_u64(b->db, first);
		db_u64(b->db, last);
		e = ran(b);
	}
	return e;
}

/* --- restoring and forgetting -------------------------------------------- */

static enum ipc_err raise_gone(struct base *b, uint64_t mailbox, uint64_t modseq)
{
	db_start(b->db, SQL_SHARD_MAILBOX_GONE);
	db_u64(b->db, modseq);
	db_u64(b->db, mailbox);
	db_u64(b->db, modseq);
	return ran(b);
}

enum ipc_err mailbox_restore(struct base *b, uint64_t account, uint64_t mailbox, uint64_t uid,
			     uint64_t *new_uid, struct change *change)
{
	db_start(b->db, SQL_SHARD_EXPUNGED_ONE);
	db_u64(b->db, mailbox);
	db_u64(b->db, uid);
	enum ipc_err e = row(b);
	if (e != ERR_OK)
		return e;
	uint64_t size = db_col_u64(b->db, 0), flags = db_col_u64(b->db, 1);
	uint64_t gone = db_col_u64(b->db, 2);
	db_start(b->db, SQL_SHARD_NEXT_UID);
	db_u64(b->db, flags & FLAG_SEEN ? 0 : 1);
	db_u64(b->db, size);
	db_u64(b->db, mailbox);
	if ((e = row(b)) != ERR_OK)
		return e;
	*new_uid = db_col_u64(b->db, 0) - 1;
	*change = (struct change){mailbox_global(b->shard, mailbox), db_col_u64(b->db, 1)};
	db_start(b->db, SQL_SHARD_RESTORE);
	db_u64(b->db, *new_uid);
	db_u64(b->db, change->modseq);
	db_u64(b->db, mailbox);
	db_u64(b->db, uid);
	if ((e = ran(b)) != ERR_OK)
		return e;
	/* The old UID leaves no trace: who has not synchronised since must do it in full. */
	if ((e = raise_gone(b, mailbox, gone)) != ERR_OK)
		return e;
	db_start(b->db, SQL_SHARD_CHARGE);
	db_u64(b->db, size);
	db_u64(b->db, account);
	db_u64(b->db, INT64_MAX);
	e = row(b);
	db_reset(b->db);
	return e;
}

struct gone {
	uint64_t mailbox, expunged, uid, modseq, body;
};

static enum ipc_err forget(struct base *b, const struct gone *g)
{
	db_start(b->db, SQL_SHARD_PURGE);
	db_u64(b->db, g->mailbox);
	db_u64(b->db, g->expunged);
	db_u64(b->db, g->uid);
	enum ipc_err e = ran(b);
	return e == ERR_OK ? body_refs(b, g->body, -1) : e;
}

enum { SLICE_MAX = 256 };

enum ipc_err mailbox_purge(struct base *b, uint64_t until_ms, unsigned max, unsigned *n)
{
	struct gone g[SLICE_MAX];
	*n = 0;
	db_start(b->db, SQL_SHARD_PURGE_DUE);
	db_u64(b->db, until_ms);
	db_u64(b->db, max < SLICE_MAX ? max : SLICE_MAX);
	enum db_result r;
	while ((r = db_step(b->db)) == DB_ROW && *n < SLICE_MAX)
		g[(*n)++] = (struct gone){db_col_u64(b->db, 0), 1, db_col_u64(b->db, 1),
					  db_col_u64(b->db, 2), db_col_u64(b->db, 3)};
	db_reset(b->db);
	if (r != DB_DONE && r != DB_ROW)
		return work_err(b, r);
	enum ipc_err e = ERR_OK;
	for (unsigned i = 0; i < *n && e == ERR_OK; i++) {
		e = forget(b, &g[i]);
		if (e == ERR_OK && (i + 1 == *n || g[i + 1].mailbox != g[i].mailbox))
			e = raise_gone(b, g[i].mailbox, g[i].modseq);
	}
	return e;
}

static enum ipc_err some_mailbox(struct base *b, uint64_t account, uint64_t *mailbox)
{
	db_start(b->db, SQL_SHARD_MAILBOX_OF);
	db_u64(b->db, account);
	enum ipc_err e = row(b);
	if (e == ERR_OK)
		*mailbox = db_col_u64(b->db, 0);
	db_reset(b->db);
	return e;
}

enum ipc_err mailbox_drop(struct base *b, uint64_t account, unsigned max, bool *more)
{
	uint64_t mailbox = 0;
	*more = false;
	enum ipc_err e = some_mailbox(b, account, &mailbox);
	if (e == ERR_NOTFOUND) {
		db_start(b->db, SQL_SHARD_OWNER_DEL);
		db_u64(b->db, account);
		return ran(b);
	}
	struct gone g[SLICE_MAX];
	unsigned n = 0;
	db_start(b->db, SQL_SHARD_ANY);
	db_u64(b->db, mailbox);
	db_u64(b->db, max < SLICE_MAX ? max : SLICE_MAX);
	enum db_result r = DB_DONE;
	while (e == ERR_OK && n < SLICE_MAX && (r = db_step(b->db)) == DB_ROW)
		g[n++] = (struct gone){mailbox, db_col_u64(b->db, 0), db_col_u64(b->db, 1), 0,
				       db_col_u64(b->db, 2)};
	db_reset(b->db);
	if (r != DB_DONE && r != DB_ROW)
		return work_err(b, r);
	for (unsigned i = 0; i < n && e == ERR_OK; i++)
		e = forget(b, &g[i]);
	if (e == ERR_OK && n == 0) {
		db_start(b->db, SQL_SHARD_MAILBOX_DEL);
		db_u64(b->db, mailbox);
		e = ran(b);
	}
	*more = e == ERR_OK;
	return e;
}

enum ipc_err mailbox_message(struct base *b, uint64_t account, uint64_t mailbox, uint64_t uid,
			     uint64_t *body, uint64_t *size)
{
	db_start(b->db, SQL_SHARD_MESSAGE_BODY);
	db_u64(b->db, mailbox);
	db_u64(b->db, uid);
	db_u64(b->db, account);
	enum ipc_err e = row(b);
	if (e == ERR_OK) {
		*body = db_col_u64(b->db, 0);
		*size = db_col_u64(b->db, 1);
	}
	db_reset(b->db);
	return e;
}
