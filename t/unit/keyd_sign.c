/* What keyd signs: the forms of TLS server signatures and nothing else, for whom it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "t/unit/keyd_make.h"

static char dir[64];
static struct pool *pool;

/* --- forms ------------------------------------------------------------------------------- */

static const char CONTEXT[] = "TLS 1.3, server CertificateVerify";

static struct slice form_13(char *out, size_t hash)
{
	memset(out, ' ', 64);
	memcpy(out + 64, CONTEXT, sizeof(CONTEXT));
	memset(out + 64 + sizeof(CONTEXT), 'h', hash);
	return (struct slice){out, 64 + sizeof(CONTEXT) + hash};
}

static struct slice form_12(char *out, int group, size_t point)
{
	memset(out, 'r', 64);
	out[64] = 3;
	out[65] = 0;
	out[66] = (char)group;
	out[67] = (char)point;
	memset(out + 68, 4, point);
	return (struct slice){out, 68 + point};
}

static void server_signatures_of_tls13_are_signed(void **state)
{
	(void)state;
	char b[300];
	assert_true(sign_shape(form_13(b, 32)));
	assert_true(sign_shape(form_13(b, 48)));
}

static void other_lengths_of_hashes_are_not(void **state)
{
	(void)state;
	char b[300];
	const size_t wrong[] = {0, 20, 31, 33, 47, 49, 64};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(sign_shape(form_13(b, wrong[i])));
}

static void client_signatures_are_not(void **state)
{
	(void)state;
	char b[300];
	struct slice s = form_13(b, 32);
	static const char CLIENT[] = "TLS 1.3, client CertificateVerify";
	memcpy(b + 64, CLIENT, sizeof(CLIENT));
	assert_false(sign_shape(s));
}

static void every_byte_of_the_form_counts(void **state)
{
	(void)state;
	char b[300];
	for (size_t i = 0; i < 64 + sizeof(CONTEXT); i++) {
		struct slice s = form_13(b, 32);
		b[i] ^= 1;
		assert_false(sign_shape(s));
	}
}

static void key_exchanges_of_tls12_are_signed(void **state)
{
	(void)state;
	char b[300];
	assert_true(sign_shape(form_12(b, 29, 32)));
	assert_true(sign_shape(form_12(b, 23, 65)));
	assert_true(sign_shape(form_12(b, 24, 97)));
}

static void other_key_exchanges_are_not(void **state)
{
	(void)state;
	char b[300];
	assert_false(sign_shape(form_12(b, 23, 64)));
	assert_false(sign_shape(form_12(b, 29, 65)));
	assert_false(sign_shape(form_12(b, 25, 133)));
	struct slice s = form_12(b, 29, 32);
	b[64] = 1; /* an explicit prime */
	assert_false(sign_shape(s));
	s = form_12(b, 23, 65);
	b[68] = 2; /* a compressed point */
	assert_false(sign_shape(s));
	s = form_12(b, 29, 32);
	s.len++; /* something behind it */
	assert_false(sign_shape(s));
	s.len -= 2;
	assert_false(sign_shape(s));
}

static void hashes_and_texts_are_not(void **state)
{
	(void)state;
	char b[300] = {0};
	for (size_t n = 0; n <= sizeof(b); n++)
		assert_false(sign_shape((struct slice){b, n}));
}

static void algorithms_fit_keys(void **state)
{
	(void)state;
	assert_true(sign_algorithm(GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_PK_ECDSA));
	assert_true(sign_algorithm(GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, GNUTLS_PK_RSA));
	assert_true(sign_algorithm(GNUTLS_SIGN_RSA_SHA256, GNUTLS_PK_RSA));
	assert_false(sign_algorithm(GNUTLS_SIGN_RSA_SHA256, GNUTLS_PK_ECDSA));
	assert_false(sign_algorithm(GNUTLS_SIGN_RSA_SHA1, GNUTLS_PK_RSA));
	assert_false(sign_algorithm(GNUTLS_SIGN_RSA_RAW, GNUTLS_PK_RSA));
	assert_false(sign_algorithm(GNUTLS_SIGN_ECDSA_SHA1, GNUTLS_PK_ECDSA));
	assert_false(sign_algorithm(UINT32_MAX, GNUTLS_PK_ECDSA));
}

/* --- rights ------------------------------------------------------------------------------- */

