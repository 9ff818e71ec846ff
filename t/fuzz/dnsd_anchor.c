/* Trust anchors as text: the first octet says whether it is what an administrator writes, or the
 * file that is kept of them. What was read of that is written so that it reads the same. */
#include <stdlib.h>
#include <string.h>
#include "dnsd/validate/anchor_roll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct anchor_roll *follow(struct anchors **a)
{
	static const uint8_t zone[] = "\7example";
	*a = anchors_new();
	anchors_add_root(*a);
	const char *why;
	anchors_add_text(*a,
			 SLICE("example. DNSKEY 257 3 15 "
			       "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="),
			 &why);
	anchors_add_negative(*a, zone);
	return anchor_roll_new(*a);
}

static void state(struct slice text)
{
	struct buf once = {0}, twice = {0};
	struct anchors *a, *b;
	const char *why;
	struct anchor_roll *r = follow(&a), *s = follow(&b);
	anchor_roll_load(r, text, &why);
	anchor_roll_save(r, &once);
	if (!anchor_roll_load(s, buf_slice(&once), &why))
		abort();
	anchor_roll_tell(s, &twice);
	buf_clear(&twice);
	anchor_roll_save(s, &twice);
	if (!slice_eq(buf_slice(&once), buf_slice(&twice)))
		abort();
	buf_free(&once);
	buf_free(&twice);
	anchor_roll_free(&r);
	anchor_roll_free(&s);
	anchors_free(&a);
	anchors_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	struct slice text = {(const char *)data + 1, len - 1};
	if (data[0] & 1) {
		state(text);
		return 0;
	}
	struct anchors *a = anchors_new();
	const char *why;
	if (!anchors_add_text(a, text, &why) && !*why)
		abort();
	anchors_free(&a);
	return 0;
}
