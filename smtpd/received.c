/* The fields that are added before a message: Received always (RFC 5321 4.4); Return-Path when
 * it is delivered here and goes nowhere else; Date and Message-ID when a user's program left
 * them out (RFC 6409 8.2, 8.3), Sender when a user of this machine wrote another's From. Nothing
 * that came is changed. The header is read once, here. */
#include "smtpd/smtpd.h"
#include <gnutls/gnutls.h>
#include "libcommon/base/clock.h"
#include "libcommon/mail/addr.h"
#include "libcommon/mail/addrlist.h"
#include "libcommon/mail/header.h"

enum { AUTHORS_MAX = 100 }; /* each is a question to the store */

/* Fields of the message that matter here. */
struct have {
	bool date, message_id, sender;
	unsigned received, authors;
};

/* An author that cannot be the sender: the message will be refused. */
static void unreadable_author(struct txn *t)
{
	struct author *author = pool_alloc(t->pool, sizeof(*author));
	author->next = t->authors;
	t->authors = author;
}

/* Remembers who a submitted message says that it is from (From and Sender): each must be the
 * user's own address. */
static void keep_authors(struct session *s, struct slice raw, unsigned *n)
{
	struct pool *pool = s->txn->pool;
	bool cut;
	struct addrlist *l = addrlist_parse(pool, raw, &cut);
	if (cut)
		unreadable_author(s->txn);
	for (; l && *n <= AUTHORS_MAX; l = l->next, ++*n) {
		struct addr a = {0};
		if (l->kind != ADDRLIST_MAILBOX)
			continue;
		const char *text =
		    pool_printf(pool, "%.*s@%.*s", SLICE_FMT(l->local), SLICE_FMT(l->domain));
		struct author *author = pool_alloc(pool, sizeof(*author));
		if (addr_mailbox(slice_of(text), ADDR_UTF8, &a) == ADDR_OK)
			author->addr = (struct slice){pool_strndup(pool, a.text, a.len), a.len};
		author->next = s->txn->authors;
		s->txn->authors = author;
	}
}

/* A local user may write any From, but then a Sender field says who it was. */
static void look_local(struct session *s, const struct header_field *f, struct have *h)
{
	struct pool *pool = s->txn->pool;
	bool cut;
	if (slice_ieqs(f->name, "Sender")) {
		h->sender = true;
		keep_authors(s, f->raw, &h->authors);
		return;
	}
	if (!slice_ieqs(f->name, "From"))
		return;
	for (struct addrlist *l = addrlist_parse(pool, f->raw, &cut); l; l = l->next) {
		const char *at = l->domain.len ? "@" : "";
		const char *text =
		    pool_printf(pool, "%.*s%s%.*s", SLICE_FMT(l->local), at, SLICE_FMT(l->domain));
		bool own = l->domain.len ? local_own(s->local, slice_of(text))
					 : strcmp(text, s->local->name) == 0;
		if (l->kind == ADDRLIST_MAILBOX && !own)
			s->txn->foreign = true;
	}
}

static struct have look(struct session *s, struct slice head)
{
	struct have h = {0};
	struct header_iter it;
	struct header_field f;
	header_begin(&it, head, 0);
	while (header_next(&it, &f)) {
		if (slice_ieqs(f.name, "Received"))
			h.received++;
		else if (slice_ieqs(f.name, "Date"))
			h.date = true;
		else if (slice_ieqs(f.name, "Message-ID"))
			h.message_id = true;
		else if (s->local && !s->local->trusted)
			look_local(s, &f, &h);
		else if (s->user && !s->local &&
			 (slice_ieqs(f.name, "From") || slice_ieqs(f.name, "Sender")))
			keep_authors(s, f.raw, &h.authors);
	}
	/* A header whose end is not here could hide a From field behind what was looked at. */
	bool partial = it.body >= head.len && head.len + DATA_HEADROOM >= IPC_INLINE_BODY;
	bool unread = it.cut || partial || h.authors > AUTHORS_MAX;
	if (s->user && unread && !(s->local && s->local->trusted))
		unreadable_author(s->txn);
	return h;
}

/* RFC 3848, RFC 6531 3.7.3. */
static void add_protocol(struct buf *out, const struct session *s)
{
	bool utf8 = s->txn->utf8;
	if (utf8)
		buf_adds(out, "UTF8");
	buf_adds(out, s->service->lmtp ? "LMTP" : s->esmtp && !utf8 ? "ESMTP" : "SMTP");
	if (s->tls)
		buf_addc(out, 'S');
	if (s->user && !s->local)
		buf_addc(out, 'A');
}

static void add_client(struct buf *out, const struct session *s)
{
	bool six = strchr(s->ip, ':') != NULL;
	buf_printf(out, "Received: from %s", s->helo ? s->helo : "unknown");
	if (s->local)
		buf_printf(out, " (userid %lu by %s)", (unsigned long)s->local->uid, conf.hostname);
	if (s->stream && stream_peer(s->stream)->sa_family != AF_UNIX)
		buf_printf(out, " ([%s%s])", six ? "IPv6:" : "", s->ip);
	buf_adds(out, "\r\n");
}

/* RFC 8314 4.3: the cipher suite under its registered name. */
static void add_tls(struct buf *out, const struct session *s)
{
	const char *suite =
	    s->tls && s->stream ? gnutls_ciphersuite_get(stream_tls(s->stream)) : NULL;
	if (suite)
		buf_printf(out, " tls %s", suite);
}

static bool only_local(const struct txn *t)
{
	for (uint32_t i = 0; i < t->rcpt_n; i++)
		if (t->rcpt[i].kind != RCPT_LOCAL)
			return false;
	return true;
}

void received_prefix(void *arg, struct slice head, struct buf *out)
{
	struct session *s = arg;
	struct txn *t = s->txn;
	char date[40];
	struct have h = look(s, head);
	t->hops = h.received;
	clock_rfc5322(date, sizeof(date), clock_ms());
	if (only_local(t))
		buf_printf(out, "Return-Path: <%.*s>\r\n", SLICE_FMT(t->sender));
	add_client(out, s);
	buf_printf(out, "\tby %s with ", conf.hostname);
	add_protocol(out, s);
	buf_printf(out, " id %s", t->id);
	add_tls(out, s);
	/* A single one: with several, each would learn of the others. */
	if (t->rcpt_n == 1)
		buf_printf(out, "\r\n\tfor <%.*s>", SLICE_FMT(t->rcpt[0].given));
	buf_printf(out, "; %s\r\n", date);
	if (!s->user)
		return;
	if (!h.date)
		buf_printf(out, "Date: %s\r\n", date);
	if (t->foreign && !h.sender)
		buf_printf(out, "Sender: %s\r\n", s->local->address);
	if (!h.message_id)
		buf_printf(out, "Message-ID: <%s@%s>\r\n", t->id, conf.hostname);
}
