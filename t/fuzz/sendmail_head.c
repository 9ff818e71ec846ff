/* sendmail's reading of a message: whatever comes in, what goes out has CRLF line ends alone, a
 * header that ends where it should, and no Bcc field; recipients can stand in a command. */
#include <stdlib.h>
#include "libcommon/mail/addr.h"
#include "libcommon/mail/header.h"
#include "sendmail/sendmail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_lines(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		bool lf = s.p[i] == '\n', cr = i && s.p[i - 1] == '\r';
		if (s.p[i] == 0 || lf != cr)
			abort();
	}
	if (s.len && s.p[s.len - 1] != '\n')
		abort();
}

static void check_header(struct slice s)
{
	struct header_iter it;
	struct header_field f;
	header_begin(&it, s, s.len);
	while (header_next(&it, &f))
		if (!f.name.len || slice_ieqs(f.name, "Bcc") || slice_ieqs(f.name, "Resent-Bcc"))
			abort();
	if (it.body != s.len || it.body == it.pos)
		abort();
}

static void check_rcpts(const struct rcpts *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct slice s = slice_of(r->addr[i]);
		if (!s.len || !str_print(s) || s.len > ADDR_MAX)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool *pool = pool_new(0);
	struct text t;
	struct head h;
	struct rcpts r;
	struct buf out = {0};
	const char *addr, *name;
	text_init(&t, len && data[0] & 1);
	text_add(&t, (struct slice){(const char *)data, len});
	if (!text_finish(&t))
		abort();
	check_lines(buf_slice(&t.out));
	rcpts_init(&r, pool);
	struct head_ask ask = {.text = buf_slice(&t.out), .extract = true, .rcpts = &r};
	head_read(&ask, &h);
	if (h.body > t.out.len)
		abort();
	check_rcpts(&r);
	bool good = sender_parse(pool, pool_strndup(pool, (const char *)data, len), &addr, &name);
	struct head_write w = {.text = ask.text,
			       .domain = "h.test",
			       .from = good && *addr ? qualified(pool, addr, "h.test") : "j@h.test",
			       .name = good ? name : NULL,
			       .date = "Tue, 24 Nov 2026 12:00:00 +0000"};
	head_write(pool, &h, &w, &out);
	check_lines(buf_slice(&out));
	check_header(buf_slice(&out));
	rcpts_free(&r);
	buf_free(&out);
	buf_free(&t.out);
	pool_free(&pool);
	return 0;
}
