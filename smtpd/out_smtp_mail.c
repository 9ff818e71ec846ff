/* A transaction: [RSET] MAIL RCPT... DATA|BDAT content reply. With PIPELINING all commands up to
 * DATA leave at once (RFC 2920) and `step` walks over their replies; without, each is sent when its
 * turn comes. BDAT comes after the replies to RCPT, as one chunk: nothing is sent in vain, and it
 * takes no more round trips than DATA does. */
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/store.h"
#include "smtpd/out_int.h"

enum {
	BLOCK = 16384, /* octets of content made at a time */
	BY_MAX = 999999999,
	BLOCKS = 64, /* ... before the others of the loop get their turn */
};

/* --- verdicts ------------------------------------------------------------------------------ */

static void decide(struct out_txn *t, size_t i, const struct out_verdict *v)
{
	if (t->mark[i] == OUT_DECIDED)
		return;
	if (t->mark[i] == OUT_ACCEPTED)
		t->accepted--;
	t->mark[i] = OUT_DECIDED;
	t->verdict[i] = *v;
}

static void decide_all(struct out_txn *t, const struct out_verdict *v)
{
	for (size_t i = 0; i < t->mail->rcpt_n; i++)
		decide(t, i, v);
}

static void txn_free(struct out_txn *t)
{
	struct pool *pool = t->pool;
	buf_free(&t->block);
	pool_free(&pool);
}

void out_mail_free(struct out *o)
{
	struct out_txn *t = o->txn;
	if (!t)
		return;
	o->txn = NULL;
	body_unmap(t->mail->body, &t->map);
	txn_free(t);
}

/* All have their verdicts. The mail may be gone behind on_done. */
static void finish(struct out *o)
{
	struct out_txn *t = o->txn;
	o->txn = NULL;
	timer_clear(&o->timer);
	timer_clear(&o->total);
	o->step = OUT_READY;
	body_unmap(t->mail->body, &t->map);
	if (!o->gone)
		o->ops->on_done(o, o->arg, t->verdict, t->mail->rcpt_n);
	txn_free(t);
	if (!o->over && !o->txn && !out_usable(o))
		out_over_text(o, OUT_FULL, "4.5.0", "the server takes no more mail at once");
}

void out_mail_lost(struct out *o, const struct out_verdict *v)
{
	if (!o->txn)
		return;
	decide_all(o->txn, v);
	finish(o);
}

/* All have the verdict of the reply just read, and the connection is of no use behind it. */
static void finish_over(struct out *o)
{
	struct out_verdict v = out_verdict_of(o, o->txn->pool);
	decide_all(o->txn, &v);
	out_over_reply(o, OUT_CLOSED);
}

/* --- content ------------------------------------------------------------------------------- */

static void body_later(void *arg)
{
	struct out *o = arg;
	if (!o->over && o->txn && o->step == OUT_BODY)
		out_mail_drain(o);
	out_drop(o);
}

/* Writes content until the stream is full or all is out. */
void out_mail_drain(struct out *o)
{
	struct out_txn *t = o->txn;
	bool more = true, room = true;
	for (int i = 0; more && room && i < BLOCKS; i++) {
		buf_clear(&t->block);
		more = out_text_next(&t->text, &t->block, BLOCK);
		if (!more && !t->chunked)
			buf_adds(&t->block, ".\r\n");
		room = stream_write(o->stream, t->block.p, t->block.len);
	}
	if (!more) {
		t->end_sent = true;
		out_wait(o, OUT_DOT, o->opt.times.dot);
		return;
	}
	out_wait(o, OUT_BODY, o->opt.times.block);
	if (room) {
		out_hold(o);
		loop_defer(body_later, o);
	}
}

static void body_begin(struct out *o)
{
	struct out_txn *t = o->txn;
	t->text = (struct out_text){.in = t->map, .raw = t->binary, .dots = !t->chunked};
	t->at = 0;
	if (t->chunked)
		out_command(o, "BDAT %llu LAST", (unsigned long long)t->size);
	o->step = OUT_BODY;
	o->said = true;
	out_mail_drain(o);
}

/* DATA was taken although no recipient was: the message is ended at once (RFC 2920 3.1). */
static void body_empty(struct out *o)
{
	o->said = true;
	stream_writes(o->stream, ".\r\n");
	if (!o->opt.lmtp) {
		out_wait(o, OUT_DOT, o->opt.times.dot);
		return;
	}
	/* LMTP has a reply for each recipient, so for nobody none; what such a server does, nobody
	 * knows (RFC 2033 4.2 wants 503). */
	out_over_text(o, OUT_GARBAGE, "4.5.0", "DATA was taken without recipients");
}

/* --- commands ------------------------------------------------------------------------------ */

