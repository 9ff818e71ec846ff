/* A notice as a message: its header, what people read, and the parts put together. */
#include "smtpd/notice.h"
#include "libcommon/base/clock.h"
#include "libcommon/mail/word.h"

enum {
	WORD_MAX = 900, /* octets of a word; longer ones are broken */
	ADDR_TEXT = 1000,
	SUBJECT_MAX = 200,
	REPLY_MAX = 2000, /* octets of a server's words */
	IDS_MAX = 2000,   /* octets of References */
};

bool notice_has(const struct notice_item *n, enum notice kind)
{
	for (uint32_t i = 0; i < n->item->rcpts_n; i++)
		if (n->item->rcpts[i].owed == kind)
			return true;
	return false;
}

/* --- what people read ------------------------------------------------------------------------- */

struct text {
	const struct notice_item *n;
	struct pool *pool;
	struct buf *out;
};

static void sentence(struct text *t, const char *indent, const char *s)
{
	buf_adds(t->out, indent);
	notice_words(t->out, strlen(indent), indent, slice_of(s));
}

static const char *date_text(struct text *t, uint64_t ms)
{
	char *p = pool_alloc(t->pool, 40);
	clock_rfc5322(p, 40, ms);
	return p;
}

/* The words of who refused or deferred it, line by line. */
static void answer(struct text *t, const struct row_owed_rcpt *r)
{
	struct slice rest = {r->text.p, r->text.len < REPLY_MAX ? r->text.len : REPLY_MAX};
	struct slice host = notice_clean(t->pool, r->host, 255, false);
	if (r->code == 0 && rest.len == 0)
		return;
	const char *who = host.len ? pool_printf(t->pool, "The server %.*s %s", SLICE_FMT(host),
						 r->code ? "answered:" : "could not be used:")
				   : "The reason:";
	sentence(t, "      ", who);
	do {
		struct slice line = notice_reply(t->pool, r, slice_cut(&rest, '\n'));
		if (slice_trim(line).len) {
			buf_adds(t->out, "        ");
			notice_words(t->out, 8, "          ", line);
		}
	} while (rest.len);
}

/* RFC 2852: the sender said by when. */
static void deliver_by(struct text *t, const struct row_owed_rcpt *r)
{
	uint64_t by = t->n->item->deliver_by_ms;
	bool notify = t->n->item->flags & DELIVER_BY_NOTIFY;
	if (by == 0 || t->n->now_ms < by || notify != (r->owed == NOTICE_DELAYED))
		return;
	sentence(t, "      ",
		 pool_printf(t->pool,
			     notify ? "You asked to be told when it was not delivered by %s."
				    : "You asked for it to be delivered by %s, or not at all.",
			     date_text(t, by)));
}

static void recipient(struct text *t, const struct row_owed_rcpt *r, uint64_t until_ms)
{
	struct slice addr = notice_clean(t->pool, r->addr, ADDR_TEXT, false);
	struct slice was = notice_original_rcpt(t->pool, r, NULL);
	buf_adds(t->out, "\r\n  ");
	notice_words(t->out, 2, "    ", addr);
	if (was.len && !slice_ieq(was, addr))
		sentence(t, "      ", pool_printf(t->pool, "You wrote to %.*s.", SLICE_FMT(was)));
	if (r->owed == NOTICE_DELIVERED || r->owed == NOTICE_RELAYED ||
	    r->owed == NOTICE_EXPANDED) {
		if (r->owed == NOTICE_RELAYED && r->host.len)
			sentence(
			    t, "      ",
			    pool_printf(t->pool, "It was handed to %.*s.",
					SLICE_FMT(notice_clean(t->pool, r->host, 255, false))));
		return;
	}
	answer(t, r);
	if (r->attempts > 1)
		sentence(t, "      ",
			 pool_printf(t->pool, "It was tried %u times, the last time at %s.",
				     r->attempts, date_text(t, r->changed_ms)));
	deliver_by(t, r);
	if (r->owed != NOTICE_DELAYED)
		return;
	if (r->due_ms > t->n->now_ms)
		sentence(
		    t, "      ",
		    pool_printf(t->pool, "The next attempt is at %s.", date_text(t, r->due_ms)));
	if (until_ms)
		sentence(
		    t, "      ",
		    pool_printf(t->pool, "It will be tried until %s.", date_text(t, until_ms)));
}

