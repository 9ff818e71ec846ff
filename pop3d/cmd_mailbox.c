/* The commands on an open mailbox, and the sending of what they ask for. Lists and messages go
 * out in pieces, as the client takes them (mailbox_output). */
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/store.h"
#include "pop3d/pop3d.h"

enum { PIECE = 32 << 10, TOP_FIRST = 8 << 10, TOP_LINE = 100, TOP_MOST = IPC_INLINE_BODY };
enum { UIDL_MAX = 70 };

/* --- the box ---------------------------------------------------------------------------------- */

struct box *mailbox_new(struct session *s, struct login_user *u)
{
	struct box *b = mem_alloc(sizeof(*b));
	b->s = s;
	b->user = u;
	b->t.body = BODY_NONE;
	id_random(b->lock, sizeof(b->lock));
	list_init(&b->link);
	return b;
}

static void unmap(struct transfer *t)
{
	body_unmap(&t->body, &t->map);
	if (t->body.fd > 0)
		close(t->body.fd);
	t->body = BODY_NONE;
}

void mailbox_free(struct box **bp)
{
	struct box *b = *bp;
	if (!b)
		return;
	*bp = NULL;
	list_del(&b->link);
	timer_clear(&b->retry);
	unmap(&b->t);
	ahead_free(b);
	free(b->ahead_uid);
	login_user_free(&b->user);
	free(b->uidls);
	free(b->message);
	free(b);
}

/* A unique-id may have 70 octets that are no blanks (RFC 1939). */
static bool uidl_good(struct slice u)
{
	for (size_t i = 0; i < u.len; i++)
		if (u.p[i] < 0x21 || u.p[i] > 0x7E)
			return false;
	return u.len > 0 && u.len <= UIDL_MAX;
}

static void load(struct box *b, const struct msg_pop_list *m)
{
	struct buf uidls;
	buf_init(&uidls, 0);
	b->mailbox = m->mailbox;
	b->uidvalidity = m->uidvalidity;
	b->n = m->messages_n;
	b->message = mem_alloc((b->n + 1) * sizeof(*b->message));
	for (uint32_t i = 0; i < b->n; i++) {
		const struct row_pop_message *row = &m->messages[i];
		b->message[i].uid = row->uid;
		b->message[i].size = row->size;
		if (!uidl_good(row->uidl))
			continue;
		b->message[i].uidl = (uint32_t)uidls.len;
		b->message[i].uidl_len = (uint8_t)row->uidl.len;
		buf_add_slice(&uidls, row->uidl);
	}
	b->uidls = uidls.p;
}

static void totals(const struct box *b, uint32_t *n, uint64_t *size)
{
	*n = 0;
	*size = 0;
	for (uint32_t i = 0; i < b->n; i++)
		if (!b->message[i].deleted) {
			++*n;
			*size += b->message[i].size;
		}
}

void mailbox_opened(struct session *s, const struct msg_pop_list *m)
{
	uint32_t n;
	uint64_t size;
	struct box *b = s->box;
	load(b, m);
	session_enter(s, STATE_TRANS);
	stats.logins++;
	log_event(LOG_LV_INFO, s->sid, "login", LS("user", b->user->address),
		  LS("peer", s->stream ? stream_peer_ip(s->stream) : NULL), LU("tls", s->tls),
		  LU("messages", b->n));
	totals(b, &n, &size);
	reply_ok(s, "%u messages (%llu octets)", n, (unsigned long long)size);
}

void mailbox_refused(struct session *s, enum ipc_err e, struct slice text)
{
	stats.delayed += e == ERR_DELAY;
	stats.in_use += e == ERR_INUSE;
	log_event(LOG_LV_INFO, s->sid, "mailbox-refused", LS("user", s->box->user->address),
		  LS("peer", s->stream ? stream_peer_ip(s->stream) : NULL),
		  LS("error", ipc_err_name(e)));
	mailbox_free(&s->box);
	reply_refused(s, e, text);
}

