/* AUTH (RFC 4954) as a client, by libgsasl. SCRAM's key derivation is slow by design and its length
 * is the server's choice: it is bounded, and done on the pool. PLAIN and LOGIN go over TLS only. */
#include <gsasl.h>
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "libcommon/net/job.h"
#include "smtpd/out_int.h"

enum { STEPS_MAX = 6, ITERATIONS_MAX = 1000000 };

struct out_auth {
	struct out *o;
	Gsasl_session *session;
	bool scram;
	bool initial; /* the answer goes with the command */
	bool busy;    /* a job has it */
	bool dead;    /* ... and frees it */
	unsigned steps;
	int rc; /* of the last step */
	const char *name;
	char *challenge, *answer; /* base64 */
};

static Gsasl *library;

static void auth_free(struct out_auth *a)
{
	slice_wipe(slice_of(gsasl_property_fast(a->session, GSASL_PASSWORD)));
	gsasl_finish(a->session);
	if (a->answer)
		mem_wipe(a->answer, strlen(a->answer));
	free(a->challenge);
	free(a);
}

void out_auth_free(struct out *o)
{
	struct out_auth *a = o->auth;
	o->auth = NULL;
	slice_wipe(slice_of(o->opt.password));
	if (a && a->busy)
		a->dead = true;
	else if (a)
		auth_free(a);
}

/* The iterations that the server's first message asks for are bearable. */
static bool iterations_ok(const char *challenge)
{
	struct slice in = slice_of(challenge);
	if (in.len > OUT_REPLY_LINE)
		return false;
	char text[OUT_REPLY_LINE];
	long n = str_base64_decode(text, in);
	struct slice rest = {text, n > 0 ? (size_t)n : 0};
	while (rest.len) {
		struct slice part = slice_cut(&rest, ',');
		uint64_t i;
		if (slice_starts(part, "i="))
			return str_u64((struct slice){part.p + 2, part.len - 2}, &i) &&
			       i <= ITERATIONS_MAX;
	}
	return true; /* the server's last message, or one that libgsasl refuses */
}

/* Maybe on a thread of the pool: touches nothing but `a`. */
static void step(void *arg)
{
	struct out_auth *a = arg;
	char *out = NULL;
	if (a->scram && !iterations_ok(a->challenge)) {
		a->rc = GSASL_MECHANISM_PARSE_ERROR;
		return;
	}
	a->rc = gsasl_step64(a->session, a->challenge, &out);
	a->answer = mem_strdup(out ? out : "");
	if (out)
		explicit_bzero(out, strlen(out));
	gsasl_free(out);
}

static void failed(struct out *o, enum out_state state, const char *status, const char *text)
{
	struct out_verdict v = out_verdict_own(o, state, status, text);
	out_over(o, OUT_NO_AUTH, &v);
}

static void stepped(void *arg, bool cancelled)
{
	struct out_auth *a = arg;
	struct out *o = a->o;
	a->busy = false;
	if (a->dead) {
		auth_free(a);
	} else if (cancelled || (a->rc != GSASL_OK && a->rc != GSASL_NEEDS_MORE)) {
		failed(o, OUT_TEMP, "4.7.0", "the exchange of AUTH fails");
	} else {
		if (a->initial)
			out_command(o, "AUTH %s %s", a->name, *a->answer ? a->answer : "=");
		else
			out_command(o, "%s", a->answer);
		a->initial = false;
		out_wait(o, OUT_AUTH, o->opt.times.auth);
	}
	out_drop(o);
}

static void next(struct out_auth *a, const char *challenge)
{
	struct out *o = a->o;
	free(a->challenge);
	a->challenge = mem_strdup(challenge);
	if (a->answer)
		mem_wipe(a->answer, strlen(a->answer));
	a->answer = NULL;
	out_hold(o);
	a->busy = true;
	if (!a->scram) {
		step(a);
		stepped(a, false);
	} else if (!job_start(step, stepped, a)) {
		a->busy = false;
		failed(o, OUT_TEMP, "4.3.2", "too much work is waiting here");
		out_drop(o);
	}
}

/* The best that both have. NULL: none. */
static const char *choose(struct out *o, const char *binding)
{
	unsigned offered = o->caps.auth;
	if ((offered & OUT_AUTH_SCRAM_SHA256_PLUS) && binding)
		return "SCRAM-SHA-256-PLUS";
	if (offered & OUT_AUTH_SCRAM_SHA256)
		return "SCRAM-SHA-256";
	if (offered & OUT_AUTH_SCRAM_SHA1)
		return "SCRAM-SHA-1";
	if (!stream_tls(o->stream))
		return NULL;
	return offered & OUT_AUTH_PLAIN ? "PLAIN" : offered & OUT_AUTH_LOGIN ? "LOGIN" : NULL;
}

static void set_binding(struct out_auth *a, const void *data, size_t n, const char *type)
{
	char b64[128];
	str_base64(b64, data, n);
	gsasl_property_set(
	    a->session,
	    strcmp(type, "tls-exporter") == 0 ? GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE, b64);
}

void out_auth_start(struct out *o)
{
	unsigned char data[64];
	const char *type = NULL;
	size_t n = stream_binding(o->stream, data, &type);
	const char *mech = choose(o, n ? type : NULL);
	o->step = OUT_AUTH;
	if (!mech) {
		failed(o, OUT_PERM, "5.7.4", "the server offers no way of AUTH that can be used");
		return;
	}
	struct out_auth *a = mem_alloc(sizeof(*a));
	*a =
	    (struct out_auth){.o = o, .name = mech, .scram = slice_starts(slice_of(mech), "SCRAM")};
	if ((!library && gsasl_init(&library) != GSASL_OK) ||
	    gsasl_client_start(library, mech, &a->session) != GSASL_OK) {
		free(a);
		failed(o, OUT_TEMP, "4.3.0", "AUTH cannot be begun here");
		return;
	}
	o->auth = a;
	gsasl_property_set(a->session, GSASL_AUTHID, o->opt.user);
	gsasl_property_set(a->session, GSASL_PASSWORD, o->opt.password);
	/* Without -PLUS it is told that we could, so that nobody can have cut it out of the list.
	 */
	if (a->scram && n)
		set_binding(a, data, n, type);
	if (strcmp(mech, "LOGIN") == 0) { /* the server asks first */
		out_command(o, "AUTH LOGIN");
		out_wait(o, OUT_AUTH, o->opt.times.auth);
		return;
	}
	a->initial = true;
	next(a, "");
}

void out_auth_reply(struct out *o)
{
	struct out_auth *a = o->auth;
	unsigned class = o->reply.code / 100;
	if (a->busy) {
		out_over_text(o, OUT_GARBAGE, "4.5.0", "a reply before the command");
	} else if (class > 3) {
		out_over_reply(o, OUT_NO_AUTH);
	} else if (class == 3 && (a->rc != GSASL_OK || !a->answer) && ++a->steps <= STEPS_MAX) {
		next(a, buf_cstr(&o->reply.text));
	} else if (class == 2 && a->rc == GSASL_OK && a->answer) {
		out_auth_free(o);
		out_ready(o);
	} else {
		failed(o, OUT_TEMP, "4.7.0",
		       "the server does not prove that it knows the password");
	}
}
