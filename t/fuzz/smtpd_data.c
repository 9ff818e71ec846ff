/* A message after DATA: the same outcome however it is cut, no end but CRLF . CRLF, and what is
 * taken for good has no bare CR, bare LF or NUL. */
#include <stdlib.h>
#include "smtpd/smtpd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void no_prefix(void *arg, struct slice head, struct buf *out)
{
	(void)arg;
	(void)head;
	(void)out;
}

struct outcome {
	enum data_result result;
	enum data_bad bad;
	size_t used;
	uint64_t hash, size;
};

static void check_clean(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		bool cr = i && s.p[i - 1] == '\r';
		if (s.p[i] == 0 || (s.p[i] == '\n') != cr)
			abort();
	}
	if (s.len && s.p[s.len - 1] != '\n')
		abort();
}

static struct outcome run(enum data_mode mode, struct slice in, size_t piece)
{
	struct outcome o = {0};
	struct data d;
	struct body body;
	data_init(&d, mode, 30000, 1000, piece * 10, no_prefix, NULL);
	while (o.used < in.len && o.result == DATA_MORE) {
		size_t n = in.len - o.used < piece ? in.len - o.used : piece;
		size_t took = data_feed(&d, (struct slice){in.p + o.used, n}, &o.result);
		if (took > n || (o.result == DATA_MORE && took != n))
			abort();
		o.used += took;
	}
	bool good = (o.result == DATA_END || mode != DATA_DOTS) && data_finish(&d, &body);
	o.bad = d.bad;
	o.size = d.size;
	if (good) {
		if (body.size != d.size)
			abort();
		if (mode == DATA_DOTS)
			check_clean(body.bytes);
		for (size_t i = 0; i < body.bytes.len; i++)
			o.hash = o.hash * 31 + (unsigned char)body.bytes.p[i];
	}
	data_free(&d);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2)
		return 0;
	enum data_mode mode = data[0] % 3;
	struct slice in = {(const char *)data + 2, len - 2};
	struct outcome whole = run(mode, in, in.len + 1), cut = run(mode, in, 1 + data[1] % 7);
	/* Which fault is told first may depend on the pieces; that there is one may not. */
	if (whole.result != cut.result || whole.hash != cut.hash ||
	    (whole.bad == DATA_GOOD) != (cut.bad == DATA_GOOD))
		abort();
	if (whole.result != DATA_LOOKALIKE && (whole.used != cut.used || whole.size != cut.size))
		abort();
	return 0;
}
