/* Verifiers of passwords: SCRAM-SHA-256 keys, and the hashes of app passwords. The stretching is
 * GnuTLS's (13 ms for 100,000 iterations where libgsasl's own takes 67). */
#include <gnutls/crypto.h>
#include <gsasl.h>
#include <stdlib.h>
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"
#include "stored/auth.h"

enum { SALT_LEN = 16, APP_LETTERS = 16 };

static unsigned char fake_key[AUTH_KEY_LEN];

/* The password as SASLprep has it, to be wiped; NULL: refused. */
static char *prepared(struct slice password, Gsasl_saslprep_flags flags)
{
	char *out = NULL;
	if (password.len == 0 || password.len > PASSWORD_MAX ||
	    memchr(password.p, '\0', password.len))
		return NULL;
	char *typed = mem_strndup(password.p, password.len);
	if (gsasl_saslprep(typed, flags, &out, NULL) != GSASL_OK)
		out = NULL;
	mem_wipe(typed, password.len);
	if (out && !*out) { /* nothing but characters that SASLprep drops */
		gsasl_free(out);
		return NULL;
	}
	return out;
}

static bool derive(const char *password, size_t len, struct verifier *v)
{
	gnutls_datum_t p = {(unsigned char *)(uintptr_t)password, (unsigned)len};
	gnutls_datum_t salt = {v->salt, (unsigned)v->salt_len};
	char salted[32], client_key[32];
	bool ok = gnutls_pbkdf2(GNUTLS_MAC_SHA256, &p, &salt, v->iterations, salted,
				sizeof(salted)) == 0 &&
		  gsasl_scram_secrets_from_salted_password(GSASL_HASH_SHA256, salted, client_key,
							   (char *)v->server_key,
							   (char *)v->stored_key) == GSASL_OK;
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client_key, sizeof(client_key));
	return ok;
}

bool verifier_make(struct slice password, unsigned iterations, struct verifier *out)
{
	/* What is unassigned in Unicode 3.2 may not be stored (RFC 4013 2.5). */
	char *p = prepared(password, 0);
	if (!p)
		return false;
	*out = (struct verifier){.iterations = iterations, .salt_len = SALT_LEN};
	id_random(out->salt, SALT_LEN);
	bool ok = derive(p, strlen(p), out);
	mem_wipe(p, strlen(p));
	return ok;
}

bool verifier_check(const struct verifier *v, struct slice password)
{
	struct verifier mine = *v;
	char *p = prepared(password, GSASL_ALLOW_UNASSIGNED);
	/* A password that cannot be right takes as long as one that is wrong. */
	bool ok = derive(p ? p : "", p ? strlen(p) : 0, &mine) && p &&
		  str_eq_secret(mine.stored_key, v->stored_key, sizeof(mine.stored_key));
	if (p)
		mem_wipe(p, strlen(p));
	explicit_bzero(&mine, sizeof(mine));
	return ok;
}

void verifier_fake_key(const unsigned char key[AUTH_KEY_LEN])
{
	memcpy(fake_key, key, AUTH_KEY_LEN);
}

static void fake_part(struct slice name, char what, void *out, size_t n)
{
	unsigned char key[AUTH_KEY_LEN + 1], mac[32];
	memcpy(key, fake_key, AUTH_KEY_LEN);
	key[AUTH_KEY_LEN] = (unsigned char)what;
	gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, sizeof(key), name.p, name.len, mac);
	memcpy(out, mac, n);
	explicit_bzero(key, sizeof(key));
}

void verifier_fake(struct slice name, struct verifier *out)
{
	*out =
	    (struct verifier){.iterations = (unsigned)conf.scram_iterations, .salt_len = SALT_LEN};
	fake_part(name, 's', out->salt, SALT_LEN);
	fake_part(name, 'k', out->stored_key, sizeof(out->stored_key));
	fake_part(name, 'v', out->server_key, sizeof(out->server_key));
}

/* --- app passwords ----------------------------------------------------------- */

void app_password_new(char out[APP_PASSWORD_LEN + 1])
{
	size_t n = 0;
	while (n < APP_PASSWORD_LEN) {
		unsigned char r;
		if (n % 5 == 4) {
			out[n++] = '-';
			continue;
		}
		id_random(&r, 1);
		if (r < 9 * 26) /* every letter is as likely */
			out[n++] = (char)('a' + r % 26);
	}
	out[n] = '\0';
}

bool app_password_hash(struct slice password, const unsigned char salt[16], unsigned char out[32])
{
	unsigned char text[16 + APP_LETTERS];
	size_t n = 0;
	memcpy(text, salt, 16);
	for (size_t i = 0; i < password.len; i++) {
		char c = str_lower(password.p[i]);
		if (c == '-' || c == ' ')
			continue;
		if (c < 'a' || c > 'z' || n == APP_LETTERS)
			return false;
		text[16 + n++] = (unsigned char)c;
	}
	if (n != APP_LETTERS)
		return false;
	gnutls_hash_fast(GNUTLS_DIG_SHA256, text, sizeof(text), out);
	explicit_bzero(text, sizeof(text));
	return true;
}
