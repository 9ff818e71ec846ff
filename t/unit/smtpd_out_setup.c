/* The setup of a connection: TLS by each policy, with servers that keep it and that break it, and
 * AUTH by each mechanism. */
#include "t/unit/smtpd_out_peer.h"
#include "t/unit/common_tls.h"
#include <gsasl.h>

static struct tls_ctx *trusting, *distrusting;

#define EHLO(caps)                                         \
	{C, "EHLO a.test\r\n"},                            \
	{                                                  \
		S, "250-mx.b.test\r\n" caps "250 HELP\r\n" \
	}
#define OFFERED {S, "220 mx.b.test\r\n"}, EHLO("250-PIPELINING\r\n250-STARTTLS\r\n")
#define GO                                      \
	{C, "STARTTLS\r\n"}, {S, "220 go\r\n"}, \
	{                                       \
		TLS, NULL                       \
	}
#define OK                            \
	{                             \
		S, "250 2.0.0 ok\r\n" \
	}
#define BYE                                  \
	{C, "QUIT\r\n"}, {S, "221 bye\r\n"}, \
	{                                    \
		CLOSE, NULL                  \
	}
#define SEND                                                                                     \
	{C, "MAIL FROM:<a@a.test>\r\n"}, OK, {C, "RCPT TO:<b@b.test>\r\n"}, OK, {C, "DATA\r\n"}, \
	    {S, "354 go\r\n"}, {C, "x\r\n.\r\n"}, OK, BYE

static const struct body BODY_X = {.bytes = {"x\r\n", 3}, .fd = -1, .size = 3};
static const struct out_rcpt RCPT_B = {.addr = {"b@b.test", 8}};
static const struct out_mail ONE[] = {
    {.sender = {"a@a.test", 8}, .body = &BODY_X, .rcpt = &RCPT_B, .rcpt_n = 1}};

static struct out_options with(enum out_tls tls)
{
	return (struct out_options){.host = "mx.b.test",
				    .name = "localhost",
				    .helo = "a.test",
				    .tls = tls,
				    .ctx = trusting};
}

static void assert_delivered(void)
{
	assert_int_equal(seen.ready, 1);
	assert_verdict(0, OUT_DELIVERED, 250, "2.0.0");
}

static void assert_fails(enum out_why why, enum out_state state, const char *status)
{
	assert_end(why);
	assert_int_equal(seen.ready, 0);
	assert_int_equal(seen.end.verdict.state, state);
	assert_string_equal(seen.end.verdict.status, status);
}

/* What was offered before the handshake is forgotten: no PIPELINING. */
static void tls_is_begun_by_every_policy(void **state)
{
	(void)state;
	for (enum out_tls tls = OUT_TLS_MAY; tls <= OUT_TLS_VERIFY; tls++) {
		struct out_options o = with(tls);
		PLAY(&o, ONE, OFFERED, GO, EHLO(""), SEND);
		assert_delivered();
	}
	struct out_options o = with(OUT_TLS_NONE);
	PLAY(&o, ONE, {S, "220 mx.b.test\r\n"}, EHLO("250-STARTTLS\r\n"), SEND);
	assert_delivered();
	o = with(OUT_TLS_MAY);
	PLAY(&o, ONE, {S, "220 mx.b.test\r\n"}, EHLO(""), SEND);
	assert_delivered();
	o = with(OUT_TLS_VERIFY);
	o.tls_now = true;
	PLAY(&o, ONE, {TLS, NULL}, {S, "220 mx.b.test\r\n"}, EHLO(""), SEND);
	assert_delivered();
}

static void certificates_are_judged_by_policy(void **state)
{
	(void)state;
	struct out_options o = with(OUT_TLS_VERIFY);
	o.name = NULL; /* that of the host, mx.b.test */
	PLAY(&o, ONE, OFFERED, GO);
	assert_fails(OUT_BAD_TLS, OUT_LOST, "4.7.5");
	assert_string_equal(seen.end.verdict.text, "the certificate is for another name");
	assert_false(seen.end.try_plain);
	o = with(OUT_TLS_VERIFY);
	o.ctx = distrusting;
	PLAY(&o, ONE, OFFERED, GO);
	assert_fails(OUT_BAD_TLS, OUT_LOST, "4.7.5");
	for (enum out_tls tls = OUT_TLS_MAY; tls <= OUT_TLS_MUST; tls++) {
		o = with(tls);
		o.ctx = distrusting;
		o.name = NULL;
		PLAY(&o, ONE, OFFERED, GO, EHLO(""), SEND);
		assert_delivered();
	}
}

