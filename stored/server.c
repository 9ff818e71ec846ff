/* The op table: which function answers which message. Who may send it is in msg.def and was
 * checked by the connection. */
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "stored/stored.h"
#include "stored/zone.h"

enum { CREDIT = 16 << 20 }; /* request bytes that one connection may have unanswered */

static const struct {
	enum msg_type type;
	op_fn *fn;
} ops[] = {
    {MSG_auth_start, op_auth_start},
    {MSG_auth_step, op_auth_step},
    {MSG_local_login, op_local_login},
    {MSG_rcpt_check, op_rcpt_check},
    {MSG_sender_check, op_sender_check},
    {MSG_deliver, op_deliver},
    {MSG_queue_claim, op_queue_claim},
    {MSG_queue_read, op_queue_read},
    {MSG_queue_result, op_queue_result},
    {MSG_queue_renew, op_queue_renew},
    {MSG_queue_return, op_queue_return},
    {MSG_notice_claim, op_notice_claim},
    {MSG_queue_notice, op_queue_notice},
    {MSG_pop_open, op_pop_open},
    {MSG_pop_quit, op_pop_quit},
    {MSG_pop_close, op_pop_close},
    {MSG_message_read, op_message_read},
    {MSG_messages_read, op_messages_read},
    {MSG_watch, op_watch},
    {MSG_unwatch, op_unwatch},
    {MSG_ctl, op_ctl},
    {MSG_zone_list, op_zone_list},
    {MSG_zone_read, op_zone_read},
    {MSG_zone_changes, op_zone_changes},
    {MSG_zone_begin, op_zone_begin},
    {MSG_zone_put, op_zone_put},
    {MSG_zone_commit, op_zone_commit},
    {MSG_zone_abort, op_zone_abort},
    {MSG_zone_edit, op_zone_edit},
    {MSG_zone_update, op_zone_update},
    {MSG_zone_delete, op_zone_delete},
};

static op_fn *find(enum msg_type t)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (ops[i].type == t)
			return ops[i].fn;
	return NULL;
}

void (*stored_restart)(void);

static size_t running; /* requests not answered yet */
static bool draining;

static void on_request(struct conn *c, uint32_t id, enum msg_type t, const void *msg)
{
	if (draining) /* the connection's end tells the client that it was not done */
		return;
	op_fn *fn = find(t);
	if (!fn) {
		conn_error(c, id, ERR_BAD, "stored does not serve this message");
		return;
	}
	struct conn_kept *kept = conn_keep(c);
	struct pool *pool = conn_kept_pool(kept);
	struct request *rq = pool_alloc(pool, sizeof(*rq));
	*rq = (struct request){.conn = c, .id = id, .type = t, .msg = msg, .pool = pool};
	rq->kept = kept;
	conn_hold(c);
	running++;
	fn(rq);
}

static void end(struct request *rq)
{
	struct conn *c = rq->conn;
	running--;
	conn_drop(rq->kept); /* frees rq */
	conn_release(c);
}

void request_reply(struct request *rq, enum msg_type t, const void *msg)
{
	conn_reply(rq->conn, rq->id, t, msg);
	end(rq);
}

void request_error(struct request *rq, enum ipc_err e, const char *text)
{
	conn_error(rq->conn, rq->id, e, text ? text : ipc_err_name(e));
	end(rq);
}

size_t server_busy(void)
{
	return running;
}

void server_drain(void)
{
	draining = true;
}

static void on_close(struct conn *c)
{
	watch_closed(c);
	op_pop_closed(c);
	op_auth_closed(c);
	op_zone_closed(c);
}

static const struct conn_ops conn_ops = {.on_request = on_request, .on_close = on_close};

void server_listen(const char *fdname, int fd)
{
	static uint64_t epoch; /* tells clients that stored was restarted */
	if (!epoch)
		epoch = clock_ms();
	enum role role =
	    slice_starts(slice_of(fdname), "store-") ? role_by_name(fdname + 6) : ROLE_NONE;
	if (role == ROLE_NONE) {
		log_event(LOG_LV_ERROR, NULL, "unknown-listener", LS("name", fdname));
		return;
	}
	/* A role's socket is owned by the role's user: nobody else may speak for the role. */
	conn_serve(fd, role, conn_socket_owner(fd), CREDIT, epoch, &conn_ops);
}
