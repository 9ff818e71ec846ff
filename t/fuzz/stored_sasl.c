/* Any responses end a login or go on, by the mechanism's rules; none gets in. First byte: the
 * mechanism; then responses, each after its length (one byte). */
#include <stdlib.h>
#include "stored/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool keys(void *arg, struct slice user, struct verifier *out)
{
	(void)arg;
	verifier_fake(user, out);
	return true;
}

static void exchange(struct sasl *s, struct slice rest)
{
	struct pool *pool = pool_new(0);
	enum sasl_result r = SASL_MORE;
	while (r == SASL_MORE && rest.len) {
		struct slice out, in = {rest.p + 1, (unsigned char)rest.p[0]};
		if (in.len > rest.len - 1)
			in.len = rest.len - 1;
		/* A copy of its own, so that ASan sees every byte read past its end. */
		char *copy = malloc(in.len ? in.len : 1);
		memcpy(copy, in.p, in.len);
		r = sasl_step(s, (struct slice){copy, in.len}, pool, &out);
		free(copy);
		rest.p += 1 + in.len;
		rest.len -= 1 + in.len;
	}
	if (r == SASL_VERIFIED) /* nobody knows the password of a fake */
		abort();
	if (r == SASL_PASSWORD && sasl_user(s).len == 0)
		abort();
	pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum sasl_mech mech[] = {SASL_PLAIN, SASL_LOGIN, SASL_SCRAM, SASL_SCRAM_PLUS};
	if (len == 0)
		return 0;
	conf.scram_iterations = 4096;
	bool bound = data[0] & 4;
	struct sasl *s = sasl_new(mech[data[0] & 3], bound ? SLICE("tls-exporter") : SLICE(""),
				  bound ? SLICE("0123456789abcdef") : SLICE(""), keys, NULL);
	if (!s)
		return 0;
	exchange(s, (struct slice){(const char *)data + 1, len - 1});
	sasl_free(&s);
	return 0;
}