static void no_tls_no_mail(void **state)
{
	(void)state;
	for (enum out_tls tls = OUT_TLS_MUST; tls <= OUT_TLS_VERIFY; tls++) {
		struct out_options o = with(tls);
		PLAY(&o, ONE, {S, "220 mx.b.test\r\n"}, EHLO(""), BYE);
		assert_fails(OUT_NO_TLS, OUT_TEMP, "4.7.4");
		PLAY(&o, ONE, {S, "220 mx.b.test\r\n"}, {C, "EHLO a.test\r\n"}, {S, "500 no\r\n"},
		     {C, "HELO a.test\r\n"}, OK, BYE);
		assert_fails(OUT_NO_TLS, OUT_TEMP, "4.7.4");
	}
}

static void broken_tls_may_be_gone_without(void **state)
{
	(void)state;
	for (enum out_tls tls = OUT_TLS_MAY; tls <= OUT_TLS_MUST; tls++) {
		struct out_options o = with(tls);
		PLAY(&o, ONE, OFFERED, {C, "STARTTLS\r\n"}, {S, "454 4.7.0 not now\r\n"}, BYE);
		assert_fails(OUT_BAD_TLS, OUT_TEMP, "4.7.0");
		assert_int_equal(seen.end.try_plain, tls == OUT_TLS_MAY);
		PLAY(&o, ONE, OFFERED, {C, "STARTTLS\r\n"}, {S, "220 go\r\n"}, {CLOSE, NULL});
		assert_fails(OUT_BAD_TLS, OUT_LOST, "4.7.5");
		assert_int_equal(seen.end.try_plain, tls == OUT_TLS_MAY);
		PLAY(&o, ONE, OFFERED, {C, "STARTTLS\r\n"}, {S, "220 go\r\n"}, {LINE, NULL},
		     {S, "500 what is this?\r\n"});
		assert_fails(OUT_BAD_TLS, OUT_LOST, "4.7.5");
		o.times.hello = 400;
		PLAY(&o, ONE, OFFERED, {C, "STARTTLS\r\n"}, {S, "220 go\r\n"});
		assert_fails(OUT_BAD_TLS, OUT_LOST, "4.7.5");
		assert_string_equal(seen.end.verdict.text, "the TLS handshake took too long");
	}
}

static void plaintext_behind_the_go_ahead_is_dropped(void **state)
{
	(void)state;
	struct out_options o = with(OUT_TLS_MUST);
	PLAY(&o, ONE, OFFERED, {C, "STARTTLS\r\n"}, {S, "220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"},
	     {TLS, NULL}, EHLO(""), SEND);
	assert_delivered();
}

static void requiretls_wants_a_verified_server(void **state)
{
	(void)state;
	struct out_mail m[] = {ONE[0]};
	struct out_options o = with(OUT_TLS_VERIFY);
	m[0].flags = DELIVER_REQUIRETLS;
	PLAY(&o, m, OFFERED, GO, EHLO("250-REQUIRETLS\r\n"),
	     {C, "MAIL FROM:<a@a.test> REQUIRETLS\r\n"}, {S, "550 5.7.1 no\r\n"}, BYE);
	assert_verdict(0, OUT_PERM, 550, "5.7.1");
	o = with(OUT_TLS_MUST);
	PLAY(&o, m, OFFERED, GO, EHLO("250-REQUIRETLS\r\n"), BYE);
	assert_verdict(0, OUT_PERM, 0, "5.7.30");
}

/* --- AUTH ---------------------------------------------------------------------------------- */

static struct out_options user(enum out_tls tls)
{
	struct out_options o = with(tls);
	o.user = "user";
	o.password = "pass";
	return o;
}