/* --- commands -------------------------------------------------------------------------------- */

/* The message that an argument means; answers when there is none. */
static struct message *message_of(struct session *s, struct slice arg)
{
	uint32_t n;
	struct box *b = s->box;
	if (!str_u32(arg, &n) || n == 0 || n > b->n)
		reply_err(s, NULL, "no such message");
	else if (b->message[n - 1].deleted)
		reply_err(s, NULL, "message %u is deleted", n);
	else
		return &b->message[n - 1];
	return NULL;
}

static unsigned number_of(const struct box *b, const struct message *m)
{
	return (unsigned)(m - b->message) + 1;
}

enum cmd_result cmd_stat(struct session *s, const struct args *a)
{
	uint32_t n;
	uint64_t size;
	(void)a;
	totals(s->box, &n, &size);
	reply_ok(s, "%u %llu", n, (unsigned long long)size);
	return CMD_DONE;
}

static void uidl_text(const struct box *b, const struct message *m, char out[UIDL_MAX + 1])
{
	if (m->uidl_len)
		str_fmt(out, UIDL_MAX + 1, "%.*s", m->uidl_len, b->uidls + m->uidl);
	else
		str_fmt(out, UIDL_MAX + 1, "%08llx%08llx", (unsigned long long)b->uidvalidity,
			(unsigned long long)m->uid);
}

/* All of a list: mailbox_output() sends the lines. */
static enum cmd_result begin_list(struct session *s, enum out out)
{
	s->box->t = (struct transfer){.out = out, .body = BODY_NONE};
	return CMD_DONE;
}

enum cmd_result cmd_list(struct session *s, const struct args *a)
{
	uint32_t n;
	uint64_t size;
	if (a->n) {
		const struct message *m = message_of(s, a->v[0]);
		if (m)
			reply_ok(s, "%u %llu", number_of(s->box, m), (unsigned long long)m->size);
		return CMD_DONE;
	}
	totals(s->box, &n, &size);
	reply_ok(s, "%u messages (%llu octets)", n, (unsigned long long)size);
	return begin_list(s, OUT_LIST);
}

enum cmd_result cmd_uidl(struct session *s, const struct args *a)
{
	char text[UIDL_MAX + 1];
	if (a->n) {
		const struct message *m = message_of(s, a->v[0]);
		if (m) {
			uidl_text(s->box, m, text);
			reply_ok(s, "%u %s", number_of(s->box, m), text);
		}
		return CMD_DONE;
	}
	reply_ok(s, "unique-ids follow");
	return begin_list(s, OUT_UIDL);
}

enum cmd_result cmd_dele(struct session *s, const struct args *a)
{
	struct message *m = message_of(s, a->v[0]);
	if (!m)
		return CMD_DONE;
	m->deleted = true;
	s->box->deleted++;
	reply_ok(s, "message %u will be deleted at QUIT", number_of(s->box, m));
	return CMD_DONE;
}

enum cmd_result cmd_rset(struct session *s, const struct args *a)
{
	(void)a;
	for (uint32_t i = 0; i < s->box->n; i++)
		s->box->message[i].deleted = false;
	s->box->deleted = 0;
	reply_ok(s, "nothing is marked as deleted");
	return CMD_DONE;
}

static struct transfer *begin_message(struct box *b, const struct message *m)
{
	b->t = (struct transfer){
	    .out = OUT_MESSAGE,
	    .index = (uint32_t)(m - b->message),
	    .line_start = true,
	    .body = BODY_NONE,
	};
	return &b->t;
}

/* The whole message is here. */
static void send_whole(struct session *s, struct slice all);

