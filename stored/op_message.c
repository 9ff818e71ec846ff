/* Reading a message, whole or in part, and several at once. */
#include <unistd.h>
#include "stored/body.h"
#include "stored/mail.h"

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
	struct msg_messages_data data;
};

static enum ipc_err batch_run(struct base *b, struct op *op)
{
	struct batch *bt = (struct batch *)op;
	const struct msg_messages_read *m = bt->rq->msg;
	uint64_t body, size, bytes = 0, mailbox = mailbox_number(m->mailbox);
	bt->data.messages = pool_alloc(op->pool, m->uids_n * sizeof(*bt->data.messages));
	for (uint32_t i = 0; i < m->uids_n; i++) {
		struct row_message_body *row = &bt->data.messages[bt->data.messages_n];
		enum ipc_err e = m->uids[i].uid > UINT32_MAX
				     ? ERR_NOTFOUND
				     : mailbox_message(b, bt->grant.account, mailbox,
						       m->uids[i].uid, &body, &size);
		if (e == ERR_NOTFOUND || (e == ERR_OK && size > IPC_INLINE_BODY))
			continue;
		if (e != ERR_OK || bytes + size > BATCH_BYTES)
			break;
		/* One that cannot be read is met again when it is asked for alone. */
		if (body_get(b, op->pool, body, 0, 0, &row->bytes, NULL) != ERR_OK)
			continue;
		row->uid = m->uids[i].uid;
		bytes += size;
		bt->data.messages_n++;
	}
	return ERR_OK;
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
