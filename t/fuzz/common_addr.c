/* SMTP paths and xtext from anybody: a canonical address reads back as itself, xtext decodes to
 * what was encoded, and the fields of a header tile it. */
#include <stdlib.h>
#include "libcommon/mail/addr.h"
#include "libcommon/mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_path(struct slice in, unsigned flags)
{
	struct addr a, b;
	size_t used;
	if (addr_path(in, flags, &a, &used) != ADDR_OK)
		return;
	if (used > in.len || a.len > ADDR_MAX || a.text[a.len] || a.local_len > ADDR_LOCAL_MAX)
		abort();
	if (addr_domain(&a).len == 0)
		return;
	if (addr_mailbox(addr_text(&a), flags, &b) != ADDR_OK ||
	    !slice_eq(addr_text(&a), addr_text(&b)))
		abort();
}

static void try_header(struct slice in, size_t max)
{
	struct header_iter it;
	struct header_field f;
	char out[64];
	size_t pos = 0;
	header_begin(&it, in, max);
	while (header_next(&it, &f)) {
		if (f.off != pos || f.len == 0 || f.off + f.len > in.len)
			abort();
		pos += f.len;
		if (header_unfold(out, sizeof(out), f.raw) > sizeof(out))
			abort();
	}
	if (it.body < pos || it.body > in.len || (!it.cut && it.body != header_end(in)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice in = {(const char *)data, len};
	if (len > 4096)
		return 0;
	try_path(in, 0);
	try_path(in, ADDR_UTF8 | ADDR_NULL | ADDR_POSTMASTER);
	try_header(in, 0);
	try_header(in, 1 + len / 2);
	struct buf b;
	buf_init(&b, 0);
	xtext_encode(&b, in);
	char *out = malloc(b.len + 1);
	if (xtext_decode(out, buf_slice(&b)) != (long)len || (len && memcmp(out, data, len) != 0))
		abort();
	if (xtext_decode(out, (struct slice){in.p, len < b.len ? len : b.len}) > (long)len)
		abort();
	free(out);
	buf_free(&b);
	return 0;
}