enum cmd_result cmd_retr(struct session *s, const struct args *a)
{
	uint64_t uid[AHEAD_MAX];
	struct slice all;
	struct box *b = s->box;
	const struct message *m = message_of(s, a->v[0]);
	if (!m)
		return CMD_DONE;
	begin_message(b, m);
	if (ahead_find(b, m->uid, &all)) {
		b->next = b->t.index + 1;
		send_whole(s, all);
		return CMD_DONE;
	}
	uint32_t n = ahead_plan(b, b->t.index, uid);
	if (n > 1)
		backend_read_ahead(s, uid, n);
	else
		backend_read(s, 0, 0);
	return CMD_WAIT;
}

enum cmd_result cmd_top(struct session *s, const struct args *a)
{
	uint32_t lines;
	if (!str_u32(a->v[1], &lines))
		return cmd_wrong(s, "that is no number of lines");
	const struct message *m = message_of(s, a->v[0]);
	if (!m)
		return CMD_DONE;
	struct transfer *t = begin_message(s->box, m);
	t->top = true;
	t->lines_left = lines;
	/* As much as so many lines may well be. */
	uint64_t len = TOP_FIRST + (uint64_t)lines * TOP_LINE;
	backend_read(s, 0, len < TOP_MOST ? len : TOP_MOST);
	return CMD_WAIT;
}

/* --- sending messages ------------------------------------------------------------------------ */

/* How much of the piece TOP sends; *done: the last line is in it. */
static size_t top_cut(struct transfer *t, struct slice piece, bool *done)
{
	size_t pos = 0;
	*done = t->in_body && t->lines_left == 0;
	while (pos < piece.len && !*done) {
		const char *p = piece.p + pos;
		const char *nl = memchr(p, '\n', piece.len - pos);
		size_t len = nl ? (size_t)(nl - p) : piece.len - pos;
		bool empty = t->line_start && (len == 0 || (len == 1 && *p == '\r'));
		/* a CR at the end of a piece: is it an empty line? Its LF comes with the next */
		t->line_start = nl || (empty && len == 1 && !nl);
		if (!nl)
			return piece.len;
		pos += len + 1;
		if (t->in_body)
			t->lines_left--;
		else
			t->in_body = empty;
		*done = t->in_body && t->lines_left == 0;
	}
	return pos;
}

static void message_done(struct session *s)
{
	struct box *b = s->box;
	struct transfer *t = &b->t;
	struct message *m = &b->message[t->index];
	reply_body_end(s, &t->dots);
	if (!t->top) {
		b->retrieved++;
		m->retrieved = true;
		stats.retrieved++;
		stats.retrieved_bytes += t->size;
	}
	unmap(t);
	t->out = OUT_NONE;
}

/* Sends a piece; true when the message is complete. */
static bool send_piece(struct session *s, struct slice piece)
{
	struct transfer *t = &s->box->t;
	bool done = false;
	t->off += piece.len;
	if (t->top)
		piece.len = top_cut(t, piece, &done);
	reply_body(s, &t->dots, piece);
	return done || t->off >= t->size;
}

static void begin_reply(struct session *s, struct transfer *t)
{
	if (t->started)
		return;
	t->started = true;
	if (t->top)
		reply_ok(s, "the top follows");
	else
		reply_ok(s, "%llu octets", (unsigned long long)t->size);
}

static void send_whole(struct session *s, struct slice all)
{
	struct transfer *t = &s->box->t;
	t->size = all.len;
	begin_reply(s, t);
	send_piece(s, all);
	message_done(s);
}

void mailbox_ahead(struct session *s, const struct msg_messages_data *m)
{
	struct box *b = s->box;
	struct slice all;
	if (!s->stream || b->t.out != OUT_MESSAGE)
		return;
	ahead_take(b, m);
	if (ahead_find(b, b->message[b->t.index].uid, &all))
		send_whole(s, all);
	else
		backend_read(s, 0, 0); /* alone it says why */
}