static void group(struct text *t, enum notice kind, const char *what)
{
	const struct row_owed *o = t->n->item;
	if (!notice_has(t->n, kind))
		return;
	buf_adds(t->out, "\r\n");
	sentence(t, "", what);
	for (uint32_t i = 0; i < o->rcpts_n; i++)
		if (o->rcpts[i].owed == kind)
			recipient(t, &o->rcpts[i], t->n->until_ms ? t->n->until_ms[i] : 0);
}

static void which_message(struct text *t)
{
	struct buf subject = {.max = 8 * SUBJECT_MAX};
	word_decode(&subject, notice_field(t->n, t->pool, "Subject"));
	struct slice s = notice_clean(t->pool, buf_slice(&subject), SUBJECT_MAX, false);
	sentence(t, "",
		 pool_printf(t->pool,
			     "This is the mail system at %s, about the message that"
			     " you sent:",
			     t->n->hostname));
	buf_adds(t->out, "\r\n");
	if (slice_trim(s).len) {
		buf_adds(t->out, "  Subject:  ");
		notice_words(t->out, 12, "            ", s);
	}
	buf_printf(t->out, "  Accepted: %s\r\n", date_text(t, t->n->item->created_ms));
	buf_free(&subject);
}

static void human(const struct notice_item *n, struct pool *pool, bool full,
		  struct notice_part *out)
{
	struct text t = {n, pool, &out->text};
	which_message(&t);
	group(&t, NOTICE_FAILED,
	      "It could not be delivered to the following recipients, and will not"
	      " be tried again for them.");
	group(&t, NOTICE_DELAYED,
	      "It could not be delivered yet to the following recipients. It will be"
	      " tried again; you need not do anything.");
	group(&t, NOTICE_RELAYED,
	      "It was handed on to other mail systems for the following recipients."
	      " You will hear no more of it from here.");
	group(&t, NOTICE_EXPANDED,
	      "It was accepted for the following addresses, each of which is one of several"
	      " people. You will be told only if it fails for one of them.");
	group(&t, NOTICE_DELIVERED, "It was delivered to the following recipients.");
	if (n->original.len) {
		buf_adds(t.out, "\r\n");
		sentence(&t, "",
			 full ? "The message is attached."
			      : "The header of the message is attached.");
	}
	out->eight = !str_ascii(buf_slice(&out->text));
	out->type = out->eight ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii";
}

/* --- the header ------------------------------------------------------------------------------- */

static const char *subject(const struct notice_item *n)
{
	return notice_has(n, NOTICE_FAILED)    ? "Not delivered:"
	       : notice_has(n, NOTICE_DELAYED) ? "Delayed:"
	       : notice_has(n, NOTICE_RELAYED) ? "Relayed:"
					       : "Delivered:";
}

/* The original's subject as it stands there, in encoded words when it has them: whole words. */
static struct slice about_text(const struct notice_item *n, struct pool *pool)
{
	struct slice s = notice_field(n, pool, "Subject");
	if (s.len > SUBJECT_MAX)
		for (s.len = SUBJECT_MAX; s.len && s.p[s.len - 1] != ' ';)
			s.len--;
	s = slice_trim(str_ascii(s) ? notice_clean(pool, s, s.len, true) : SLICE(""));
	return s.len ? s : SLICE("your message");
}

static bool is_message_id(struct slice s)
{
	if (s.len < 3 || s.len > WORD_MAX || s.p[0] != '<' || s.p[s.len - 1] != '>')
		return false;
	for (size_t i = 1; i < s.len - 1; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 127 || s.p[i] == '<' || s.p[i] == '>')
			return false;
	return true;
}

