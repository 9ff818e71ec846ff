/* The header of a message: whom it is to, and how it goes out. Fields are copied as they stand,
 * but for those that nobody else may see, and those whose addresses have no domain: away from this
 * machine such an address means nothing. */
#include "libcommon/mail/addr.h"
#include "libcommon/mail/addrlist.h"
#include "libcommon/mail/header.h"
#include "sendmail/sendmail.h"

#define F_RCPT   1u  /* recipients of -t */
#define F_HIDDEN 2u  /* not written */
#define F_ADDR   4u  /* holds addresses */
#define F_RESENT 8u  /* of a resending */
#define F_TRACE  16u /* stands above the fields of an older resending */
#define F_AUTHOR 32u
#define F_DATE   64u

static const struct kind {
	const char *name;
	unsigned flags;
} KINDS[] = {
    {"To", F_RCPT | F_ADDR},
    {"Cc", F_RCPT | F_ADDR},
    {"Bcc", F_RCPT | F_HIDDEN},
    {"From", F_AUTHOR | F_ADDR},
    {"Sender", F_ADDR},
    {"Reply-To", F_ADDR},
    {"Resent-To", F_RESENT | F_RCPT | F_ADDR},
    {"Resent-Cc", F_RESENT | F_RCPT | F_ADDR},
    {"Resent-Bcc", F_RESENT | F_RCPT | F_HIDDEN},
    {"Resent-From", F_RESENT | F_AUTHOR | F_ADDR},
    {"Resent-Sender", F_RESENT | F_ADDR},
    {"Resent-Date", F_RESENT | F_DATE},
    {"Resent-Message-ID", F_RESENT},
    {"Return-Path", F_HIDDEN | F_TRACE}, /* smtpd's to write */
    {"Received", F_TRACE},
};
#define KIND_COUNT (sizeof(KINDS) / sizeof(KINDS[0]))

/* A walk over the header. */
struct walk {
	struct header_iter it;
	struct header_field f;
	unsigned flags;
	unsigned resent; /* which fields of a resending were seen, a bit each */
	bool old;        /* those that follow are of an earlier one (RFC 5322 3.6.6) */
	bool begun;
	size_t body; /* at the end */
	bool separated;
};

static void walk_begin(struct walk *w, struct slice text)
{
	*w = (struct walk){.body = 0};
	header_begin(&w->it, text, text.len);
}

static void look_up(struct walk *w)
{
	size_t i = 0;
	while (i < KIND_COUNT && !slice_ieqs(w->f.name, KINDS[i].name))
		i++;
	w->flags = i < KIND_COUNT ? KINDS[i].flags : 0;
	if (w->flags & F_RESENT) {
		w->old = w->old || (w->resent & (1u << i));
		w->resent |= 1u << i;
	} else if ((w->flags & F_TRACE) && w->resent) {
		w->old = true;
	}
}

static bool is_mbox_line(const struct walk *w)
{
	struct slice line = {w->it.text.p + w->f.off, w->f.len};
	return !w->begun && (slice_starts(line, "From ") || slice_starts(line, ">From "));
}

/* The next field; what is no field begins the body. */
static bool walk_next(struct walk *w)
{
	while (header_next(&w->it, &w->f)) {
		bool mbox = is_mbox_line(w);
		w->begun = true;
		if (w->f.name.len && !mbox) {
			look_up(w);
			return true;
		}
		if (!mbox) {
			w->body = w->f.off;
			return false;
		}
	}
	w->body = w->it.body;
	w->separated = w->it.body > w->it.pos;
	return false;
}

/* Recipients of a field are wanted: of a resending when there is one. */
static bool is_wanted(const struct walk *w, bool resent)
{
	return (w->flags & F_RCPT) && ((w->flags & F_RESENT) != 0) == resent && !(resent && w->old);
}

static void add_rcpts(const struct head_ask *ask, bool resent)
{
	struct walk w;
	walk_begin(&w, ask->text);
	while (walk_next(&w))
		if (is_wanted(&w, resent))
			rcpts_add(ask->rcpts, w.f.raw);
}

static bool is_blank(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr(" \t\r\n", s.p[i]) || !s.p[i])
			return false;
	return true;
}

