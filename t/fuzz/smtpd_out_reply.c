/* Replies of a server that sends anything: the same outcome however they are cut, limits kept,
 * nothing but printable text comes out. The first octet is the size of the pieces. */
#include <stdlib.h>
#include "smtpd/out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
	unsigned replies;
	enum out_reply_result last;
	size_t used;
	uint64_t hash;
};

static void check(const struct out_reply *r, struct outcome *o)
{
	struct slice text = buf_slice(&r->text);
	char status[12];
	if (r->code < 200 || r->code > 599 || r->lines == 0 || r->lines > OUT_REPLY_LINES)
		abort();
	if (text.len > OUT_REPLY_TOTAL || !str_utf8(text))
		abort();
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if ((c < ' ' && c != '\n') || c == 0x7f)
			abort();
		o->hash = o->hash * 31 + c;
	}
	if (out_reply_status(r, status)[0] != (char)('0' + r->code / 100))
		abort();
	for (const char *p = status; *p; p++)
		o->hash = o->hash * 31 + (unsigned char)*p;
	o->hash = o->hash * 31 + r->code;
	o->replies++;
}

static struct outcome run(struct slice in, size_t piece)
{
	struct outcome o = {0};
	struct out_reply r = {0};
	while (o.used < in.len && o.last != OUT_REPLY_BAD) {
		size_t n = in.len - o.used < piece ? in.len - o.used : piece, used;
		o.last = out_reply_feed(&r, (struct slice){in.p + o.used, n}, &used);
		if (used == 0 || used > n || (o.last == OUT_REPLY_MORE && used != n))
			abort();
		o.used += used;
		if (o.last == OUT_REPLY_BAD && !r.why)
			abort();
		if (o.last == OUT_REPLY_DONE) {
			check(&r, &o);
			out_reply_clear(&r);
		}
	}
	out_reply_free(&r);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	struct slice in = {(const char *)data + 1, len - 1};
	struct outcome whole = run(in, in.len + 1), cut = run(in, 1 + data[0]);
	if (whole.last != cut.last || whole.replies != cut.replies || whole.hash != cut.hash)
		abort();
	return 0;
}
