/* The mechanisms, by libgsasl: it parses, prepares names and does SCRAM's arithmetic. Of PLAIN
 * and LOGIN it only tells who and which password; judging that is slow and not done here. */
#include <gsasl.h>
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "stored/auth.h"

enum { INPUT_MAX = 8192, USER_MAX = 512, STEPS_MAX = 6 };

struct sasl {
	enum sasl_mech mech;
	Gsasl_session *session;
	sasl_keys_fn *keys;
	void *arg;
	bool have_keys, keys_failed;
	bool bound; /* the TLS layer has a channel binding */
	unsigned steps;
	char *user, *authzid, *password;
};

static const char *const NAME[] = {
    [SASL_PLAIN] = "PLAIN",
    [SASL_LOGIN] = "LOGIN",
    [SASL_SCRAM] = "SCRAM-SHA-256",
    [SASL_SCRAM_PLUS] = "SCRAM-SHA-256-PLUS",
};

static Gsasl *library;

static struct slice text(const char *s)
{
	return slice_of(s ? s : "");
}

static void set_base64(Gsasl_session *g, Gsasl_property p, const void *bytes, size_t n)
{
	char b64[128];
	if (n <= 64)
		gsasl_property_set_raw(g, p, b64, str_base64(b64, bytes, n));
	explicit_bzero(b64, sizeof(b64));
}

/* Copies a property that libgsasl has, then overwrites libgsasl's copy if it is secret. */
static char *taken(Gsasl_session *g, Gsasl_property p, bool secret)
{
	const char *v = gsasl_property_fast(g, p);
	if (!v)
		return NULL;
	char *copy = mem_strdup(v);
	if (secret)
		explicit_bzero((void *)(uintptr_t)v, strlen(v));
	return copy;
}

static int set_keys(struct sasl *s, Gsasl_session *g)
{
	struct verifier v;
	char iterations[16];
	s->user = taken(g, GSASL_AUTHID, false);
	s->authzid = taken(g, GSASL_AUTHZID, false);
	if (!s->user || strlen(s->user) > USER_MAX)
		return GSASL_NO_AUTHID;
	s->have_keys = true;
	if (!s->keys(s->arg, text(s->user), &v)) {
		s->keys_failed = true;
		return GSASL_NO_CALLBACK;
	}
	str_fmt(iterations, sizeof(iterations), "%u", v.iterations);
	gsasl_property_set(g, GSASL_SCRAM_ITER, iterations);
	set_base64(g, GSASL_SCRAM_SALT, v.salt, v.salt_len);
	set_base64(g, GSASL_SCRAM_STOREDKEY, v.stored_key, sizeof(v.stored_key));
	set_base64(g, GSASL_SCRAM_SERVERKEY, v.server_key, sizeof(v.server_key));
	explicit_bzero(&v, sizeof(v));
	return GSASL_OK;
}

static int callback(Gsasl *ctx, Gsasl_session *g, Gsasl_property p)
{
	(void)ctx;
	struct sasl *s = gsasl_session_hook_get(g);
	switch ((int)p) {
	case GSASL_SCRAM_ITER:
	case GSASL_SCRAM_SALT:
		return s->have_keys ? GSASL_NO_CALLBACK : set_keys(s, g);
	case GSASL_VALIDATE_SIMPLE:
		if (s->user)
			return GSASL_NO_CALLBACK;
		s->user = taken(g, GSASL_AUTHID, false);
		s->authzid = taken(g, GSASL_AUTHZID, false);
		s->password = taken(g, GSASL_PASSWORD, true);
		return s->user && s->password ? GSASL_OK : GSASL_NO_CALLBACK;
	default:
		return GSASL_NO_CALLBACK;
	}
}

enum sasl_mech sasl_mech(struct slice name)
{
	for (int m = SASL_PLAIN; m <= SASL_SCRAM_PLUS; m++)
		if (slice_ieqs(name, NAME[m]))
			return (enum sasl_mech)m;
	return SASL_NONE;
}

static bool bind_channel(struct sasl *s, struct slice type, struct slice data)
{
	Gsasl_property p = slice_eqs(type, "tls-exporter") ? GSASL_CB_TLS_EXPORTER
			   : slice_eqs(type, "tls-unique") ? GSASL_CB_TLS_UNIQUE
							   : (Gsasl_property)0;
	if (!p || data.len == 0 || data.len > 64)
		return false;
	if (s->mech == SASL_SCRAM_PLUS)
		set_base64(s->session, p, data.p, data.len);
	return true;
}

struct sasl *sasl_new(enum sasl_mech m, struct slice cb_type, struct slice cb_data,
		      sasl_keys_fn *keys, void *arg)
{
	if (!library) {
		if (gsasl_init(&library) != GSASL_OK)
			return NULL;
		gsasl_callback_set(library, callback);
	}
	struct sasl *s = mem_alloc(sizeof(*s));
	*s = (struct sasl){.mech = m, .keys = keys, .arg = arg};
	if (gsasl_server_start(library, NAME[m], &s->session) != GSASL_OK) {
		free(s);
		return NULL;
	}
	gsasl_session_hook_set(s->session, s);
	s->bound = bind_channel(s, cb_type, cb_data);
	if (m == SASL_SCRAM_PLUS && !s->bound)
		sasl_free(&s);
	return s;
}

void sasl_free(struct sasl **sp)
{
	struct sasl *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	gsasl_finish(s->session);
	free(s->user);
	free(s->authzid);
	if (s->password)
		mem_wipe(s->password, strlen(s->password));
	free(s);
}

bool sasl_wants_keys(const struct sasl *s)
{
	return (s->mech == SASL_SCRAM || s->mech == SASL_SCRAM_PLUS) && !s->have_keys;
}

static enum sasl_result result(const struct sasl *s, int rc)
{
	bool done = rc == GSASL_OK, more = rc == GSASL_NEEDS_MORE;
	if ((done || more) && s->password)
		return *s->user ? SASL_PASSWORD : SASL_MALFORMED;
	if (more)
		return SASL_MORE;
	if (done && s->have_keys)
		return SASL_VERIFIED;
	if (rc == GSASL_AUTHENTICATION_ERROR)
		return SASL_REFUSED;
	return s->keys_failed ? SASL_TEMP : SASL_MALFORMED;
}

enum sasl_result sasl_step(struct sasl *s, struct slice in, struct pool *pool, struct slice *out)
{
	char *answer = NULL;
	size_t n = 0;
	*out = SLICE("");
	if (in.len > INPUT_MAX || ++s->steps > STEPS_MAX)
		return SASL_MALFORMED;
	/* "y": the client thinks that we have no -PLUS. We do: somebody cut it out of our list
	 * (RFC 5802 section 6). */
	if (s->mech == SASL_SCRAM && s->bound && !s->have_keys && in.len && in.p[0] == 'y')
		return SASL_REFUSED;
	int rc = gsasl_step(s->session, in.len ? in.p : NULL, in.len, &answer, &n);
	enum sasl_result r = result(s, rc);
	if (r == SASL_MORE || r == SASL_VERIFIED)
		*out = (struct slice){pool_strndup(pool, answer ? answer : "", n), n};
	gsasl_free(answer);
	return r;
}

struct slice sasl_user(const struct sasl *s)
{
	return text(s->user);
}

struct slice sasl_authzid(const struct sasl *s)
{
	return text(s->authzid);
}

struct slice sasl_password(const struct sasl *s)
{
	return text(s->password);
}
