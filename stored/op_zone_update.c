/* Dynamic updates for dnsd. */
#include "libcommon/base/clock.h"
#include "stored/zone.h"

struct update {
	struct op op;
	struct request *rq;
	struct slice name;
	struct zone z;
	struct zone_result result;
	uint32_t rcode;
	const char *why;
};

static enum ipc_err on_thread(struct base *b, struct op *op)
{
	struct update *u = (struct update *)op;
	const struct msg_zone_update *m = u->rq->msg;
	struct zone_tx t = {b, u->rq->pool, clock_ms(), NULL};
	enum ipc_err e = zone_get(&t, u->name, &u->z);
	if (e == ERR_OK && u->z.source != ZONE_STORE)
		e = zone_say(&t, ERR_DENIED, "zone %s is a secondary", zone_text(t.pool, u->name));
	if (e == ERR_OK)
		e = zone_need(&t, &u->z, m->needs, m->needs_n, &u->rcode);
	if (e == ERR_OK) {
		u->result = (struct zone_result){
		    .id = u->z.id, .before = u->z.serial, .serial = u->z.serial};
		if (u->rcode == DNS_NOERROR)
			e = zone_edit(&t, &u->z, ZONE_RULES_UPDATE, m->ops, m->ops_n, &u->result);
	}
	u->why = t.why;
	return e;
}

static void answer(struct update *u)
{
	const struct msg_zone_update *asked = u->rq->msg;
	const struct zone_result *r = &u->result;
	struct msg_zone_updated m = {.rcode = u->rcode,
				     .id = r->id,
				     .before = r->before,
				     .serial = r->serial,
				     .deleted = r->deleted,
				     .added = r->added,
				     .records = r->records};
	zone_once_end(asked->once, &m);
	if (r->serial != r->before)
		zone_changed(u->rq->pool, u->name, r);
	request_reply(u->rq, MSG_zone_updated, &m);
}

static void fail(struct update *u, enum ipc_err e)
{
	const struct msg_zone_update *asked = u->rq->msg;
	zone_once_end(asked->once, NULL);
	request_error(u->rq, e, u->why);
}

static void on_loop(struct op *op)
{
	struct update *u = (struct update *)op;
	if (op->err == ERR_OK)
		answer(u);
	else
		fail(u, op->err);
	op_free(op);
}

static void begin(struct request *rq, struct slice name)
{
	struct update *u = (struct update *)op_new(sizeof(*u));
	u->op.run = on_thread;
	u->op.done = on_loop;
	u->rq = rq;
	u->name = name;
	if (work_write(WORK_DIRECTORY, &u->op))
		return;
	u->why = "the store is busy";
	fail(u, ERR_TEMP);
	op_free(&u->op);
}

void op_zone_update(struct request *rq)
{
	const struct msg_zone_update *m = rq->msg;
	struct msg_zone_updated before;
	struct slice name;
	if (m->ops_n > ZONE_EDIT_OPS || m->needs_n > ZONE_UPDATE_NEEDS ||
	    m->once.len > ZONE_ONCE_OCTETS) {
		request_error(rq, ERR_LIMIT, "too many changes at once");
	} else if (!zone_name(rq->pool, m->zone, &name)) {
		request_error(rq, ERR_BAD, "that is no name of a zone");
	} else {
		switch (m->once.len ? zone_once_begin(m->once, &before) : ZONE_ONCE_NEW) {
		case ZONE_ONCE_NEW:
			begin(rq, name);
			break;
		case ZONE_ONCE_BUSY:
			request_error(rq, ERR_INUSE, "the same update is under way");
			break;
		default:
			request_reply(rq, MSG_zone_updated, &before);
		}
	}
}
