/* Notices of anything: our own parser reads three parts in them, no line is too long, there are no
 * bare CR or LF, and what is told of their octets is true. Fields of the input are separated by
 * 0xfe; the first octet is flags, the last field is the original. */
#include <stdlib.h>
#include "libcommon/mail/mime.h"
#include "smtpd/notice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void lines(struct slice text)
{
	while (text.len) {
		const char *nl = memchr(text.p, '\n', text.len);
		size_t n = nl ? (size_t)(nl - text.p) : 0;
		if (n == 0 || nl[-1] != '\r' || n - 1 > NOTICE_LINE || memchr(text.p, '\r', n - 1))
			abort();
		text = (struct slice){nl + 1, text.len - n - 1};
	}
}

static const struct mime_part *third(const struct mime *m, struct slice text)
{
	const struct mime_part *p = m->root->child;
	if (!mime_is(m->root, "multipart", "report") || !p || !p->next || !p->next->next ||
	    p->next->next->next || !mime_is(p, "text", "plain"))
		abort();
	/* All but the original itself is printable. */
	struct slice ours = {text.p, p->next->next->body};
	for (size_t i = 0; i < ours.len; i++)
		if (ours.p[i] != '\r' && ours.p[i] != '\n' && str_control_at(ours, i))
			abort();
	if (!str_utf8(ours))
		abort();
	if (mime_is(p->next, "message", "delivery-status") &&
	    !str_ascii((struct slice){text.p + p->next->head, p->next->end - p->next->head}))
		abort();
	return p->next->next;
}

static void check(const struct notice_item *n, uint32_t flags, struct slice text)
{
	struct pool *pool = pool_new(0);
	struct mime m;
	mime_parse(pool, text, &m);
	const struct mime_part *last = third(&m, text);
	lines(text);
	if (str_ascii(text) != !(flags & DELIVER_8BIT) ||
	    str_ascii((struct slice){text.p, m.root->body}) != !(flags & DELIVER_SMTPUTF8))
		abort();
	if (last->kind == MIME_LEAF &&
	    last->end - last->body > n->full_size + n->full_size / 100 + 16)
		abort();
	pool_free(&pool);
}

static struct slice next(struct slice *rest)
{
	return slice_cut(rest, (char)0xfe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2)
		return 0;
	struct slice in = {(const char *)data + 2, len - 2};
	struct row_owed_rcpt rcpt[2] = {{.addr = next(&in),
					 .owed = 1 + (data[0] & 3),
					 .code = data[0] & 4 ? 550 : 0,
					 .orcpt = next(&in),
					 .status = next(&in),
					 .host = next(&in),
					 .text = next(&in)}};
	rcpt[1] = rcpt[0];
	rcpt[1].owed = 1 + (data[1] & 15) % NOTICE_EXPANDED;
	struct row_owed item = {.flags = (data[0] & 8 ? DELIVER_RET_FULL : 0u) |
					 (data[0] & 16 ? DELIVER_SMTPUTF8 : 0u),
				.deliver_by_ms = data[0] & 32,
				.sender = next(&in),
				.envid = next(&in),
				.rcpts = rcpt,
				.rcpts_n = 1 + (data[1] >> 7)};
	struct notice_item n = {.item = &item,
				.hostname = "mx.a.test",
				.from = "mailer-daemon@a.test",
				.id = "0123456789abcdef",
				.now_ms = 1000,
				.full_size = data[1] & 64 ? 100 : 50000,
				.original = in};
	struct buf out = {0};
	check(&n, notice_compose(&n, &out), buf_slice(&out));
	buf_free(&out);
	return 0;
}
