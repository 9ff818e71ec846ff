/* Reading a message, whole or in part, and several at once. */
#include <unistd.h>
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

struct reading {
	struct op op;
	struct request *rq;
	struct grant grant;
	struct msg_message_data data;
};

static enum ipc_err run(struct base *b, struct op *op)
{
	struct reading *rd = (struct reading *)op;
	const struct msg_message_read *m = rd->rq->msg;
	uint64_t body, size;
	enum ipc_err e =
	    mailbox_message(b, rd->grant.account, mailbox_number(m->mailbox), m->uid, &body, &size);
	if (e != ERR_OK)
		return e;
	if (m->offset >= size) { /* nothing is there to read; a message may be empty, too */
		rd->data = (struct msg_message_data){.size = size, .body = BODY_NONE};
		return ERR_OK;
	}
	return body_read(b, op->pool, body, m->offset, m->length, &rd->data.body, &rd->data.size);
}

static void done(struct op *op)
{
	struct reading *rd = (struct reading *)op;
	int fd = rd->data.body.fd; /* the reply takes a descriptor of its own */
	if (op->err == ERR_OK)
		request_reply(rd->rq, MSG_message_data, &rd->data);
	else
		request_error(rd->rq, op->err, op->err == ERR_NOTFOUND ? "no such message" : NULL);
	if (fd > 0)
		close(fd);
	op_free(op);
}

void op_message_read(struct request *rq)
{
	const struct msg_message_read *m = rq->msg;
	struct grant g;
	if (!grant_check(m->grant, conn_role(rq->conn), &g)) {
		request_error(rq, ERR_GRANT, "the login is no longer valid");
		return;
	}
	if (mailbox_shard(m->mailbox) != g.shard || m->uid > UINT32_MAX) {
		request_error(rq, ERR_NOTFOUND, "no such message");
		return;
	}
	struct reading *rd = (struct reading *)op_new(sizeof(*rd));
	rd->op.run = run;
	rd->op.done = done;
	rd->rq = rq;
	rd->grant = g;
	rd->data.body = BODY_NONE;
	if (work_read(g.shard, &rd->op))
		return;
	op_free(&rd->op);
	request_error(rq, ERR_TEMP, "the store is busy");
}

/* --- several: for clients that fetch one after the other ------------------------------------- */

enum { BATCH_UIDS = 256, BATCH_BYTES = 1 << 20 };

struct batch {
	struct op op;
	struct request *rq;
	struct grant grant;
	uint64_t bytes; /* of the bodies in data */
	struct msg_messages_data data;
};

/* The mailbox is there and the account's. */
static bool own(struct base *b, uint64_t account, uint64_t mailbox)
{
	db_start(b->db, SQL_SHARD_MAILBOX);
	db_u64(b->db, mailbox);
	bool yes = db_step(b->db) == DB_ROW && db_col_u64(b->db, 0) == account;
	db_reset(b->db);
	return yes;
}

/* How many UIDs from here on follow each other. */
static uint32_t run_length(const struct row_uid *uid, uint32_t n)
{
	uint32_t len = 1;
	while (len < n && uid[len].uid == uid[len - 1].uid + 1)
		len++;
	return len;
}

/* The messages of a run of UIDs that are there, with one statement. */
static enum ipc_err read_range(struct base *b, struct batch *bt, uint64_t first, uint64_t last)
{
	const struct msg_messages_read *m = bt->rq->msg;
	enum db_result r;
	db_start(b->db, SQL_SHARD_BODIES);
	db_u64(b->db, mailbox_number(m->mailbox));
	db_u64(b->db, first);
	db_u64(b->db, last);
	while ((r = db_step(b->db)) == DB_ROW) {
		struct row_message_body *row = &bt->data.messages[bt->data.messages_n];
		uint64_t room = BATCH_BYTES - bt->bytes;
		row->uid = db_col_u64(b->db, 0);
		/* One that cannot be read is met again when it is asked for alone. */
		if (body_here(b, bt->op.pool, 1, room < IPC_INLINE_BODY ? room : IPC_INLINE_BODY,
			      &row->bytes) != ERR_OK)
			continue;
		bt->bytes += row->bytes.len;
		bt->data.messages_n++;
	}
	return work_err(b, r);
}

static enum ipc_err batch_run(struct base *b, struct op *op)
{
	struct batch *bt = (struct batch *)op;
	const struct msg_messages_read *m = bt->rq->msg;
	bt->data.messages = pool_alloc(op->pool, m->uids_n * sizeof(*bt->data.messages));
	if (!own(b, bt->grant.account, mailbox_number(m->mailbox)))
		return ERR_OK; /* none of them is there */
	enum ipc_err e = ERR_OK;
	for (uint32_t i = 0, n; i < m->uids_n && e == ERR_OK; i += n) {
		n = run_length(m->uids + i, m->uids_n - i);
		if (m->uids[i + n - 1].uid <= UINT32_MAX)
			e = read_range(b, bt, m->uids[i].uid, m->uids[i + n - 1].uid);
	}
	return e;
}

static void batch_done(struct op *op)
{
	struct batch *bt = (struct batch *)op;
	if (op->err == ERR_OK)
		request_reply(bt->rq, MSG_messages_data, &bt->data);
	else
		request_error(bt->rq, op->err, NULL);
	op_free(op);
}

void op_messages_read(struct request *rq)
{
	const struct msg_messages_read *m = rq->msg;
	struct grant g;
	if (!grant_check(m->grant, conn_role(rq->conn), &g)) {
		request_error(rq, ERR_GRANT, "the login is no longer valid");
		return;
	}
	if (m->uids_n == 0 || m->uids_n > BATCH_UIDS) {
		request_error(rq, ERR_BAD, "none or too many messages");
		return;
	}
	if (mailbox_shard(m->mailbox) != g.shard) {
		request_error(rq, ERR_NOTFOUND, "no such mailbox");
		return;
	}
	struct batch *bt = (struct batch *)op_new(sizeof(*bt));
	bt->op.run = batch_run;
	bt->op.done = batch_done;
	bt->rq = rq;
	bt->grant = g;
	if (work_read(g.shard, &bt->op))
		return;
	op_free(&bt->op);
	request_error(rq, ERR_TEMP, "the store is busy");
}