/* A parameter that came from elsewhere and that cannot leave its place; empty: it is not there. */
static bool word_ok(struct slice s)
{
	return s.len && str_ascii(s) && str_print(s) && !memchr(s.p, ' ', s.len);
}

/* Seconds that are left of the time to deliver in; less than 0: it is over. */
static int64_t by_left(const struct out_mail *m)
{
	uint64_t now = clock_ms();
	uint64_t ms = m->deliver_by_ms > now ? m->deliver_by_ms - now : now - m->deliver_by_ms;
	int64_t s = ms / 1000 < BY_MAX ? (int64_t)(ms / 1000) : BY_MAX;
	return m->deliver_by_ms > now ? s : -s;
}

/* Who wants it back after its time must not have it passed to a host that would keep it (RFC 2852).
 */
static bool by_refused(const struct out *o, const struct out_mail *m)
{
	int64_t left = by_left(m);
	if (!m->deliver_by_ms || (m->flags & DELIVER_BY_NOTIFY))
		return false;
	return !(o->caps.flags & OUT_CAP_DELIVERBY) || left <= 0 || (uint64_t)left < o->caps.by_min;
}

static void mail_command(struct out *o)
{
	const struct out_txn *t = o->txn;
	const struct out_mail *m = t->mail;
	unsigned caps = o->caps.flags;
	struct buf b = {0};
	buf_printf(&b, "MAIL FROM:<%.*s>", SLICE_FMT(m->sender));
	if (caps & OUT_CAP_SIZE)
		buf_printf(&b, " SIZE=%llu", (unsigned long long)t->size);
	if (t->binary)
		buf_adds(&b, " BODY=BINARYMIME");
	else if (t->eight)
		buf_adds(&b, " BODY=8BITMIME");
	if (t->utf8)
		buf_adds(&b, " SMTPUTF8");
	if (m->flags & DELIVER_REQUIRETLS)
		buf_adds(&b, " REQUIRETLS");
	if ((caps & OUT_CAP_DSN) && (m->flags & (DELIVER_RET_FULL | DELIVER_RET_HDRS)))
		buf_adds(&b, m->flags & DELIVER_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if ((caps & OUT_CAP_DSN) && word_ok(m->envid))
		buf_printf(&b, " ENVID=%.*s", SLICE_FMT(m->envid));
	if ((caps & OUT_CAP_DELIVERBY) && m->deliver_by_ms)
		buf_printf(&b, " BY=%lld;%s%s", (long long)by_left(m),
			   m->flags & DELIVER_BY_NOTIFY ? "N" : "R",
			   m->flags & DELIVER_BY_TRACE ? "T" : "");
	out_command(o, "%s", buf_cstr(&b));
	buf_free(&b);
}

static void rcpt_command(struct out *o, const struct out_rcpt *r)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} NOTIFY[] = {{NOTIFY_NEVER, "NEVER"},
		      {NOTIFY_SUCCESS, "SUCCESS"},
		      {NOTIFY_FAILURE, "FAILURE"},
		      {NOTIFY_DELAY, "DELAY"}};
	struct buf b = {0};
	char sep = '=';
	buf_printf(&b, "RCPT TO:<%.*s>", SLICE_FMT(r->addr));
	if ((o->caps.flags & OUT_CAP_DSN) && r->notify) {
		buf_adds(&b, " NOTIFY");
		for (size_t i = 0; i < sizeof(NOTIFY) / sizeof(NOTIFY[0]); i++) {
			if (!(r->notify & NOTIFY[i].flag))
				continue;
			buf_addc(&b, sep);
			buf_adds(&b, NOTIFY[i].name);
			sep = ',';
		}
	}
	if ((o->caps.flags & OUT_CAP_DSN) && word_ok(r->orcpt))
		buf_printf(&b, " ORCPT=%.*s", SLICE_FMT(r->orcpt));
	out_command(o, "%s", buf_cstr(&b));
	buf_free(&b);
}

static void command(struct out *o, enum out_step step)
{
	struct out_txn *t = o->txn;
	if (step == OUT_RSET)
		out_command(o, "RSET");
	else if (step == OUT_MAIL)
		mail_command(o);
	else if (step == OUT_RCPT)
		rcpt_command(o, &t->mail->rcpt[t->at]);
	else
		out_command(o, "DATA");
}

/* Goes on to the reply of `step`, whose command is said now unless it has been. */
static void go(struct out *o, enum out_step step)
{
	const struct out_times *times = &o->opt.times;
	uint64_t ms = step == OUT_RSET   ? times->hello
		      : step == OUT_MAIL ? times->mail
		      : step == OUT_RCPT ? times->rcpt
					 : times->data;
	if (!o->txn->pipelined)
		command(o, step);
	out_wait(o, step, ms);
}

