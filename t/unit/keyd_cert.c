/* Certificates: what is issued, imported, refused, kept over a restart and renewed in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "t/unit/keyd_make.h"

#define DAY_MS (24 * 3600 * 1000ll)
static const char CERTS[] = "certificate demo {\n names *.a.test localhost 127.0.0.1 ::1\n}\n";

static char dir[64];
static struct pool *pool;
static int64_t *moved; /* milliseconds that the clock is moved */
static struct why w;
static struct made ca, leaf;

static int open_state(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/hamlet-keyd-XXXXXX");
	w.text[0] = 0;
	*moved = 0;
	pool = pool_new(0);
	return mkdtemp(dir) && state_conf(pool, dir, CERTS) && set_open(&w) ? 0 : -1;
}

static int close_state(void **state)
{
	(void)state;
	set_close();
	pool_free(&pool);
	return state_remove(dir);
}

static void again(const char *certs)
{
	set_close();
	assert_true(state_conf(pool, dir, certs));
	assert_true(set_open(&w));
}

static bool import(const char *name, const char *a, const char *b, const char *c)
{
	char pem[16384];
	snprintf(pem, sizeof(pem), "%s%s%s", a, b, c);
	return set_import(slice_of(name), slice_of(pem), &w);
}

#define REFUSED(call, says)                              \
	do {                                             \
		w.text[0] = 0;                           \
		assert_false(call);                      \
		if (!strstr(w.text, says))               \
			fail_msg("it says: %s", w.text); \
	} while (0)

/* --- the local CA ------------------------------------------------------------------------- */

static void the_first_start_issues(void **state)
{
	(void)state;
	const struct cert *c = set_find(SLICE("demo"));
	assert_non_null(c);
	assert_true(c->local);
	assert_true(slice_eqs(buf_slice(&c->names), "*.a.test localhost 127.0.0.1 ::1"));
	assert_true(gnutls_x509_crt_check_hostname(c->pair.chain[0], "www.a.test"));
	assert_true(gnutls_x509_crt_check_hostname(c->pair.chain[0], "127.0.0.1"));
	assert_false(gnutls_x509_crt_check_hostname(c->pair.chain[0], "a.b.a.test"));
	assert_int_equal(c->pair.pk, GNUTLS_PK_ECDSA);
}

