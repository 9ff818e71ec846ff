/* The parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152, 3030), SMTPUTF8 (RFC 6531), RET
 * ENVID NOTIFY ORCPT (RFC 3461), AUTH (RFC 4954 5), HOLDFOR HOLDUNTIL (RFC 4865), BY (RFC 2852),
 * REQUIRETLS (RFC 8689). What they say is checked here; whether it can be done, in cmd_mail.c. */
#include "smtpd/smtpd.h"
#include "libcommon/mail/addr.h"
#include "libcommon/mail/date.h"

enum { ENVID_MAX = 100, ORCPT_MAX = 500, AUTH_PARAM_MAX = 500, SIZE_DIGITS = 20, TIME_DIGITS = 9 };

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

/* What stands in it is shown in notices: printable ASCII (RFC 3461 4.2, 4.4). */
static bool xtext_ok(struct slice v, size_t max)
{
	char out[ORCPT_MAX];
	long n = v.len && v.len <= max ? xtext_decode(out, v) : -1;
	struct slice text = {out, n > 0 ? (size_t)n : 0};
	return n > 0 && str_print(text) && str_ascii(text);
}

static bool par_envid(struct slice v, struct mail_params *p)
{
	p->envid = v;
	return xtext_ok(v, ENVID_MAX);
}

static bool par_hold_for(struct slice v, struct mail_params *p)
{
	uint64_t s = 0;
	bool first = !p->hold_for_ms && !p->hold_until_ms;
	bool ok = v.len <= TIME_DIGITS && str_u64(v, &s) && s > 0;
	p->hold_for_ms = s * 1000;
	return first && ok;
}

static bool par_hold_until(struct slice v, struct mail_params *p)
{
	struct date d;
	bool first = !p->hold_for_ms && !p->hold_until_ms;
	bool ok = date_rfc3339(v, &d) && d.sec > 0;
	p->hold_until_ms = ok ? (uint64_t)d.sec * 1000 : 0;
	return first && ok;
}

/* "120;R", "-5;NT": in so many seconds, else returned or notified; T: traced. */
static bool par_by(struct slice v, struct mail_params *p)
{
	struct slice mode = v;
	struct slice time = slice_cut(&mode, ';');
	uint64_t s;
	bool past = slice_starts(time, "-");
	if (past || slice_starts(time, "+"))
		time = (struct slice){time.p + 1, time.len - 1};
	if (time.len > TIME_DIGITS || !str_u64(time, &s) || !mode.len || mode.len > 2)
		return false;
	if (slice_istarts(mode, "N"))
		p->flags |= DELIVER_BY_NOTIFY;
	else if (!slice_istarts(mode, "R") || past || s == 0)
		return false;
	if (mode.len == 2 && str_lower(mode.p[1]) != 't')
		return false;
	if (mode.len == 2)
		p->flags |= DELIVER_BY_TRACE;
	p->has_by = true;
	p->by_ms = (past ? -1 : 1) * (int64_t)s * 1000;
	return true;
}

static bool par_requiretls(struct slice v, struct mail_params *p)
{
	(void)v;
	p->flags |= DELIVER_REQUIRETLS;
	return true;
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
    {"SIZE", PARAM_MAIL, true, par_size},
    {"BODY", PARAM_MAIL, true, par_body},
    {"SMTPUTF8", PARAM_MAIL, false, par_utf8},
    {"RET", PARAM_MAIL, true, par_ret},
    {"ENVID", PARAM_MAIL, true, par_envid},
    {"AUTH", PARAM_MAIL, true, par_auth},
    {"NOTIFY", PARAM_RCPT, true, par_notify},
    {"ORCPT", PARAM_RCPT, true, par_orcpt},
    {"HOLDFOR", PARAM_MAIL, true, par_hold_for},
    {"HOLDUNTIL", PARAM_MAIL, true, par_hold_until},
    {"BY", PARAM_MAIL, true, par_by},
    {"REQUIRETLS", PARAM_MAIL, false, par_requiretls},
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