/* To the next recipient that RCPT was, or is to be, said for; behind the last to the content. */
static void go_rcpt(struct out *o, size_t from)
{
	struct out_txn *t = o->txn;
	/* Pipelined behind a refused MAIL all are decided, and their replies still come. */
	for (t->at = from; t->at < t->mail->rcpt_n; t->at++)
		if (t->asked[t->at])
			break;
	if (t->at < t->mail->rcpt_n)
		go(o, OUT_RCPT);
	else if (t->pipelined && !t->chunked)
		go(o, OUT_DATA); /* already said */
	else if (t->accepted == 0)
		finish(o);
	else if (t->chunked)
		body_begin(o);
	else
		go(o, OUT_DATA);
}

/* --- replies ------------------------------------------------------------------------------- */

static void misfit(struct out *o)
{
	out_over_text(o, OUT_GARBAGE, "4.5.0", "a reply that does not fit the command");
}

static void mail_reply(struct out *o, unsigned class)
{
	struct out_txn *t = o->txn;
	if (class != 2) {
		struct out_verdict v = out_verdict_of(o, t->pool);
		decide_all(t, &v);
		if (!t->pipelined) {
			finish(o);
			return;
		}
	}
	go_rcpt(o, 0);
}

static void rcpt_reply(struct out *o, unsigned class)
{
	struct out_txn *t = o->txn;
	size_t i = t->at;
	if (t->mark[i] == OUT_OPEN && class == 2) {
		t->mark[i] = OUT_ACCEPTED;
		t->accepted++;
	} else if (t->mark[i] == OUT_OPEN) {
		struct out_verdict v = out_verdict_of(o, t->pool);
		/* "Too many recipients" by those who take 552 for it (RFC 5321 4.5.3.1.10). */
		if (v.code == 552 && (!o->reply.status[0] || strcmp(v.status, "5.5.3") == 0))
			v.state = OUT_TEMP;
		decide(t, i, &v);
	}
	go_rcpt(o, i + 1);
}

static void data_reply(struct out *o, unsigned class)
{
	struct out_txn *t = o->txn;
	if (class == 3 && t->accepted) {
		body_begin(o);
	} else if (class == 3) {
		body_empty(o);
	} else {
		struct out_verdict v = out_verdict_of(o, t->pool);
		decide_all(t, &v);
		finish(o);
	}
}

/* The reply to the content: one for all, by LMTP one for each accepted recipient (RFC 2033 4.2). */
static void dot_reply(struct out *o, unsigned class)
{
	struct out_txn *t = o->txn;
	struct out_verdict v = out_verdict_of(o, t->pool);
	o->dirty = class != 2;
	if (!o->opt.lmtp) {
		decide_all(t, &v);
		finish(o);
		return;
	}
	while (t->mark[t->at] != OUT_ACCEPTED)
		t->at++;
	decide(t, t->at, &v);
	if (t->accepted)
		out_wait(o, OUT_DOT, o->opt.times.dot);
	else
		finish(o);
}

void out_mail_reply(struct out *o)
{
	unsigned class = o->reply.code / 100;
	/* The content is not out yet: it is refused without being read. */
	bool early = o->step == OUT_BODY || (o->step == OUT_DOT && stream_queued(o->stream));
	bool fits = o->step == OUT_DATA ? class != 2 : class != 3;
	if (o->reply.code == 421 || (early && class > 3))
		finish_over(o);
	else if (!fits || early || (o->step == OUT_RSET && class != 2))
		misfit(o);
	else if (o->step == OUT_RSET)
		go(o, OUT_MAIL);
	else if (o->step == OUT_MAIL)
		mail_reply(o, class);
	else if (o->step == OUT_RCPT)
		rcpt_reply(o, class);
	else if (o->step == OUT_DATA)
		data_reply(o, class);
	else
		dot_reply(o, class);
}

/* --- the beginning ------------------------------------------------------------------------- */

bool out_ended(const struct out *o)
{
	return o->txn && o->txn->end_sent;
}

static bool takes_binary(const struct out *o)
{
	return !(~o->caps.flags & (OUT_CAP_BINARYMIME | OUT_CAP_CHUNKING));
}

/* Refuses for all what the server cannot take. */
static void check_mail(struct out *o)
{
	struct out_txn *t = o->txn;
	const struct out_mail *m = t->mail;
	unsigned caps = o->caps.flags;
	bool verified = o->opt.tls == OUT_TLS_VERIFY;
	const char *status = NULL, *text = NULL;
	if (!str_print(m->sender)) {
		status = "5.1.7";
		text = "the sender's address cannot be sent";
	} else if (t->utf8 && !(caps & OUT_CAP_SMTPUTF8)) {
		status = "5.6.7";
		text = "the server does not take internationalized addresses (SMTPUTF8)";
	} else if ((m->flags & DELIVER_REQUIRETLS) &&
		   !((caps & OUT_CAP_REQUIRETLS) && verified && stream_tls(o->stream))) {
		status = "5.7.30";
		text = "REQUIRETLS is not supported by the server, or its TLS is not verified";
	} else if (t->binary && !takes_binary(o)) {
		status = "5.6.3";
		text = "the server does not take binary content (BINARYMIME)";
	} else if (!t->binary && t->eight && !(caps & OUT_CAP_8BITMIME)) {
		status = "5.6.3";
		text = "the server does not take 8-bit content (8BITMIME)";
	} else if (o->caps.size && t->size > o->caps.size) {
		status = "5.3.4";
		text = "the message is larger than the server takes";
	} else if (by_refused(o, m)) {
		status = "5.3.3";
		text = "the server does not return what is late (DELIVERBY), as the sender asked";
	}
	if (status) {
		struct out_verdict v = out_verdict_own(o, OUT_PERM, status, text);
		decide_all(t, &v);
	}
}