void head_read(const struct head_ask *ask, struct head *out)
{
	struct walk w;
	*out = (struct head){.body = 0};
	walk_begin(&w, ask->text);
	while (walk_next(&w)) {
		bool of_resending = w.flags & F_RESENT, here = !is_blank(w.f.raw);
		if (of_resending && !w.old && (w.flags & F_RCPT))
			out->resent = true;
		if ((w.flags & F_AUTHOR) && !of_resending)
			out->from = out->from || here;
		else if ((w.flags & F_AUTHOR) && !w.old)
			out->resent_from = true;
		else if ((w.flags & F_DATE) && !w.old)
			out->resent_date = true;
	}
	out->body = w.body;
	out->separated = w.separated;
	if (ask->extract)
		add_rcpts(ask, out->resent);
}

/* --- writing -----------------------------------------------------------------------------------
 */

/* Some address has no domain, and every one can be written anew. */
static bool is_partial(const struct addrlist *l)
{
	bool partial = false;
	for (; l; l = l->next) {
		if (l->kind != ADDRLIST_MAILBOX)
			continue;
		partial = partial || !l->domain.len;
		for (size_t i = 0; i < l->local.len; i++)
			if ((unsigned char)l->local.p[i] <= ' ' || l->local.p[i] == 127 ||
			    strchr("\"\\(),:;<>@[]", l->local.p[i]))
				return false;
		if (!l->local.len || !(l->domain.len == 0 || addr_domain_ok(l->domain, ADDR_UTF8)))
			return false;
	}
	return partial;
}

static void add_mailbox(struct buf *out, const struct addrlist *l, const char *domain)
{
	struct slice at = l->domain.len ? l->domain : slice_of(domain);
	if (l->name.len) {
		phrase_add(out, l->name);
		buf_adds(out, " <");
	}
	buf_printf(out, "%.*s@%.*s%s", SLICE_FMT(l->local), SLICE_FMT(at), l->name.len ? ">" : "");
}

static void add_list(struct buf *out, const struct addrlist *l, const char *domain)
{
	const char *sep = " ";
	for (; l; l = l->next) {
		if (l->kind == ADDRLIST_END) {
			buf_addc(out, ';');
			sep = ",\r\n\t";
			continue;
		}
		buf_adds(out, sep);
		sep = ",\r\n\t";
		if (l->kind == ADDRLIST_MAILBOX) {
			add_mailbox(out, l, domain);
			continue;
		}
		phrase_add(out, l->name);
		buf_addc(out, ':');
		sep = " ";
	}
	buf_adds(out, "\r\n");
}

static void add_author(struct buf *out, const char *field, const struct head_write *w)
{
	buf_printf(out, "%s: ", field);
	if (w->name && *w->name) {
		phrase_add(out, slice_of(w->name));
		buf_printf(out, " <%s>\r\n", w->from);
	} else {
		buf_printf(out, "%s\r\n", w->from);
	}
}

static void add_field(struct pool *pool, const struct walk *w, const char *domain, struct buf *out)
{
	const struct addrlist *l = w->flags & F_ADDR ? addrlist_parse(pool, w->f.raw, NULL) : NULL;
	if (!is_partial(l)) {
		buf_add(out, w->it.text.p + w->f.off, w->f.len);
		return;
	}
	buf_add_slice(out, w->f.name);
	buf_addc(out, ':');
	add_list(out, l, domain);
}

void head_write(struct pool *pool, const struct head *h, const struct head_write *ask,
		struct buf *out)
{
	struct walk w;
	if (h->resent && !h->resent_date)
		buf_printf(out, "Resent-Date: %s\r\n", ask->date);
	if (h->resent && !h->resent_from)
		add_author(out, "Resent-From", ask);
	walk_begin(&w, ask->text);
	while (walk_next(&w)) {
		bool empty = (w.flags & F_AUTHOR) && is_blank(w.f.raw);
		if (!(w.flags & F_HIDDEN) && !empty)
			add_field(pool, &w, ask->domain, out);
	}
	if (!h->from)
		add_author(out, "From", ask);
	buf_adds(out, "\r\n");
}
