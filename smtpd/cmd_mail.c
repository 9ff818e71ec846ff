/* MAIL and RCPT with their parameters: SIZE (RFC 1870), BODY (RFC 6152, 3030), SMTPUTF8 (RFC
 * 6531), RET ENVID NOTIFY ORCPT (RFC 3461), AUTH (RFC 4954 5). */
#include "smtpd/smtpd.h"
#include "libcommon/mail/addr.h"

enum { ENVID_MAX = 100, ORCPT_MAX = 500, AUTH_PARAM_MAX = 500, SIZE_DIGITS = 20 };

/* --- parameters ---------------------------------------------------------------------------- */

/* Reads one value; false when it is malformed. */
typedef bool param_fn(struct slice value, struct mail_params *p);

static bool par_size(struct slice v, struct mail_params *p)
{
	return v.len <= SIZE_DIGITS && str_u64(v, &p->size);
}

static bool par_body(struct slice v, struct mail_params *p)
{
	if (slice_ieqs(v, "7BIT"))
		return true;
	if (slice_ieqs(v, "8BITMIME"))
		p->flags |= DELIVER_8BIT;
	else if (slice_ieqs(v, "BINARYMIME"))
		p->flags |= DELIVER_8BIT | DELIVER_BINARY;
	else
		return false;
	p->binary = p->flags & DELIVER_BINARY;
	return true;
}

static bool par_utf8(struct slice v, struct mail_params *p)
{
	(void)v;
	p->utf8 = true;
	p->flags |= DELIVER_SMTPUTF8 | DELIVER_8BIT;
	return true;
}

static bool par_ret(struct slice v, struct mail_params *p)
{
	if (slice_ieqs(v, "FULL"))
		p->flags |= DELIVER_RET_FULL;
	else if (slice_ieqs(v, "HDRS"))
		p->flags |= DELIVER_RET_HDRS;
	else
		return false;
	return true;
}

static bool xtext_ok(struct slice v, size_t max)
{
	char out[ORCPT_MAX];
	return v.len && v.len <= max && xtext_decode(out, v) >= 0;
}

static bool par_envid(struct slice v, struct mail_params *p)
{
	p->envid = v;
	return xtext_ok(v, ENVID_MAX);
}

/* Who submitted it elsewhere: read, not believed (RFC 4954 5). */
static bool par_auth(struct slice v, struct mail_params *p)
{
	(void)p;
	return slice_eqs(v, "<>") || xtext_ok(v, AUTH_PARAM_MAX);
}

static bool par_notify(struct slice v, struct mail_params *p)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} WORDS[] = {
	    {"SUCCESS", NOTIFY_SUCCESS}, {"FAILURE", NOTIFY_FAILURE}, {"DELAY", NOTIFY_DELAY}};
	if (slice_ieqs(v, "NEVER")) {
		p->notify = NOTIFY_NEVER;
		return true;
	}
	if (!v.len || v.p[v.len - 1] == ',')
		return false;
	while (v.len) {
		struct slice word = slice_cut(&v, ',');
		uint32_t bit = 0;
		for (size_t i = 0; i < 3; i++)
			if (slice_ieqs(word, WORDS[i].name))
				bit = WORDS[i].bit;
		if (!bit)
			return false;
		p->notify |= bit;
	}
	return true;
}

/* "rfc822;xtext", "utf-8;..." (RFC 6533 3). */
static bool par_orcpt(struct slice v, struct mail_params *p)
{
	struct slice rest = v;
	struct slice type = slice_cut(&rest, ';');
	p->orcpt = v;
	if (v.len > ORCPT_MAX || !type.len || !rest.len || type.len + 1 + rest.len != v.len)
		return false;
	for (size_t i = 0; i < type.len; i++) {
		char c = str_lower(type.p[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return false;
	}
	if (slice_ieqs(type, "utf-8"))
		return str_print(rest) && str_utf8(rest);
	return xtext_ok(rest, ORCPT_MAX);
}

static const struct param {
	const char *name;
	unsigned where; /* PARAM_* */
	bool has_value;
	param_fn *fn;
} PARAMS[] = {
    {"SIZE", PARAM_MAIL, true, par_size},      {"BODY", PARAM_MAIL, true, par_body},
    {"SMTPUTF8", PARAM_MAIL, false, par_utf8}, {"RET", PARAM_MAIL, true, par_ret},
    {"ENVID", PARAM_MAIL, true, par_envid},    {"AUTH", PARAM_MAIL, true, par_auth},
    {"NOTIFY", PARAM_RCPT, true, par_notify},  {"ORCPT", PARAM_RCPT, true, par_orcpt},
};
#define PARAM_COUNT (sizeof(PARAMS) / sizeof(PARAMS[0]))

const struct reply *params_parse(struct slice args, unsigned which, struct mail_params *out)
{
	static const struct reply UNKNOWN = {555, "5.5.4", "unknown parameter"};
	static const struct reply TWICE = {501, "5.5.4", "the same parameter twice"};
	static const struct reply MALFORMED = {501, "5.5.4", "malformed parameter"};
	*out = (struct mail_params){0};
	for (;;) {
		struct slice word = slice_word(&args);
		if (!word.len)
			return NULL;
		const char *eq = memchr(word.p, '=', word.len);
		struct slice name = {word.p, eq ? (size_t)(eq - word.p) : word.len};
		struct slice value = {eq ? eq + 1 : "", eq ? word.len - name.len - 1 : 0};
		size_t i = 0;
		while (i < PARAM_COUNT &&
		       !((PARAMS[i].where & which) && slice_ieqs(name, PARAMS[i].name)))
			i++;
		if (i == PARAM_COUNT)
			return &UNKNOWN;
		if (out->seen & (1u << i))
			return &TWICE;
		out->seen |= 1u << i;
		if ((eq != NULL) != PARAMS[i].has_value || !PARAMS[i].fn(value, out))
			return &MALFORMED;
	}
}

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
	if (!s->user) {
		reply_send(s, &OK);
		return;
	}
	struct slot *slot = session_slot(s, false);
	slot->rcpt.given = t->sender;
	backend_sender(slot);
}

enum cmd_result cmd_mail(struct session *s, struct slice args)
{
	struct addr a = {0};
	struct mail_params p;
	struct slice rest = args;
	const struct reply *no = mail_order(s);
	if (!no)
		no = read_path(&rest, "FROM:", ADDR_NULL, &a);
	if (!no)
		no = read_params(s, rest, PARAM_MAIL, &p);
	if (!no)
		no = mail_limits(&a, &p);
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
	struct addr a = {0};
	struct mail_params p;
	struct slice rest = args;
	const struct reply *no = rcpt_order(s);
	if (!no)
		no = read_path(&rest, "TO:", ADDR_POSTMASTER, &a);
	if (!no)
		no = read_params(s, rest, PARAM_RCPT, &p);
	if (!no && a.utf8 && !s->txn->utf8)
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