static void passwords_go_over_tls_only(void **state)
{
	(void)state;
	struct out_options o = user(OUT_TLS_MUST);
	PLAY(&o, ONE, OFFERED, GO, EHLO("250-AUTH LOGIN PLAIN\r\n"),
	     {C, "AUTH PLAIN AHVzZXIAcGFzcw==\r\n"}, {S, "235 2.7.0 ok\r\n"}, SEND);
	assert_delivered();
	PLAY(&o, ONE, OFFERED, GO, EHLO("250-AUTH=LOGIN\r\n"), {C, "AUTH LOGIN\r\n"},
	     {S, "334 VXNlcm5hbWU6\r\n"}, {C, "dXNlcg==\r\n"}, {S, "334 UGFzc3dvcmQ6\r\n"},
	     {C, "cGFzcw==\r\n"}, {S, "235 ok\r\n"}, SEND);
	assert_delivered();
	o = user(OUT_TLS_MAY);
	PLAY(&o, ONE, {S, "220 mx.b.test\r\n"}, EHLO("250-AUTH PLAIN LOGIN\r\n"), BYE);
	assert_fails(OUT_NO_AUTH, OUT_PERM, "5.7.4");
}

static void auth_may_be_refused(void **state)
{
	(void)state;
	struct out_options o = user(OUT_TLS_MUST);
	PLAY(&o, ONE, OFFERED, GO, EHLO(""), BYE);
	assert_fails(OUT_NO_AUTH, OUT_PERM, "5.7.4");
	PLAY(&o, ONE, OFFERED, GO, EHLO("250-AUTH PLAIN\r\n"),
	     {C, "AUTH PLAIN AHVzZXIAcGFzcw==\r\n"}, {S, "535 5.7.8 wrong\r\n"}, BYE);
	assert_fails(OUT_NO_AUTH, OUT_PERM, "5.7.8");
	PLAY(&o, ONE, OFFERED, GO, EHLO("250-AUTH PLAIN\r\n"),
	     {C, "AUTH PLAIN AHVzZXIAcGFzcw==\r\n"}, {S, "454 4.7.0 later\r\n"}, BYE);
	assert_fails(OUT_NO_AUTH, OUT_TEMP, "4.7.0");
	/* asked for more than the mechanism has */
	PLAY(&o, ONE, OFFERED, GO, EHLO("250-AUTH PLAIN\r\n"),
	     {C, "AUTH PLAIN AHVzZXIAcGFzcw==\r\n"}, {S, "334 \r\n"});
	assert_fails(OUT_NO_AUTH, OUT_TEMP, "4.7.0");
	o.times.auth = 300;
	PLAY(&o, ONE, OFFERED, GO, EHLO("250-AUTH PLAIN\r\n"));
	assert_fails(OUT_GONE, OUT_LOST, "4.4.2");
}

/* A server's side of SCRAM, by libgsasl. */
static Gsasl *sasl;
static Gsasl_session *scram;
static const char *scram_name, *scram_password;

static void scram_begin(void)
{
	unsigned char data[64];
	char b64[128];
	const char *type;
	size_t n = stream_binding(peer.s, data, &type);
	assert_int_equal(gsasl_server_start(sasl, scram_name, &scram), GSASL_OK);
	gsasl_property_set(scram, GSASL_PASSWORD, scram_password);
	gsasl_property_set(scram, GSASL_SCRAM_ITER, "4096");
	gsasl_property_set(scram, GSASL_SCRAM_SALT, "c2FsdHNhbHQ=");
	if (n && strstr(scram_name, "-PLUS")) {
		str_base64(b64, data, n);
		gsasl_property_set(scram, GSASL_CB_TLS_EXPORTER, b64);
	}
}

/* True when the exchange is over. */
static bool scram_step(void)
{
	char *line, *out = NULL, *end;
	bool over = true;
	if (!peer.in.len || !(end = strstr(buf_cstr(&peer.in), "\r\n")))
		return false;
	line = mem_strndup(peer.in.p, (size_t)(end - peer.in.p));
	buf_drop(&peer.in, strlen(line) + 2);
	char *arg = strrchr(line, ' ');
	if (arg) {
		assert_memory_equal(line, "AUTH ", 5);
		assert_memory_equal(line + 5, scram_name, (size_t)(arg - line) - 5);
		scram_begin();
	}
	if (!*line) {
		stream_writes(peer.s, "235 2.7.0 ok\r\n");
	} else {
		int rc = gsasl_step64(scram, arg ? arg + 1 : line, &out);
		over = rc != GSASL_OK && rc != GSASL_NEEDS_MORE;
		if (over)
			stream_writes(peer.s, "535 5.7.8 wrong\r\n");
		else
			stream_printf(peer.s, "334 %s\r\n", out);
	}
	if (over)
		gsasl_finish(scram);
	gsasl_free(out);
	free(line);
	return over;
}

