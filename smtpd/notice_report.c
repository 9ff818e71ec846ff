/* The second part of a notice, for programs: RFC 3464, in UTF-8 by RFC 6533 when an address needs
 * it, with the field of RFC 2852. */
#include <arpa/inet.h>
#include "libcommon/base/clock.h"
#include "libcommon/mail/addr.h"
#include "smtpd/notice.h"

enum { VALUE_MAX = 2000, HOST_MAX = 255 };

struct report {
	const struct notice_item *n;
	struct pool *pool;
	struct buf *out;
	bool utf8; /* message/global-delivery-status */
};

/* "Name: type; value", when there is a value. */
static void field(struct report *r, const char *name, struct slice value)
{
	value = notice_clean(r->pool, value, VALUE_MAX, !r->utf8);
	if (slice_trim(value).len == 0)
		return;
	buf_printf(r->out, "%s ", name);
	notice_words(r->out, strlen(name) + 1, " ", value);
}

static void date(struct report *r, const char *name, uint64_t ms)
{
	char text[40];
	if (ms == 0)
		return;
	clock_rfc5322(text, sizeof(text), ms);
	field(r, name, slice_of(text));
}

static bool is_address(struct slice host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;
	if (!str_fmt(text, sizeof(text), "%.*s", SLICE_FMT(host)))
		return false;
	return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

static void remote(struct report *r, struct slice host)
{
	bool six = memchr(host.p ? host.p : "", ':', host.len) != NULL;
	if (host.len && is_address(host)) {
		const char *text =
		    pool_printf(r->pool, "[%s%.*s]", six ? "IPv6:" : "", SLICE_FMT(host));
		field(r, "Remote-MTA: dns;", slice_of(text));
	} else {
		field(r, "Remote-MTA: dns;",
		      (struct slice){host.p, host.len < HOST_MAX ? host.len : HOST_MAX});
	}
}

/* --- a recipient ------------------------------------------------------------------------------ */

static const char *action(uint32_t kind)
{
	static const char *const NAME[] = {
	    [NOTICE_NONE] = "failed",     [NOTICE_FAILED] = "failed",
	    [NOTICE_DELAYED] = "delayed", [NOTICE_DELIVERED] = "delivered",
	    [NOTICE_RELAYED] = "relayed", [NOTICE_EXPANDED] = "expanded"};
	return NAME[kind <= NOTICE_EXPANDED ? kind : NOTICE_NONE];
}

/* The class of a status code is that of the action; a failure may have come of many delays. */
static bool status_fits(struct slice s, uint32_t kind)
{
	static const char *const CLASS[] = {
	    [NOTICE_NONE] = "",       [NOTICE_FAILED] = "54", [NOTICE_DELAYED] = "4",
	    [NOTICE_DELIVERED] = "2", [NOTICE_RELAYED] = "2", [NOTICE_EXPANDED] = "2"};
	unsigned dots = 0;
	if (s.len < 5 || s.p[s.len - 1] == '.' || kind > NOTICE_EXPANDED || !s.p[0] ||
	    !strchr(CLASS[kind], s.p[0]))
		return false;
	for (size_t i = 1; i < s.len; i++) {
		bool dot = s.p[i] == '.';
		dots += dot;
		if ((dot && s.p[i - 1] == '.') || (!dot && (s.p[i] < '0' || s.p[i] > '9')))
			return false;
	}
	return dots == 2 && s.p[1] == '.';
}

static struct slice status(const struct row_owed_rcpt *t)
{
	if (status_fits(t->status, t->owed))
		return t->status;
	return slice_of(t->owed == NOTICE_DELAYED     ? "4.0.0"
			: t->owed == NOTICE_DELIVERED ? "2.0.0"
			: t->owed == NOTICE_RELAYED   ? "2.0.0"
			: t->owed == NOTICE_EXPANDED  ? "2.0.0"
						      : "5.0.0");
}

static void original_recipient(struct report *r, const struct row_owed_rcpt *t)
{
	struct slice type, addr = notice_original_rcpt(r->pool, t, &type);
	if (addr.len)
		field(
		    r, "Original-Recipient:",
		    slice_of(pool_printf(r->pool, "%.*s;%.*s", SLICE_FMT(type), SLICE_FMT(addr))));
}

static void recipient(struct report *r, const struct row_owed_rcpt *t, uint64_t until_ms)
{
	buf_adds(r->out, "\r\n");
	original_recipient(r, t);
	field(r, str_ascii(t->addr) ? "Final-Recipient: rfc822;" : "Final-Recipient: utf-8;",
	      t->addr);
	field(r, "Action:", slice_of(action(t->owed)));
	field(r, "Status:", status(t));
	remote(r, t->host);
	if (t->code || t->text.len)
		field(r, t->code ? "Diagnostic-Code: smtp;" : "Diagnostic-Code: x-hamlet;",
		      notice_reply(r->pool, t, t->text));
	date(r, "Last-Attempt-Date:", t->changed_ms);
	if (t->owed == NOTICE_DELAYED)
		date(r, "Will-Retry-Until:", until_ms);
}

/* --- the message ------------------------------------------------------------------------------ */

static bool needs_utf8(const struct notice_item *n, struct pool *pool)
{
	const struct row_owed *o = n->item;
	for (uint32_t i = 0; i < o->rcpts_n; i++)
		if (!str_ascii(o->rcpts[i].addr) ||
		    !str_ascii(notice_original_rcpt(pool, &o->rcpts[i], NULL)))
			return true;
	return false;
}

/* RFC 3464 2.2.1: as the sender had it before its encoding. */
static struct slice envelope_id(struct report *r)
{
	struct slice id = r->n->item->envid;
	char *p = pool_alloc(r->pool, id.len + 1);
	long n = id.len ? xtext_decode(p, id) : 0;
	return n < 0 ? id : (struct slice){p, (size_t)n};
}

void notice_report(const struct notice_item *n, struct pool *pool, struct notice_part *out)
{
	const struct row_owed *o = n->item;
	struct report r = {n, pool, &out->text, needs_utf8(n, pool)};
	out->type = r.utf8 ? "message/global-delivery-status" : "message/delivery-status";
	field(&r, "Original-Envelope-Id:", envelope_id(&r));
	field(&r, "Reporting-MTA: dns;", slice_of(n->hostname));
	date(&r, "Arrival-Date:", o->created_ms);
	date(&r, "Deliver-By-Date:", o->deliver_by_ms);
	for (uint32_t i = 0; i < o->rcpts_n; i++)
		recipient(&r, &o->rcpts[i], n->until_ms ? n->until_ms[i] : 0);
	out->eight = !str_ascii(buf_slice(&out->text));
}
