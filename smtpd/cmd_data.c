/* DATA (RFC 5321) and BDAT (RFC 3030), and what becomes of the message. */
#include "smtpd/smtpd.h"
#include "libcommon/base/clock.h"

/* NULL, or why no message can begin now. */
static const struct reply *order(const struct session *s)
{
	static const struct reply NO_MAIL = {503, "5.5.1", "MAIL first"};
	static const struct reply NO_RCPT = {503, "5.5.1", "RCPT first"};
	static const struct reply NONE_LEFT = {554, "5.5.1", "no valid recipients"};
	if (!s->txn)
		return &NO_MAIL;
	if (s->txn->rcpt_n)
		return NULL;
	return s->txn->asked_rcpts && !s->service->lmtp ? &NONE_LEFT : &NO_RCPT;
}

static void receive(struct session *s, enum data_mode mode)
{
	struct txn *t = s->txn;
	data_init(&t->data, mode, conf.max_size, conf.max_line, t->size, received_prefix, s);
	t->receiving = true;
}

enum cmd_result cmd_data(struct session *s, struct slice args)
{
	static const struct reply CHUNKED = {503, "5.5.1", "BDAT was used: go on with it"};
	static const struct reply BINARY = {503, "5.5.1", "BODY=BINARYMIME needs BDAT"};
	(void)args;
	const struct reply *no = order(s);
	if (!no && s->txn->chunked)
		no = &CHUNKED;
	if (!no && s->txn->binary)
		no = &BINARY;
	if (no) {
		reply_send(s, no);
		return CMD_DONE;
	}
	receive(s, DATA_DOTS);
	session_input(s, INPUT_DATA);
	reply(s, 354, NULL, "go ahead, end with a line of one dot");
	return CMD_DONE;
}

/* --- the outcome ------------------------------------------------------------------------------ */

/* The same answer for all, and the transaction is over. */
static void end_all(struct session *s, const struct reply *r)
{
	if (s->service->lmtp)
		lmtp_reply_all(s, r);
	else
		reply_send(s, r);
	if (r->code >= 400)
		log_refused(s, "message", (struct slice){0}, r);
	if (r->code == 421)
		session_close(s);
	session_reset(s);
}

static const struct reply *spoiled(enum data_bad bad)
{
	static const struct reply REPLIES[] = {
	    [DATA_GOOD] = {451, "4.3.0", "temporary failure, try again later"},
	    [DATA_BARE_LF] = {550, "5.6.0", "bare LF in the message: lines end in CRLF only"},
	    [DATA_BARE_CR] = {550, "5.6.0", "bare CR in the message: lines end in CRLF only"},
	    [DATA_NUL] = {550, "5.6.0", "NUL in the message"},
	    [DATA_LONG_LINE] = {550, "5.6.0", "a line of the message is too long"},
	    [DATA_TOO_BIG] = {552, "5.3.4", "the message is larger than is taken here"},
	    [DATA_NO_SPACE] = {452, "4.3.1", "insufficient memory, try again later"},
	};
	return &REPLIES[bad];
}

static void deliver(struct session *s)
{
	struct txn *t = s->txn;
	if (t->data.eight)
		t->flags |= DELIVER_8BIT;
	t->asked_ns = clock_ns();
	session_wait(s);
	backend_deliver(s, &t->body);
}

/* Asks about each author that is not the sender, then goes on to deliver. */
static void check_authors(struct session *s)
{
	static const struct reply NOT_YOURS = {550, "5.7.1", "the Sender address is not yours"};
	static const struct reply MALFORMED = {550, "5.6.0",
					       "a From or Sender address cannot be read"};
	struct txn *t = s->txn;
	struct author *a = t->authors;
	while (a && a->addr.len &&
	       (slice_eq(a->addr, t->sender) || slice_ieqs(a->addr, s->user->address)))
		a = a->next;
	t->authors = a ? a->next : NULL;
	if (!a) {
		deliver(s);
	} else if (!a->addr.len) {
		end_all(s, &MALFORMED);
	} else if (s->local) {
		end_all(s, &NOT_YOURS);
	} else {
		session_wait(s);
		backend_author(s, a->addr);
	}
}

void message_author(struct session *s, enum ipc_err e)
{
	static const struct reply NOT_YOURS = {550, "5.7.1",
					       "the From or Sender address is not one of yours"};
	if (e == ERR_OK)
		check_authors(s);
	else if (e == ERR_DENIED)
		end_all(s, &NOT_YOURS);
	else
		message_refused(s, e, (struct slice){0});
}

void message_complete(struct session *s)
{
	static const struct reply LOOP = {554, "5.4.6", "too many hops: the message is in a loop"};
	struct txn *t = s->txn;
	if (!data_finish(&t->data, &t->body))
		end_all(s, spoiled(t->data.bad));
	else if (t->hops >= conf.max_hops)
		end_all(s, &LOOP);
	else
		check_authors(s);
}

