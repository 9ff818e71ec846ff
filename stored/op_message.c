/* Reading a message, whole or in part. */
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
