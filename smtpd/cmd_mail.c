/* MAIL and RCPT. */
#include "smtpd/smtpd.h"
#include "libcommon/base/clock.h"
#include "libcommon/mail/addr.h"

/* --- paths --------------------------------------------------------------------------------- */

/* "FROM:<path> parameters": the path into *a, args on to the parameters. A blank after the colon
 * is common and harmless. NULL, or the refusal. */
static const struct reply *read_path(struct slice *args, const char *word, unsigned flags,
				     struct addr *a)
{
	static const struct reply NO_WORD = {501, "5.5.4",
					     "MAIL FROM:<address>, RCPT TO:<address>"};
	static const struct reply BAD_FROM = {501, "5.1.7", "malformed sender address"};
	static const struct reply BAD_TO = {501, "5.1.3", "malformed recipient address"};
	size_t n = strlen(word), used;
	if (!slice_istarts(*args, word))
		return &NO_WORD;
	struct slice rest = slice_trim((struct slice){args->p + n, args->len - n});
	/* Whether UTF-8 is allowed is known after the parameters only. */
	if (addr_path(rest, flags | ADDR_UTF8, a, &used) != ADDR_OK)
		return word[0] == 'F' ? &BAD_FROM : &BAD_TO;
	*args = (struct slice){rest.p + used, rest.len - used};
	if (args->len && args->p[0] != ' ')
		return word[0] == 'F' ? &BAD_FROM : &BAD_TO;
	return NULL;
}

/* Extensions are for those who said EHLO. */
static const struct reply *read_params(struct session *s, struct slice args, unsigned which,
				       struct mail_params *p)
{
	static const struct reply NO_EHLO = {555, "5.5.4", "parameters need EHLO"};
	const struct reply *no = params_parse(args, which, p);
	return !no && p->seen && !s->esmtp ? &NO_EHLO : no;
}

/* Local programs write addresses without a domain. */
static unsigned bare(const struct session *s)
{
	return s->local ? ADDR_BARE : 0;
}

/* --- MAIL ---------------------------------------------------------------------------------- */

static const struct reply *mail_order(const struct session *s)
{
	static const struct reply NO_HELLO = {503, "5.5.1", "EHLO first"};
	static const struct reply NESTED = {503, "5.5.1",
					    "a transaction is under way: RSET ends it"};
	static const struct reply NO_AUTH = {530, "5.7.0", "authentication required"};
	static const struct reply NO_TLS = {530, "5.7.0", "issue STARTTLS first, then AUTH"};
	static const struct reply MANY = {421, "4.7.0", "too many messages, connect again"};
	if (!s->helo)
		return &NO_HELLO;
	if (s->txn)
		return &NESTED;
	if (s->service->submission && !s->user)
		return auth_allowed(s) ? &NO_AUTH : &NO_TLS;
	return conf.max_messages && s->messages >= conf.max_messages ? &MANY : NULL;
}

static const struct reply *mail_limits(const struct addr *a, const struct mail_params *p)
{
	static const struct reply BIG = {552, "5.3.4", "the message is larger than is taken here"};
	static const struct reply UTF8 = {553, "5.6.7", "a UTF-8 address needs SMTPUTF8"};
	if (p->size > conf.max_size)
		return &BIG;
	return a->utf8 && !p->utf8 ? &UTF8 : NULL;
}

/* Parameters of extensions that are not offered here or now. */
static const struct reply *mail_offered(const struct session *s, const struct mail_params *p)
{
	static const struct reply HOLD = {555, "5.5.4", "FUTURERELEASE is not offered here"};
	static const struct reply TLS = {530, "5.7.0", "REQUIRETLS needs STARTTLS first"};
	if ((p->hold_for_ms || p->hold_until_ms) && !hold_allowed(s))
		return &HOLD;
	return (p->flags & DELIVER_REQUIRETLS) && !s->tls && !s->local ? &TLS : NULL;
}

/* When it is to be released and delivered (RFC 4865, RFC 2852), from now on. */
static const struct reply *mail_times(struct mail_params *p, uint64_t now_ms)
{
	static const struct reply LONG = {501, "5.5.4",
					  "the message cannot be held that long (see EHLO)"};
	static const struct reply SOON = {555, "5.5.4", "BY is too short a time (see EHLO)"};
	static const struct reply ORDER = {501, "5.5.4",
					   "BY is before the time that the message is held until"};
	if (p->hold_for_ms)
		p->hold_until_ms = now_ms + p->hold_for_ms;
	if (p->hold_until_ms > now_ms + conf.max_hold)
		return &LONG;
	if (!p->has_by)
		return NULL;
	p->deliver_by_ms = (uint64_t)((int64_t)now_ms + p->by_ms);
	if (!(p->flags & DELIVER_BY_NOTIFY) && p->by_ms < (int64_t)conf.min_deliver_by)
		return &SOON;
	return p->hold_until_ms && p->deliver_by_ms <= p->hold_until_ms ? &ORDER : NULL;
}

