/* Senders and returned addresses from anybody: what is made of a sender leads back to it, and
 * nothing that we did not make leads anywhere. */
#include <stdlib.h>
#include "stored/srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NOW  UINT64_C(1795500000000)
#define LIFE UINT64_C(1814400000)

static void forth(struct pool *pool, struct slice sender)
{
	struct slice made, again, back;
	if (!srs_forward(pool, sender, SLICE("a.test"), NOW, &made))
		return;
	struct slice local = made;
	if (slice_cut(&local, '@').len > SRS_LOCAL_MAX || !slice_eqs(local, "a.test"))
		abort();
	if (srs_back(pool, made, SLICE("a.test"), NOW, LIFE, &back) != SRS_GOOD)
		abort();
	if (slice_istarts(made, "SRS0") && !slice_eq(back, sender))
		abort();
	if (slice_istarts(made, "SRS1") && !slice_istarts(back, "SRS0"))
		abort();
	/* A third forwarder has no more to add. */
	if (srs_forward(pool, made, SLICE("b.test"), NOW, &again) && slice_istarts(made, "SRS1") &&
	    again.len != made.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool *pool = pool_new(0);
	struct slice in = {(const char *)data, len}, out;
	static const unsigned char key[SRS_KEY_LEN] = "fuzz";
	srs_key(key);
	/* The text of strangers has no NUL: the parser of paths refuses it. */
	if (!in.len || !memchr(in.p, 0, in.len)) {
		forth(pool, in);
		srs_back(pool, in, SLICE("a.test"), NOW, LIFE, &out);
	}
	pool_free(&pool);
	return 0;
}