static void keys_are_for_one_user(void **state)
{
	(void)state;
	const char *const files[] = {"state/ca.key", "state/certs/demo.pem"};
	char path[128];
	struct stat st;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	snprintf(path, sizeof(path), "%s/state", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void a_restart_changes_nothing(void **state)
{
	(void)state;
	char *id = strdup(set_find(SLICE("demo"))->id);
	again(CERTS);
	assert_string_equal(set_find(SLICE("demo"))->id, id);
	assert_true(set_find(SLICE("demo"))->local);
	free(id);
}

static void other_names_are_another_certificate(void **state)
{
	(void)state;
	again("certificate demo {\n names www.b.test\n}\n");
	assert_true(slice_eqs(buf_slice(&set_find(SLICE("demo"))->names), "www.b.test"));
}

static void certificates_are_renewed_in_time(void **state)
{
	(void)state;
	struct cert *c = set_find(SLICE("demo"));
	char *id = strdup(c->id);
	*moved = 59 * DAY_MS; /* 90 days, renewed 30 before */
	set_tick();
	assert_string_equal(c->id, id);
	*moved = 61 * DAY_MS;
	set_tick();
	assert_string_not_equal(c->id, id);
	assert_true(c->pair.not_after > clock_ms() + (uint64_t)(89 * DAY_MS));
	free(id);
}

static void a_ca_without_its_key_is_not_made_anew(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof(path), "%s/state/ca.key", dir);
	assert_int_equal(unlink(path), 0);
	set_close();
	REFUSED(set_open(&w), "ca.key is not");
}

/* --- an administrator's own --------------------------------------------------------------- */

static void imported_ones_are_served(void **state)
{
	(void)state;
	assert_true(import("own", leaf.pem, ca.pem, leaf.key_pem));
	const struct cert *c = set_find(SLICE("own"));
	assert_false(c->local);
	assert_int_equal(c->pair.n, 2);
	assert_int_equal(c->roles, R_TLS);
	again(CERTS);
	assert_non_null(set_find(SLICE("own")));
	REFUSED(set_renew(set_find(SLICE("own")), &w), "imported");
	assert_true(set_delete(set_find(SLICE("own")), &w));
	again(CERTS);
	assert_null(set_find(SLICE("own")));
}

static void the_key_may_come_first(void **state)
{
	(void)state;
	assert_true(import("own", leaf.key_pem, leaf.pem, ca.pem));
}

static void an_import_replaces_the_local_one(void **state)
{
	(void)state;
	assert_true(import("demo", leaf.pem, ca.pem, leaf.key_pem));
	again(CERTS); /* other names than in the configuration, but not ours to change */
	assert_false(set_find(SLICE("demo"))->local);
	assert_true(set_delete(set_find(SLICE("demo")), &w));
	assert_true(set_find(SLICE("demo"))->local);
	REFUSED(set_delete(set_find(SLICE("demo")), &w), "keyd.conf");
}

static void another_key_is_refused(void **state)
{
	(void)state;
	REFUSED(import("own", leaf.pem, ca.pem, ca.key_pem), "not the one of the first");
}

static void a_wrong_order_is_refused(void **state)
{
	(void)state;
	struct made other = make("other", NULL, NULL, GNUTLS_PK_ECDSA, P256, -10, 1000);
	REFUSED(import("own", leaf.pem, other.pem, leaf.key_pem), "not issued by the next");
	REFUSED(import("own", ca.pem, leaf.pem, leaf.key_pem), "not the one of the first");
	made_free(&other);
}

static void expired_ones_are_refused(void **state)
{
	(void)state;
	struct made old = make("old", "old.test", NULL, GNUTLS_PK_ECDSA, P256, -1000, -10);
	struct made young = make("young", "young.test", NULL, GNUTLS_PK_ECDSA, P256, 1000, 2000);
	REFUSED(import("own", old.pem, "", old.key_pem), "expired at");
	REFUSED(import("own", young.pem, "", young.key_pem), "not valid before");
	made_free(&old);
	made_free(&young);
}

static void missing_parts_are_told(void **state)
{
	(void)state;
	REFUSED(import("own", leaf.pem, "", ""), "no private key");
	REFUSED(import("own", leaf.key_pem, "", ""), "certificate");
	REFUSED(import("own", "", "", ""), "certificate");
	REFUSED(import("own", "-----BEGIN CERTIFICATE-----\nAAAA\n", "", leaf.key_pem),
		"cannot be read");
	REFUSED(import("../own", leaf.pem, "", leaf.key_pem), "letters");
}

static void encrypted_keys_are_told(void **state)
{
	(void)state;
	char pem[4096];
	size_t n = sizeof(pem);
	assert_int_equal(gnutls_x509_privkey_export_pkcs8(leaf.key, GNUTLS_X509_FMT_PEM, "secret",
							  GNUTLS_PKCS_PBES2_AES_128, pem, &n),
			 0);
	pem[n] = 0;
	REFUSED(import("own", leaf.pem, "", pem), "encrypted");
}

static void other_kinds_of_keys_are_refused(void **state)
{
	(void)state;
	struct made weak = make("weak", "w.test", NULL, GNUTLS_PK_RSA, 1024, -10, 1000);
	struct made ed = make("ed", "e.test", NULL, GNUTLS_PK_EDDSA_ED25519, 256, -10, 1000);
	struct made nameless = make("n", NULL, NULL, GNUTLS_PK_ECDSA, P256, -10, 1000);
	REFUSED(import("own", weak.pem, "", weak.key_pem), "too weak");
	REFUSED(import("own", ed.pem, "", ed.key_pem), "not supported");
	REFUSED(import("own", nameless.pem, "", nameless.key_pem), "names no host");
	made_free(&weak);
	made_free(&ed);
	made_free(&nameless);
}

static void long_chains_are_refused(void **state)
{
	(void)state;
	char chain[16384] = "";
	for (int i = 0; i < 9; i++)
		strncat(chain, leaf.pem, sizeof(chain) - strlen(chain) - 1);
	REFUSED(import("own", chain, "", leaf.key_pem), "more than");
}

/* --- commands -------------------------------------------------------------------------------- */

static void issuing_by_hand(void **state)
{
	(void)state;
	const struct slice names[] = {SLICE("x.test"), SLICE("10.0.0.1")};
	const struct slice bad[] = {SLICE("X.test")};
	assert_true(set_issue(SLICE("x"), names, 2, &w));
	assert_true(slice_eqs(buf_slice(&set_find(SLICE("x"))->names), "x.test 10.0.0.1"));
	REFUSED(set_issue(SLICE("x"), bad, 1, &w), "not a host name");
	REFUSED(set_issue(SLICE("demo"), names, 2, &w), "keyd.conf");
	assert_true(import("own", leaf.pem, ca.pem, leaf.key_pem));
	REFUSED(set_issue(SLICE("own"), names, 2, &w), "imported");
}

static void the_default_is_the_configurations(void **state)
{
	(void)state;
	again("certificate a {\n names a.test\n roles pop3d\n}\n"
	      "certificate b {\n names b.test\n}\n"
	      "certificate c {\n names c.test\n default on\n roles smtpd\n}\n");
	assert_string_equal(set_default(ROLE_SMTPD)->name, "c");
	assert_string_equal(set_default(ROLE_POP3D)->name, "a");
	assert_string_equal(set_default(ROLE_IMAPD)->name, "b");
	assert_null(set_default(ROLE_CTL));
}

static void ticket_keys_rotate_by_role(void **state)
{
	(void)state;
	uint64_t until;
	unsigned char smtpd[TICKET_KEY_LEN];
	memcpy(smtpd, ticket_key(ROLE_SMTPD, &until), TICKET_KEY_LEN);
	assert_memory_not_equal(smtpd, ticket_key(ROLE_POP3D, &until), TICKET_KEY_LEN);
	assert_int_equal(ticket_rotate(), 0);
	assert_memory_equal(smtpd, ticket_key(ROLE_SMTPD, &until), TICKET_KEY_LEN);
	*moved = DAY_MS + 1000;
	assert_int_equal(ticket_rotate(), R_SMTPD | R_POP3D);
	assert_memory_not_equal(smtpd, ticket_key(ROLE_SMTPD, &until), TICKET_KEY_LEN);
}

static int begin(void **state)
{
	(void)state;
	static char path[] = "/tmp/hamlet-clock-XXXXXX";
	int fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, sizeof(*moved)) != 0)
		return -1;
	moved = mmap(NULL, sizeof(*moved), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	setenv("HAMLET_CLOCK", path, 1);
	clock_init();
	unlink(path);
	log_init("test", LOG_TO_STDERR, LOG_LV_ERROR);
	ca = make("test CA", NULL, NULL, GNUTLS_PK_ECDSA, P256, -10, 100000);
	leaf = make("own", "own.test", &ca, GNUTLS_PK_ECDSA, P256, -10, 100000);
	return 0;
}

static int end(void **state)
{
	(void)state;
	made_free(&ca);
	made_free(&leaf);
	return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)
	const struct CMUnitTest tests[] = {
	    T(the_first_start_issues),
	    T(keys_are_for_one_user),
	    T(a_restart_changes_nothing),
	    T(other_names_are_another_certificate),
	    T(certificates_are_renewed_in_time),
	    T(a_ca_without_its_key_is_not_made_anew),
	    T(imported_ones_are_served),
	    T(the_key_may_come_first),
	    T(an_import_replaces_the_local_one),
	    T(another_key_is_refused),
	    T(a_wrong_order_is_refused),
	    T(expired_ones_are_refused),
	    T(missing_parts_are_told),
	    T(encrypted_keys_are_told),
	    T(other_kinds_of_keys_are_refused),
	    T(long_chains_are_refused),
	    T(issuing_by_hand),
	    T(the_default_is_the_configurations),
	    T(ticket_keys_rotate_by_role),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, begin, end);
}