static int open_state(void **state)
{
	(void)state;
	struct why w = {0};
	snprintf(dir, sizeof(dir), "/tmp/hamlet-keyd-XXXXXX");
	pool = pool_new(0);
	log_init("test", LOG_TO_STDERR, LOG_LV_ERROR);
	return mkdtemp(dir) &&
		       state_conf(pool, dir,
				  "certificate all {\n names a.test\n}\n"
				  "certificate mail {\n names mail.a.test\n roles smtpd\n}\n") &&
		       set_open(&w)
		   ? 0
		   : -1;
}

static int close_state(void **state)
{
	(void)state;
	set_close();
	pool_free(&pool);
	return state_remove(dir);
}

static enum ipc_err ask(enum role role, const char *id, uint32_t algorithm, struct slice data,
			gnutls_datum_t *sig)
{
	const char *text;
	struct msg_sign m = {.key = slice_of(id), .algorithm = algorithm, .data = data};
	return sign_request(role, &m, sig, &text);
}

static void keys_are_for_their_roles(void **state)
{
	(void)state;
	char b[300];
	gnutls_datum_t sig = {0};
	struct slice data = form_13(b, 32);
	const uint32_t alg = GNUTLS_SIGN_ECDSA_SECP256R1_SHA256;
	const struct cert *mail = set_find(SLICE("mail"));
	assert_int_equal(ask(ROLE_POP3D, mail->id, alg, data, &sig), ERR_DENIED);
	assert_int_equal(ask(ROLE_CTL, mail->id, alg, data, &sig), ERR_DENIED);
	assert_int_equal(ask(ROLE_SMTPD, mail->id, alg, data, &sig), ERR_OK);
	/* It is a signature of just that data by that key. */
	gnutls_pubkey_t pub;
	gnutls_datum_t d = {(unsigned char *)b, (unsigned)data.len};
	gnutls_pubkey_init(&pub);
	gnutls_pubkey_import_x509(pub, mail->pair.chain[0], 0);
	assert_int_equal(gnutls_pubkey_verify_data2(pub, alg, 0, &d, &sig), 0);
	gnutls_pubkey_deinit(pub);
	gnutls_free(sig.data);
}

static void keys_are_for_their_purpose(void **state)
{
	(void)state;
	char b[300];
	gnutls_datum_t sig = {0};
	const char *id = set_find(SLICE("all"))->id;
	const uint32_t alg = GNUTLS_SIGN_ECDSA_SECP256R1_SHA256;
	assert_int_equal(ask(ROLE_SMTPD, id, alg, SLICE("a mail"), &sig), ERR_DENIED);
	assert_int_equal(ask(ROLE_SMTPD, id, GNUTLS_SIGN_RSA_SHA256, form_13(b, 32), &sig),
			 ERR_DENIED);
	assert_int_equal(ask(ROLE_SMTPD, "all", alg, form_13(b, 32), &sig), ERR_NOTFOUND);
	assert_int_equal(ask(ROLE_SMTPD, "", alg, form_13(b, 32), &sig), ERR_NOTFOUND);
}

static void a_former_key_signs_a_little_longer(void **state)
{
	(void)state;
	char b[300];
	struct why w = {0};
	gnutls_datum_t sig = {0};
	struct cert *c = set_find(SLICE("all"));
	char *before = strdup(c->id);
	assert_true(set_renew(c, &w));
	assert_string_not_equal(before, c->id);
	const uint32_t alg = GNUTLS_SIGN_ECDSA_SHA256;
	assert_int_equal(ask(ROLE_SMTPD, before, alg, form_12(b, 29, 32), &sig), ERR_OK);
	gnutls_free(sig.data);
	c->old_until = clock_mono();
	assert_int_equal(ask(ROLE_SMTPD, before, alg, form_12(b, 29, 32), &sig), ERR_NOTFOUND);
	free(before);
}

int main(void)
{
#define STATE(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(server_signatures_of_tls13_are_signed),
	    cmocka_unit_test(other_lengths_of_hashes_are_not),
	    cmocka_unit_test(client_signatures_are_not),
	    cmocka_unit_test(every_byte_of_the_form_counts),
	    cmocka_unit_test(key_exchanges_of_tls12_are_signed),
	    cmocka_unit_test(other_key_exchanges_are_not),
	    cmocka_unit_test(hashes_and_texts_are_not),
	    cmocka_unit_test(algorithms_fit_keys),
	    STATE(keys_are_for_their_roles),
	    STATE(keys_are_for_their_purpose),
	    STATE(a_former_key_signs_a_little_longer),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