static void scram_proves_both_sides(void **state)
{
	(void)state;
	struct out_options o = user(OUT_TLS_MAY);
	peer_hook = scram_step;
	scram_password = "pass";
	scram_name = "SCRAM-SHA-256";
	PLAY(&o, ONE, {S, "220 mx.b.test\r\n"},
	     EHLO("250-AUTH PLAIN SCRAM-SHA-1 SCRAM-SHA-256\r\n"), {HOOK, NULL}, SEND);
	assert_delivered();
	scram_name = "SCRAM-SHA-1";
	PLAY(&o, ONE, {S, "220 mx.b.test\r\n"}, EHLO("250-AUTH PLAIN SCRAM-SHA-1\r\n"),
	     {HOOK, NULL}, SEND);
	assert_delivered();
	scram_name = "SCRAM-SHA-256-PLUS";
	PLAY(&o, ONE, OFFERED, GO, EHLO("250-AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"),
	     {HOOK, NULL}, SEND);
	assert_delivered();
	scram_name = "SCRAM-SHA-256";
	scram_password = "other";
	PLAY(&o, ONE, {S, "220 mx.b.test\r\n"}, EHLO("250-AUTH SCRAM-SHA-256\r\n"), {HOOK, NULL},
	     BYE);
	assert_fails(OUT_NO_AUTH, OUT_PERM, "5.7.8");
}

static void scram_does_not_believe_everything(void **state)
{
	(void)state;
	struct out_options o = user(OUT_TLS_MAY);
#define SCRAM {S, "220 mx.b.test\r\n"}, EHLO("250-AUTH SCRAM-SHA-256\r\n"), {LINE, NULL}
	PLAY(&o, ONE, SCRAM, {S, "235 welcome\r\n"}, BYE); /* without a proof */
	assert_fails(OUT_NO_AUTH, OUT_TEMP, "4.7.0");
	/* i=2000000000: hours of work */
	PLAY(&o, ONE, SCRAM, {S, "334 cj14LHM9ZUE9PSxpPTIwMDAwMDAwMDA=\r\n"}, BYE);
	assert_fails(OUT_NO_AUTH, OUT_TEMP, "4.7.0");
	PLAY(&o, ONE, SCRAM, {S, "334 not base64!\r\n"}, BYE);
	assert_fails(OUT_NO_AUTH, OUT_TEMP, "4.7.0");
	PLAY(&o, ONE, SCRAM, {CLOSE, NULL});
	assert_fails(OUT_GONE, OUT_LOST, "4.4.2");
}

static int begin(void **state)
{
	const char *why = NULL;
	(void)state;
	tls_files_make();
	server_ctx = tls_server_ctx_files(tls_cert_file, tls_key_file, NULL, &why);
	trusting = tls_client_ctx(tls_cert_file, NULL);
	distrusting = tls_client_ctx("/dev/null", NULL);
	return gsasl_init(&sasl) == GSASL_OK && server_ctx ? 0 : -1;
}

static int end(void **state)
{
	tls_ctx_free(&server_ctx);
	tls_ctx_free(&trusting);
	tls_ctx_free(&distrusting);
	gsasl_done(sasl);
	tls_files_drop();
	return seen_free(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tls_is_begun_by_every_policy),
	    cmocka_unit_test(certificates_are_judged_by_policy),
	    cmocka_unit_test(no_tls_no_mail),
	    cmocka_unit_test(broken_tls_may_be_gone_without),
	    cmocka_unit_test(plaintext_behind_the_go_ahead_is_dropped),
	    cmocka_unit_test(requiretls_wants_a_verified_server),
	    cmocka_unit_test(passwords_go_over_tls_only),
	    cmocka_unit_test(auth_may_be_refused),
	    cmocka_unit_test(scram_proves_both_sides),
	    cmocka_unit_test(scram_does_not_believe_everything),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, begin, end);
}