/* Refuses recipients that cannot be named. Returns how many are asked for. */
static size_t check_rcpts(struct out *o)
{
	struct out_txn *t = o->txn;
	struct out_verdict bad =
	    out_verdict_own(o, OUT_PERM, "5.1.3", "the recipient's address cannot be sent");
	struct out_verdict many =
	    out_verdict_own(o, OUT_TEMP, "4.5.3", "the server takes no more recipients at once");
	size_t asked = 0;
	bad.at = many.at = out_step_name(OUT_RCPT);
	for (size_t i = 0; i < t->mail->rcpt_n; i++) {
		struct slice addr = t->mail->rcpt[i].addr;
		if (!addr.len || !str_print(addr))
			decide(t, i, &bad);
		else if (o->caps.rcpt_max && asked >= o->caps.rcpt_max)
			decide(t, i, &many);
		t->asked[i] = t->mark[i] == OUT_OPEN;
		asked += t->asked[i] ? 1 : 0;
	}
	return asked;
}

static void refused_later(void *arg)
{
	struct out *o = arg;
	if (o->txn && o->txn->refused && !o->over)
		finish(o);
	out_drop(o);
}

/* A message that came with SMTPUTF8 and needs it nowhere goes without (RFC 6531 3.4), so that hosts
 * that do not have it can take it. */
static bool wants_utf8(const struct out_mail *m, bool eight)
{
	bool utf8 = ((m->flags & DELIVER_SMTPUTF8) && eight) || !str_ascii(m->sender);
	for (size_t i = 0; i < m->rcpt_n && !utf8; i++)
		utf8 = !str_ascii(m->rcpt[i].addr);
	return utf8;
}

static struct out_txn *txn_new(const struct out_mail *m)
{
	struct pool *pool = pool_new(0);
	struct out_txn *t = pool_alloc(pool, sizeof(*t));
	t->pool = pool;
	t->mail = m;
	t->verdict = pool_alloc(pool, m->rcpt_n * sizeof(*t->verdict));
	t->mark = pool_alloc(pool, m->rcpt_n * sizeof(*t->mark));
	t->asked = pool_alloc(pool, m->rcpt_n * sizeof(*t->asked));
	return t;
}

static void begin(struct out *o)
{
	struct out_txn *t = o->txn;
	enum out_step first = o->dirty ? OUT_RSET : OUT_MAIL;
	t->pipelined = (o->caps.flags & OUT_CAP_PIPELINING) != 0;
	t->chunked = (o->caps.flags & OUT_CAP_CHUNKING) != 0;
	out_total(o, o->opt.times.mail_all + t->size / o->opt.times.min_rate * 1000);
	if (t->pipelined) {
		if (o->dirty)
			command(o, OUT_RSET);
		command(o, OUT_MAIL);
		for (t->at = 0; t->at < t->mail->rcpt_n; t->at++)
			if (t->asked[t->at])
				command(o, OUT_RCPT);
		if (!t->chunked)
			command(o, OUT_DATA);
	}
	o->dirty = true;
	o->mails++;
	go(o, first);
}

bool out_send(struct out *o, const struct out_mail *m)
{
	if (!out_usable(o) || m->rcpt_n == 0)
		return false;
	struct out_txn *t = o->txn = txn_new(m);
	o->step = OUT_MAIL;
	if (body_map(m->body, &t->map)) {
		t->eight = !str_ascii(t->map);
		t->utf8 = wants_utf8(m, t->eight);
		t->binary =
		    (m->flags & DELIVER_BINARY) && (takes_binary(o) || !out_text_plain(t->map));
		t->size = out_text_size(t->map, t->binary);
		check_mail(o);
	} else {
		struct out_verdict v =
		    out_verdict_own(o, OUT_TEMP, "4.3.0", "the message cannot be read");
		decide_all(t, &v);
	}
	if (check_rcpts(o)) {
		begin(o);
		return true;
	}
	t->refused = true;
	out_hold(o);
	loop_defer(refused_later, o);
	return true;
}