static void mail_begin(struct session *s, const struct addr *a, const struct mail_params *p)
{
	static const struct reply OK = {250, "2.1.0", "sender OK"};
	struct txn *t = session_begin(s);
	t->sender = slice_copy(t->pool, addr_text(a));
	t->envid = slice_copy(t->pool, p->envid);
	t->size = p->size;
	t->flags = p->flags | (s->user ? DELIVER_SUBMITTED : 0);
	t->utf8 = p->utf8;
	t->binary = p->binary;
	t->hold_until_ms = p->hold_until_ms;
	t->deliver_by_ms = p->deliver_by_ms;
	if (!s->user || s->local) { /* of a local user it is known already */
		reply_send(s, &OK);
		return;
	}
	struct slot *slot = session_slot(s, false);
	slot->rcpt.given = t->sender;
	backend_sender(slot);
}

/* What is so for users of this machine. */
static const struct reply *mail_local(struct session *s, struct addr *a)
{
	static const struct reply LONG = {501, "5.1.7", "the sender's address is too long"};
	if (!local_complete(a))
		return &LONG;
	const struct reply *no = local_sender(s, a);
	return no ? no : local_rate(s);
}

enum cmd_result cmd_mail(struct session *s, struct slice args)
{
	struct addr a = {0};
	struct mail_params p;
	struct slice rest = args;
	const struct reply *no = mail_order(s);
	if (!no)
		no = read_path(&rest, "FROM:", ADDR_NULL | bare(s), &a);
	if (!no)
		no = read_params(s, rest, PARAM_MAIL, &p);
	if (!no)
		no = mail_limits(&a, &p);
	if (!no && s->local)
		no = mail_local(s, &a);
	if (!no)
		no = mail_offered(s, &p);
	if (!no)
		no = mail_times(&p, clock_ms());
	if (!no) {
		mail_begin(s, &a, &p);
		return CMD_DONE;
	}
	reply_send(s, no);
	log_refused(s, "mail", args, no);
	return no->code == 421 ? CMD_CLOSE : CMD_DONE;
}

/* --- RCPT ---------------------------------------------------------------------------------- */

static const struct reply *rcpt_order(const struct session *s)
{
	static const struct reply NO_MAIL = {503, "5.5.1", "MAIL first"};
	static const struct reply LATE = {503, "5.5.1", "too late: BDAT was used"};
	static const struct reply MANY = {452, "4.5.3", "too many recipients"};
	static const struct reply FLOOD = {421, "4.5.3", "far too many recipients"};
	if (!s->txn)
		return &NO_MAIL;
	if (s->txn->chunked)
		return &LATE;
	/* Refused ones take memory too. */
	if (s->txn->asked_rcpts >= 2 * conf.max_recipients)
		return &FLOOD;
	return s->txn->rcpt_n + s->txn->pending_rcpts >= conf.max_recipients ? &MANY : NULL;
}

/* In turn with the answers to come. */
static void rcpt_refuse(struct session *s, const struct reply *no, struct slice args)
{
	if (s->txn) {
		struct slot *slot = session_slot(s, true);
		slot->rcpt.given = slice_copy(s->txn->pool, args);
		session_answer(slot, no);
		return;
	}
	reply_send(s, no);
}

enum cmd_result cmd_rcpt(struct session *s, struct slice args)
{
	static const struct reply UTF8 = {553, "5.6.7", "a UTF-8 address needs SMTPUTF8"};
	static const struct reply LONG = {501, "5.1.3", "the recipient's address is too long"};
	struct addr a = {0};
	struct mail_params p = {0};
	struct slice rest = args;
	const struct reply *no = rcpt_order(s);
	if (!no)
		no = read_path(&rest, "TO:", ADDR_POSTMASTER | bare(s), &a);
	if (!no)
		no = read_params(s, rest, PARAM_RCPT, &p);
	if (!no && s->local && !slice_eqs(addr_text(&a), "postmaster") && !local_complete(&a))
		no = &LONG;
	if (!no && (a.utf8 || !str_ascii(p.orcpt)) && !s->txn->utf8)
		no = &UTF8;
	if (no) {
		rcpt_refuse(s, no, args);
		return CMD_DONE;
	}
	struct slot *slot = session_slot(s, true);
	struct slice to = addr_domain(&a).len ? addr_text(&a) : slice_of(conf.postmaster);
	slot->rcpt.given = slice_copy(s->txn->pool, to);
	slot->rcpt.orcpt = slice_copy(s->txn->pool, p.orcpt);
	slot->rcpt.notify = p.notify;
	backend_rcpt(slot);
	return CMD_DONE;
}