void mailbox_data(struct session *s, struct msg_message_data *m)
{
	struct transfer *t = &s->box->t;
	struct slice all;
	if (!s->stream || t->out != OUT_MESSAGE)
		return;
	t->size = m->size;
	if (!body_map(&m->body, &all) || (all.len == 0 && t->off < t->size)) {
		mailbox_unread(s, ERR_TEMP, SLICE("the body cannot be read"));
		return;
	}
	begin_reply(s, t);
	if (m->body.fd > 0) { /* large: as the client takes it, from the memory file */
		t->body = m->body;
		m->body.fd = -1;
		t->map = all;
		t->pos = 0;
		return;
	}
	if (send_piece(s, all)) /* copied into the stream's queue: its only copy */
		message_done(s);
}

void mailbox_unread(struct session *s, enum ipc_err e, struct slice text)
{
	struct transfer *t = &s->box->t;
	if (!s->stream || t->out != OUT_MESSAGE)
		return;
	if (e != ERR_NOTFOUND)
		log_event(LOG_LV_WARN, s->sid, "read-failed", LS("user", s->box->user->address),
			  LU("uid", s->box->message[t->index].uid), LS("error", ipc_err_name(e)),
			  LSL("reason", text));
	unmap(t);
	t->out = OUT_NONE;
	/* Inside a message there is no way to say so but to break off. */
	if (t->started) {
		session_close(s, "message broke off");
		return;
	}
	reply_refused(s, e, text);
	if (e == ERR_GRANT || e == ERR_INUSE)
		session_close(s, "mailbox lost");
}

/* A mapped body, or the next range of TOP's. */
static bool output_message(struct session *s)
{
	struct transfer *t = &s->box->t;
	if (t->pos >= t->map.len) {
		unmap(t);
		t->pos = 0;
		backend_read(s, t->off, t->top ? TOP_MOST : 0);
		return false;
	}
	struct slice piece = {t->map.p + t->pos, t->map.len - t->pos};
	if (piece.len > PIECE)
		piece.len = PIECE;
	t->pos += piece.len;
	if (send_piece(s, piece))
		message_done(s);
	return true;
}

/* A few lines of a list, with one write. */
static bool output_list(struct session *s)
{
	char text[4096], uidl[UIDL_MAX + 1];
	struct box *b = s->box;
	struct transfer *t = &b->t;
	size_t n = 0;
	for (; t->index < b->n && n + UIDL_MAX + 32 < sizeof(text); t->index++) {
		const struct message *m = &b->message[t->index];
		if (m->deleted)
			continue;
		if (t->out == OUT_UIDL) {
			uidl_text(b, m, uidl);
			str_fmt(text + n, sizeof(text) - n, "%u %s\r\n", t->index + 1, uidl);
		} else {
			str_fmt(text + n, sizeof(text) - n, "%u %llu\r\n", t->index + 1,
				(unsigned long long)m->size);
		}
		n += strlen(text + n);
	}
	reply_raw(s, text, n);
	if (t->index >= b->n) {
		reply_end(s);
		t->out = OUT_NONE;
	}
	return true;
}

bool mailbox_output(struct session *s)
{
	if (s->box->t.out == OUT_MESSAGE)
		return output_message(s);
	return output_list(s);
}

/* --- QUIT ------------------------------------------------------------------------------------- */

void mailbox_updated(struct session *s, enum ipc_err e, struct slice text)
{
	struct box *b = s->box;
	if (e == ERR_OK) {
		stats.deleted += b->deleted;
		reply_ok(s, "%u messages deleted, bye", b->deleted);
	} else {
		log_event(LOG_LV_WARN, s->sid, "update-failed", LS("user", b->user->address),
			  LS("error", ipc_err_name(e)), LSL("reason", text));
		b->deleted = 0;
		if (e == ERR_GRANT)
			reply_refused(s, e, text);
		else
			reply_err(s, "SYS/TEMP", "no message was deleted, try again later");
	}
	session_close(s, "quit");
}