/* So that it stands in the thread of the original (RFC 5322 3.6.4). */
static void add_references(const struct notice_item *n, struct pool *pool, struct buf *out)
{
	struct slice id = notice_field(n, pool, "Message-ID");
	struct slice refs = notice_field(n, pool, "References");
	struct buf ids = {.max = IDS_MAX};
	if (!is_message_id(id))
		return;
	for (struct slice w = slice_word(&refs); w.len; w = slice_word(&refs))
		if (is_message_id(w))
			buf_printf(&ids, "%.*s ", SLICE_FMT(w));
	buf_add_slice(&ids, id);
	buf_printf(out, "In-Reply-To: %.*s\r\nReferences: ", SLICE_FMT(id));
	notice_words(out, 12, " ", buf_slice(&ids));
	buf_free(&ids);
}

static void add_header(const struct notice_item *n, struct pool *pool, const char *boundary,
		       bool eight, struct buf *out)
{
	char date[40];
	struct slice to = notice_clean(pool, n->item->sender, ADDR_TEXT / 2, false);
	clock_rfc5322(date, sizeof(date), n->now_ms);
	if (n->local)
		buf_adds(out, "Return-Path: <>\r\n");
	buf_printf(out, "Received: by %s id %s; %s\r\n", n->hostname, n->id, date);
	buf_printf(out, "Date: %s\r\n", date);
	buf_printf(out, "From: Mail Delivery System <%s>\r\n", n->from);
	buf_printf(out, "To: <%.*s>\r\n", SLICE_FMT(to));
	buf_printf(out, "Subject: %s ", subject(n));
	notice_words(out, 24, " ", about_text(n, pool));
	buf_printf(out, "Message-ID: <%s@%s>\r\n", n->id, n->hostname);
	add_references(n, pool, out);
	buf_adds(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
	buf_printf(out,
		   "Content-Type: multipart/report; report-type=delivery-status;\r\n"
		   " boundary=\"%s\"\r\n",
		   boundary);
	if (eight)
		buf_adds(out, "Content-Transfer-Encoding: 8bit\r\n");
}

/* --- the whole -------------------------------------------------------------------------------- */

enum { PARTS = 3 };

static bool occurs(const struct notice_part *part, const char *boundary)
{
	for (int i = 0; i < PARTS; i++)
		if (part[i].text.len &&
		    memmem(part[i].text.p, part[i].text.len, boundary, strlen(boundary)))
			return true;
	return false;
}

static const char *boundary_for(const struct notice_item *n, struct pool *pool,
				const struct notice_part *part)
{
	const char *b = pool_printf(pool, "=_%s", n->id);
	for (unsigned i = 1; occurs(part, b); i++)
		b = pool_printf(pool, "=_%s_%u", n->id, i);
	return b;
}

static void add_part(const struct notice_part *p, const char *boundary, const char *description,
		     struct buf *out)
{
	buf_printf(out, "\r\n--%s\r\nContent-Type: %s\r\nContent-Description: %s\r\n", boundary,
		   p->type, description);
	if (p->eight)
		buf_adds(out, "Content-Transfer-Encoding: 8bit\r\n");
	buf_adds(out, "\r\n");
	buf_add_slice(out, buf_slice(&p->text));
}

uint32_t notice_compose(const struct notice_item *n, struct buf *out)
{
	struct pool *pool = pool_new(4096);
	struct notice_part part[PARTS] = {0};
	uint32_t flags = n->item->flags & DELIVER_REQUIRETLS; /* RFC 8689 5 */
	bool full = notice_original(n, pool, &part[2]);
	notice_report(n, pool, &part[1]);
	human(n, pool, full, &part[0]);
	bool eight = part[0].eight || part[1].eight || part[2].eight;
	const char *boundary = boundary_for(n, pool, part);
	size_t from = out->len;
	add_header(n, pool, boundary, eight, out);
	bool utf8 = !str_ascii((struct slice){out->p + from, out->len - from});
	add_part(&part[0], boundary, "Notice", out);
	add_part(&part[1], boundary, "Delivery report", out);
	add_part(&part[2], boundary, full ? "Message" : "Header of the message", out);
	buf_printf(out, "\r\n--%s--\r\n", boundary);
	if (eight)
		flags |= DELIVER_8BIT;
	if (utf8)
		flags |= DELIVER_8BIT | DELIVER_SMTPUTF8;
	for (int i = 0; i < PARTS; i++)
		buf_free(&part[i].text);
	pool_free(&pool);
	return flags;
}