static void accepted(struct session *s, unsigned n)
{
	struct txn *t = s->txn;
	stats.accepted++;
	stats.recipients += n;
	stats.accepted_bytes += t->data.size;
	s->messages++;
	s->errors = s->idle_commands = 0;
	log_accepted(s, n, t->data.size);
}

void message_delivered(struct session *s, const struct msg_delivered *m)
{
	struct txn *t = s->txn;
	stats_deliver(clock_ns() - t->asked_ns);
	if (s->service->lmtp) {
		unsigned n = 0;
		for (uint32_t i = 0; i < m->results_n; i++)
			n += m->results[i].code == ERR_OK;
		if (n)
			accepted(s, n);
		lmtp_reply_each(s, m);
		session_reset(s);
		return;
	}
	/* All recipients share one fate here: the first that was refused tells it. */
	for (uint32_t i = 0; i < m->results_n; i++)
		if (m->results[i].code != ERR_OK) {
			message_refused(s, m->results[i].code, m->results[i].text);
			return;
		}
	accepted(s, t->rcpt_n);
	reply(s, 250, "2.0.0", "OK: accepted as %s", t->id);
	session_reset(s);
}

void message_refused(struct session *s, enum ipc_err e, struct slice text)
{
	struct reply r = reply_of(s->txn->pool, ASK_DELIVER, e, text);
	end_all(s, &r);
}

/* --- DATA's octets --------------------------------------------------------------------------- */

static void lookalike(struct session *s)
{
	static const struct reply NO = {521, "5.5.2", "bad end of data: lines end in CRLF only"};
	reply_send(s, &NO);
	log_refused(s, "message", (struct slice){0}, &NO);
	session_close(s);
}

size_t data_input(struct session *s, struct slice in)
{
	enum data_result r;
	size_t n = data_feed(&s->txn->data, in, &r);
	if (r == DATA_LOOKALIKE) {
		lookalike(s);
	} else if (r == DATA_END) {
		session_input(s, INPUT_COMMAND);
		message_complete(s);
	}
	return n;
}

/* --- BDAT ------------------------------------------------------------------------------------ */

static bool bdat_args(struct slice args, uint64_t *n, bool *last)
{
	struct slice number = slice_word(&args), word = slice_word(&args);
	*last = word.len != 0;
	return number.len <= 20 && str_u64(number, n) && !args.len &&
	       (!word.len || slice_ieqs(word, "LAST"));
}

static const struct reply *bdat_order(const struct session *s)
{
	static const struct reply FAILED = {503, "5.5.1", "a chunk was refused: RSET first"};
	const struct reply *no = order(s);
	return !no && s->txn->chunk_failed ? &FAILED : no;
}

/* The chunk's octets are all here. */
static void chunk_end(struct session *s)
{
	struct txn *t = s->txn;
	session_input(s, INPUT_COMMAND);
	if (s->chunk_refused) {
		const struct reply *no = s->chunk_refused;
		s->chunk_refused = NULL;
		if (t)
			t->chunk_failed = true;
		reply_send(s, no);
	} else if (t->data.bad != DATA_GOOD) {
		t->chunk_failed = true;
		log_refused(s, "chunk", (struct slice){0}, spoiled(t->data.bad));
		if (s->service->lmtp && s->chunk_last)
			lmtp_reply_all(s, spoiled(t->data.bad));
		else
			reply_send(s, spoiled(t->data.bad));
	} else if (s->chunk_last) {
		message_complete(s);
	} else {
		reply(s, 250, "2.0.0", "%llu octets so far", (unsigned long long)t->data.size);
	}
}

enum cmd_result cmd_bdat(struct session *s, struct slice args)
{
	if (!bdat_args(args, &s->chunk_left, &s->chunk_last)) {
		/* What follows cannot be told from commands. */
		reply(s, 501, "5.5.4", "BDAT octets [LAST]");
		return CMD_CLOSE;
	}
	s->chunk_refused = bdat_order(s);
	if (!s->chunk_refused && !s->txn->chunked) {
		s->txn->chunked = true;
		receive(s, s->txn->binary ? DATA_BINARY : DATA_LINES);
	}
	session_input(s, INPUT_CHUNK);
	if (!s->chunk_left && !s->chunk_last)
		s->idle_commands++;
	if (!s->chunk_left)
		chunk_end(s);
	return CMD_DONE;
}

size_t chunk_input(struct session *s, struct slice in)
{
	enum data_result r;
	if (in.len > s->chunk_left)
		in.len = (size_t)s->chunk_left;
	if (!s->chunk_refused)
		data_feed(&s->txn->data, in, &r);
	s->chunk_left -= in.len;
	if (!s->chunk_left)
		chunk_end(s);
	return in.len;
}
