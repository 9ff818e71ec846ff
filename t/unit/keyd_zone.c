/* Keys of signed zones: how they are kept, what they sign, and for whom it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include <gnutls/crypto.h>
#include <ldns/ldns.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"
#include "libcommon/net/loop.h"
#include "t/unit/keyd_make.h"
#include "t/unit/keyd_zone.h"

static char dir[64];
static struct pool *pool;
static struct zone *zone;
static struct why why;

static struct slice name_of(const char *text)
{
	static uint8_t name[DNS_NAME_MAX];
	return (struct slice){(const char *)name, dns_name_from_text(slice_of(text), name)};
}

static struct zone *find(const char *text)
{
	struct zone *z = NULL;
	assert_int_equal(zone_find(name_of(text), &z, &why), ERR_OK);
	return z;
}

static int open_state(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/hamlet-keyd-XXXXXX");
	pool = pool_new(0);
	log_init("test", LOG_TO_STDERR, LOG_LV_ERROR);
	if (!mkdtemp(dir) || !state_conf(pool, dir, "") || !set_open(&why) || !zone_open(&why))
		return -1;
	zone = find("example.org");
	return zone_key_make(zone, ZONE_ECDSA, &why);
}

static int close_state(void **state)
{
	(void)state;
	zone_close();
	set_close();
	pool_free(&pool);
	return state_remove(dir);
}

/* keyd ends and starts. */
static void again(void)
{
	zone_close();
	assert_true(zone_open(&why));
}

static const char *file_of(const char *name)
{
	static char path[400];
	snprintf(path, sizeof(path), "%s/state/zones/%s", dir, name);
	return path;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void a_key_is_a_csk(void **state)
{
	(void)state;
	const struct zone_key *k = zone->key;
	const uint8_t head[] = {1, 1, 3, 13};
	assert_int_equal(zone->n, 1);
	assert_int_equal(k->dnskey_len, 68);
	assert_memory_equal(k->dnskey, head, 4);
	assert_true(k->id != 0 && k->created_ms == k->since_ms && k->created_ms != 0);
	assert_int_equal(k->state, 0);
	/* The tag as ldns computes it. */
	ldns_rr *rr = ldns_rr_new();
	ldns_rr_set_type(rr, LDNS_RR_TYPE_DNSKEY);
	ldns_rr_set_owner(rr, ldns_dname_new_frm_str("example.org."));
	ldns_rr *read = NULL;
	size_t at = 0;
	uint8_t wire[300] = {7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3,  'o', 'r', 'g',
			     0, 0,   48,  0,   1,   0,   0,   14,  16, 0,   68};
	memcpy(wire + 23, k->dnskey, 68);
	assert_int_equal(ldns_wire2rr(&read, wire, 23 + 68, &at, LDNS_SECTION_ANSWER), 0);
	assert_int_equal(ldns_calc_keytag(read), k->tag);
	ldns_rr_free(read);
	ldns_rr_free(rr);
}

static void keys_and_what_is_known_of_them_survive(void **state)
{
	(void)state;
	assert_int_equal(zone_key_make(zone, ZONE_ED25519, &why), ERR_OK);
	uint64_t id = zone->key[1].id;
	uint8_t dnskey[2][ZONE_DNSKEY_MAX];
	memcpy(dnskey[0], zone->key[0].dnskey, sizeof(dnskey[0]));
	memcpy(dnskey[1], zone->key[1].dnskey, sizeof(dnskey[1]));
	assert_int_equal(zone_key_change(zone, id, 4, UINT64_MAX, &why), ERR_OK);
	again();
	zone = find("example.org");
	assert_int_equal(zone->n, 2);
	assert_memory_equal(zone->key[0].dnskey, dnskey[0], sizeof(dnskey[0]));
	assert_memory_equal(zone->key[1].dnskey, dnskey[1], sizeof(dnskey[1]));
	assert_int_equal(zone->key[1].id, id);
	assert_int_equal(zone->key[1].state, 4);
	assert_true(zone->key[1].until_ms == UINT64_MAX);
	assert_int_equal(zone->key[1].dnskey_len, 36);
	assert_int_equal(zone->key[1].dnskey[3], 15);
	assert_int_equal(zone_key_change(zone, id + 1, 4, 0, &why), ERR_NOTFOUND);
	/* A wait that begins anew counts from now; what is as it was does not begin. */
	zone->key[1].since_ms = 5;
	assert_int_equal(zone_key_change(zone, id, 4, UINT64_MAX, &why), ERR_OK);
	assert_true(zone->key[1].since_ms == 5);
	assert_int_equal(zone_key_change(zone, id, 4, 7, &why), ERR_OK);
	assert_true(zone->key[1].since_ms > 5);
	assert_int_equal(zone_key_change(zone, id, 4, UINT64_MAX, &why), ERR_OK);
}

static void files_are_for_keyd_alone(void **state)
{
	(void)state;
	struct stat st;
	assert_int_equal(stat(file_of("example.org.keys"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(file_of(""), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void tags_are_a_zones_own(void **state)
{
	(void)state;
	while (zone->n < ZONE_KEYS_MAX)
		assert_int_equal(zone_key_make(zone, ZONE_ED25519, &why), ERR_OK);
	for (unsigned i = 0; i < zone->n; i++)
		for (unsigned j = 0; j < i; j++)
			assert_true(zone->key[i].tag != zone->key[j].tag &&
				    zone->key[i].id != zone->key[j].id);
	assert_int_equal(zone_key_make(zone, ZONE_ECDSA, &why), ERR_LIMIT);
}

static void other_algorithms_are_refused(void **state)
{
	(void)state;
	const uint32_t wrong[] = {0, 1, 5, 7, 8, 10, 14, 16, 255, UINT32_MAX};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(zone_key_make(zone, wrong[i], &why), ERR_BAD);
	assert_int_equal(zone->n, 1);
}

static void a_deleted_key_is_gone(void **state)
{
	(void)state;
	assert_int_equal(zone_key_make(zone, ZONE_ECDSA, &why), ERR_OK);
	uint64_t first = zone->key[0].id, second = zone->key[1].id;
	assert_int_equal(zone_key_remove(zone, first, &why), ERR_OK);
	assert_int_equal(zone_key_remove(zone, first, &why), ERR_OK);
	assert_int_equal(zone->n, 1);
	again();
	zone = find("example.org");
	assert_int_equal(zone->n, 1);
	assert_true(zone->key[0].id == second);
	assert_int_equal(zone_key_remove(zone, second, &why), ERR_OK);
	assert_int_equal(access(file_of("example.org.keys"), F_OK), -1);
	zone_done(zone);
	assert_int_equal(find("example.org")->n, 0);
}

static void a_file_that_cannot_be_used_is_left_alone(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	    "",
	    "hamlet zone keys 1\nzone example.com\n",
	    "hamlet zone keys 2\nzone example.org\n",
	    "hamlet zone keys 1\nzone example.org\nkey 1 state 0 created 1 since 1 until 0\n",
	    "hamlet zone keys 1\nzone example.org\nkey 0 state 0 created 1 since 1 until 0\n"
	    "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
	    "hamlet zone keys 1\nzone example.org\nkey 1 state 0 created 1 since 1 until 0\n"
	    "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct zone *z = NULL;
		again();
		FILE *f = fopen(file_of("example.org.keys"), "w");
		assert_non_null(f);
		fputs(wrong[i], f);
		fclose(f);
		assert_int_equal(zone_find(name_of("example.org"), &z, &why), ERR_TEMP);
		assert_null(z);
		struct stat st;
		assert_int_equal(stat(file_of("example.org.keys"), &st), 0);
		assert_int_equal(st.st_size, strlen(wrong[i]));
	}
}

static void every_name_has_a_file(void **state)
{
	(void)state;
	char longest[500] = "";
	for (size_t i = 0; i < 61; i++) /* half of its labels have no letter */
		memcpy(longest + 7 * i, "\\001.a.", 8);
	static const char *const names[][2] = {
	    {".", "..keys"},
	    {"0/25.2.0.192.in-addr.arpa", "0%2F25.2.0.192.in-addr.arpa.keys"},
	    {"a\\.b.c", "a%2Eb.c.keys"},
	    {"\\.\\..x", "%2E%2E.x.keys"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct zone *z = find(names[i][0]);
		assert_int_equal(zone_key_make(z, ZONE_ED25519, &why), ERR_OK);
		assert_int_equal(access(file_of(names[i][1]), F_OK), 0);
	}
	assert_int_equal(zone_key_make(find(longest), ZONE_ED25519, &why), ERR_OK);
	again();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(find(names[i][0])->n, 1);
	assert_int_equal(find(longest)->n, 1);
}

static void names_are_checked(void **state)
{
	(void)state;
	struct zone *z = NULL;
	assert_int_equal(zone_find(SLICE(""), &z, &why), ERR_BAD);
	assert_int_equal(zone_find(SLICE("\1a"), &z, &why), ERR_BAD);
	assert_int_equal(zone_find(SLICE("\1A\0"), &z, &why), ERR_BAD);
	assert_int_equal(zone_find(SLICE("\1a\0\0"), &z, &why), ERR_BAD);
	assert_int_equal(zone_find(SLICE("\300\0"), &z, &why), ERR_BAD);
	assert_null(z);
}

/* --- shapes -------------------------------------------------------------------------------------
 */

static const uint8_t ADDR[2][4] = {{192, 0, 2, 1}, {192, 0, 2, 2}};

static struct form host(const struct zone_key *k)
{
	struct form f;
	form_begin(&f, T_A, k->dnskey[3], 3, clock_sec(), k->tag, "example.org");
	form_rr(&f, "www.example.org", T_A, ADDR[0], 4);
	form_rr(&f, "www.example.org", T_A, ADDR[1], 4);
	return f;
}

static bool shaped(const struct form *f)
{
	return !zone_shape(zone, zone->key, form_slice(f), clock_sec());
}

static void rrsets_of_the_zone_are_signed(void **state)
{
	(void)state;
	struct form f = host(zone->key);
	assert_true(shaped(&f));
	const struct zone_key *k = zone->key;
	form_begin(&f, T_TXT, 13, 2, clock_sec(), k->tag, "example.org");
	form_rr(&f, "example.org", T_TXT, "\1a", 2);
	assert_true(shaped(&f));
	form_begin(&f, T_TXT, 13, 2, clock_sec(), k->tag, "example.org");
	form_rr(&f, "*.example.org", T_TXT, "\1a", 2); /* a wildcard: its '*' does not count */
	assert_true(shaped(&f));
}

static void every_octet_of_the_head_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < 18; i++) {
		struct form f = host(zone->key);
		if (i >= 8 && i < 16) /* times are looked at below */
			continue;
		f.b[i] ^= 1;
		assert_false(shaped(&f));
	}
	struct form f = host(zone->key);
	for (size_t i = 18; i < f.owner_at; i++) {
		f = host(zone->key);
		f.b[i] ^= 1;
		assert_false(shaped(&f));
	}
}

static void what_is_cut_or_longer_is_not(void **state)
{
	(void)state;
	struct form f = host(zone->key);
	size_t whole = f.len, one = f.owner_at + 17 + 10 + 4;
	for (f.len = 0; f.len < whole; f.len++)
		assert_true(shaped(&f) == (f.len == one));
	f.len = whole + 1;
	assert_false(shaped(&f));
}

static void other_owners_are_not(void **state)
{
	(void)state;
	static const struct {
		const char *owner;
		unsigned labels;
	} wrong[] = {{"example.com", 2},     {"org", 1},
		     {"xexample.org", 2},    {"WWW.example.org", 3},
		     {"a.b.example.org", 3}, {"example.org", 3},
		     {"example.org", 1},     {"*.www.example.org", 4}};
	struct form f;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		form_begin(&f, T_A, 13, wrong[i].labels, clock_sec(), zone->key->tag,
			   "example.org");
		form_rr(&f, wrong[i].owner, T_A, ADDR[0], 4);
		assert_false(shaped(&f));
	}
	form_begin(&f, T_A, 13, 4, clock_sec(), zone->key->tag, "example.org");
	form_rr(&f, "a.b.example.org", T_A, ADDR[0], 4);
	assert_true(shaped(&f));
}

static void other_types_are_not(void **state)
{
	(void)state;
	const unsigned types[] = {0, 41, 46, 128, 249, 250, 251, 252, 255};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct form f;
		form_begin(&f, types[i], 13, 2, clock_sec(), zone->key->tag, "example.org");
		form_rr(&f, "example.org", types[i], "\1a", 2);
		assert_false(shaped(&f));
	}
}

static void records_stand_in_order(void **state)
{
	(void)state;
	const struct zone_key *k = zone->key;
	struct form f;
	form_begin(&f, T_A, 13, 3, clock_sec(), k->tag, "example.org");
	form_rr(&f, "www.example.org", T_A, ADDR[1], 4);
	form_rr(&f, "www.example.org", T_A, ADDR[0], 4);
	assert_false(shaped(&f));
	form_begin(&f, T_A, 13, 3, clock_sec(), k->tag, "example.org");
	form_rr(&f, "www.example.org", T_A, ADDR[0], 4);
	form_rr(&f, "www.example.org", T_A, ADDR[0], 4);
	assert_false(shaped(&f));
	form_begin(&f, T_A, 13, 3, clock_sec(), k->tag, "example.org");
	form_rr(&f, "www.example.org", T_A, ADDR[0], 4);
	form_rr(&f, "wwx.example.org", T_A, ADDR[1], 4);
	assert_false(shaped(&f));
	form_begin(&f, T_TXT, 13, 3, clock_sec(), k->tag, "example.org");
	form_rr(&f, "www.example.org", T_TXT, "\1a", 2);
	form_rr(&f, "www.example.org", T_TXT, "\1a\1b", 4); /* the shorter comes first */
	assert_true(shaped(&f));
}

static void times_are_bounded(void **state)
{
	(void)state;
	struct form f = host(zone->key);
	uint64_t now = clock_sec();
	assert_null(zone_shape(zone, zone->key, form_slice(&f), now));
	assert_null(zone_shape(zone, zone->key, form_slice(&f), now + 100000000));
	assert_non_null(zone_shape(zone, zone->key, form_slice(&f), now - 366ull * 24 * 3600));
	memcpy(f.b + 8, f.b + 12, 4);
	assert_false(shaped(&f));
}

static void only_keys_that_are_here_are_named(void **state)
{
	(void)state;
	struct form f;
	uint8_t foreign[68];
	assert_int_equal(zone_key_make(zone, ZONE_ECDSA, &why), ERR_OK);
	const struct zone_key *k = zone->key;
	memcpy(foreign, k->dnskey, sizeof(foreign));
	foreign[40] ^= 1;
	const unsigned types[] = {T_DNSKEY, T_CDNSKEY};
	for (int i = 0; i < 2; i++) {
		form_begin(&f, types[i], 13, 2, clock_sec(), k->tag, "example.org");
		form_rr(&f, "example.org", types[i], zone->key[1].dnskey, 68);
		assert_true(shaped(&f));
		form_begin(&f, types[i], 13, 2, clock_sec(), k->tag, "example.org");
		form_rr(&f, "example.org", types[i], foreign, 68);
		assert_false(shaped(&f));
		form_begin(&f, types[i], 13, 2, clock_sec(), k->tag, "example.org");
		form_rr(&f, "example.org", types[i], "\0\0\3\0\0", 5);
		assert_true(shaped(&f) == (types[i] == T_CDNSKEY));
	}
}

static void only_their_digests_are_named(void **state)
{
	(void)state;
	struct form f;
	const struct zone_key *k = zone->key;
	const gnutls_digest_algorithm_t algs[] = {GNUTLS_DIG_SHA1, GNUTLS_DIG_SHA256,
						  GNUTLS_DIG_SHA384};
	const uint8_t numbers[] = {1, 2, 4}, sizes[] = {20, 32, 48};
	uint8_t data[300];
	memcpy(data, zone->name, zone->name_len);
	memcpy(data + zone->name_len, k->dnskey, k->dnskey_len);
	for (int i = 0; i < 3; i++) {
		uint8_t ds[4 + 48] = {(uint8_t)(k->tag >> 8), (uint8_t)k->tag, 13, numbers[i]};
		gnutls_hash_fast(algs[i], data, zone->name_len + k->dnskey_len, ds + 4);
		form_begin(&f, T_CDS, 13, 2, clock_sec(), k->tag, "example.org");
		form_rr(&f, "example.org", T_CDS, ds, 4u + sizes[i]);
		assert_true(shaped(&f) == (i > 0));
		f.b[f.len - 1] ^= 1;
		assert_false(shaped(&f));
	}
	form_begin(&f, T_CDS, 13, 2, clock_sec(), k->tag, "example.org");
	form_rr(&f, "example.org", T_CDS, "\0\0\0\0\0", 5);
	assert_true(shaped(&f));
}

/* --- signatures ----------------------------------------------------------------------------------
 */

static void gnutls_verifies(uint8_t algorithm, const struct zone_key *k, struct slice data,
			    const uint8_t *sig)
{
	gnutls_pubkey_t pub;
	gnutls_datum_t in = {(unsigned char *)(uintptr_t)data.p, (unsigned)data.len}, s;
	gnutls_pubkey_init(&pub);
	gnutls_pubkey_import_privkey(pub, k->key, 0, 0);
	const gnutls_datum_t r = {(unsigned char *)(uintptr_t)sig, 32};
	const gnutls_datum_t s2 = {(unsigned char *)(uintptr_t)sig + 32, 32};
	if (algorithm == ZONE_ECDSA) {
		assert_int_equal(gnutls_encode_rs_value(&s, &r, &s2), 0);
		assert_int_equal(
		    gnutls_pubkey_verify_data2(pub, GNUTLS_SIGN_ECDSA_SHA256, 0, &in, &s), 0);
		gnutls_free(s.data);
	} else {
		s = (gnutls_datum_t){(unsigned char *)(uintptr_t)sig, 64};
		assert_int_equal(
		    gnutls_pubkey_verify_data2(pub, GNUTLS_SIGN_EDDSA_ED25519, 0, &in, &s), 0);
	}
	gnutls_pubkey_deinit(pub);
}

/* The same records, made by ldns out of text. */
static void ldns_verifies(const struct zone_key *k, const struct form *f, const uint8_t *sig)
{
	char text[1024], b64[200];
	ldns_rr *key, *rrsig, *rr;
	ldns_rr_list *set = ldns_rr_list_new();
	str_base64(b64, k->dnskey + 4, k->dnskey_len - 4);
	snprintf(text, sizeof(text), "example.org. 3600 IN DNSKEY 257 3 %u %s", k->dnskey[3], b64);
	assert_int_equal(ldns_rr_new_frm_str(&key, text, 0, NULL, NULL), 0);
	str_base64(b64, sig, 64);
	char when[2][16];
	for (int i = 0; i < 2; i++) {
		const uint8_t *p = f->b + 8 + 4 * i;
		time_t t = (time_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | p[2] << 8 | p[3]);
		struct tm tm;
		gmtime_r(&t, &tm);
		strftime(when[i], sizeof(when[i]), "%Y%m%d%H%M%S", &tm);
	}
	snprintf(text, sizeof(text),
		 "www.example.org. 3600 IN RRSIG A %u 3 3600 %s %s %u example.org. %s",
		 k->dnskey[3], when[0], when[1], k->tag, b64);
	assert_int_equal(ldns_rr_new_frm_str(&rrsig, text, 0, NULL, NULL), 0);
	assert_int_equal(
	    ldns_rr_new_frm_str(&rr, "WWW.example.org. 3600 IN A 192.0.2.2", 0, NULL, NULL), 0);
	ldns_rr_list_push_rr(set, rr);
	assert_int_equal(
	    ldns_rr_new_frm_str(&rr, "www.example.org. 3600 IN A 192.0.2.1", 0, NULL, NULL), 0);
	ldns_rr_list_push_rr(set, rr);
	ldns_rr_list_sort(set);
	assert_int_equal(ldns_verify_rrsig(set, rrsig, key), LDNS_STATUS_OK);
	ldns_rr_free(key);
	ldns_rr_free(rrsig);
	ldns_rr_list_deep_free(set);
}

static void signatures_are_verified_by_others(void **state)
{
	(void)state;
	uint8_t sig[64], same[64];
	assert_int_equal(zone_key_make(zone, ZONE_ED25519, &why), ERR_OK);
	for (unsigned i = 0; i < 2; i++) {
		const struct zone_key *k = &zone->key[i];
		struct form f = host(k);
		/* So many that numbers with a zero in front are among them. */
		for (unsigned n = 0; n < 600; n++) {
			f.b[12 + 2] = (uint8_t)(n >> 8);
			f.b[12 + 3] = (uint8_t)n;
			assert_int_equal(zone_signature(k, form_slice(&f), sig), ERR_OK);
			if (n % 8 == 0 || !sig[0] || !sig[32])
				gnutls_verifies(k->dnskey[3], k, form_slice(&f), sig);
			if (n % 100 == 0 || !sig[0] || !sig[32])
				ldns_verifies(k, &f, sig);
		}
		assert_int_equal(zone_signature(k, form_slice(&f), same), ERR_OK);
		assert_memory_equal(sig, same, 64);
	}
}

/* --- turns: a handshake is not kept waiting by a batch
 * --------------------------------------------- */

enum { MANY = 4000 };
static unsigned batches_done, handshakes_done, refused;
static uint32_t batches_when_handshake;

static void on_batch(void *arg, enum msg_type t, const void *msg)
{
	const struct msg_zone_signed *m = msg;
	(void)arg;
	assert_int_equal(t, MSG_zone_signed);
	assert_int_equal(m->signatures_n, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		refused += m->signatures[i].signature.len != 64;
	batches_done++;
}

static void on_handshake(void *arg, enum msg_type t, const void *msg)
{
	(void)arg;
	(void)msg;
	assert_int_equal(t, MSG_error); /* no such key; but at once */
	batches_when_handshake += batches_done;
	handshakes_done++;
}

static struct peer *connect_to(enum role role)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char name[32];
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.sock", dir, role_name(role));
	snprintf(name, sizeof(name), "key-%s", role_name(role));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 16), 0);
	server_listen(name, fd);
	return peer_connect(sa.sun_path, role, NULL, NULL);
}

static bool late;
static void on_guard(struct timer *t)
{
	(void)t;
	late = true;
}

static void handshakes_come_before_batches(void **state)
{
	(void)state;
	static struct row_zone_data row[MANY];
	static struct timer guard;
	struct form f = host(zone->key), foreign = f;
	foreign.b[f.owner_at + 1] = 'W';
	for (int i = 0; i < MANY; i++)
		row[i].data = form_slice(i == 17 ? &foreign : &f);
	struct peer *dnsd = connect_to(ROLE_DNSD), *smtpd = connect_to(ROLE_SMTPD);
	timer_set(&guard, 60000, on_guard);
	while (!(peer_up(dnsd) && peer_up(smtpd)) && !late)
		uv_run(loop_get(), UV_RUN_ONCE);
	const struct msg_zone_sign m = {
	    .zone = name_of("example.org"), .id = zone->key->id, .data = row, .data_n = MANY};
	const struct msg_sign s = {.key = SLICE("none"), .data = SLICE("x")};
	assert_true(peer_call(dnsd, MSG_zone_sign, &m, on_batch, NULL) != 0);
	assert_true(peer_call(dnsd, MSG_zone_sign, &m, on_batch, NULL) != 0);
	for (int i = 0; i < 20 && !late; i++) {
		unsigned before = handshakes_done;
		assert_true(peer_call(smtpd, MSG_sign, &s, on_handshake, NULL) != 0);
		while (handshakes_done == before && !late)
			uv_run(loop_get(), UV_RUN_ONCE);
	}
	assert_int_equal(batches_when_handshake, 0);
	while (batches_done < 2 && !late)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_false(late);
	assert_int_equal(refused, 2);
	/* A client that goes away takes what it wanted along. */
	assert_true(peer_call(dnsd, MSG_zone_sign, &m, on_batch, NULL) != 0);
	for (int i = 0; i < 5; i++)
		uv_run(loop_get(), UV_RUN_ONCE);
	peer_free(&dnsd);
	peer_free(&smtpd);
	struct buf stats = {0};
	do {
		uv_run(loop_get(), UV_RUN_NOWAIT);
		buf_clear(&stats);
		zone_sign_stats(&stats);
	} while (!strstr(buf_cstr(&stats), "keyd_zone_sign_waiting 0\n") && !late);
	assert_false(late);
	assert_int_equal(batches_done, 2);
	buf_free(&stats);
	timer_clear(&guard);
	conn_serve_end();
	loop_run();
}

int main(void)
{
#define STATE(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)
	const struct CMUnitTest tests[] = {
	    STATE(a_key_is_a_csk),
	    STATE(keys_and_what_is_known_of_them_survive),
	    STATE(files_are_for_keyd_alone),
	    STATE(tags_are_a_zones_own),
	    STATE(other_algorithms_are_refused),
	    STATE(a_deleted_key_is_gone),
	    STATE(a_file_that_cannot_be_used_is_left_alone),
	    STATE(every_name_has_a_file),
	    STATE(names_are_checked),
	    STATE(rrsets_of_the_zone_are_signed),
	    STATE(every_octet_of_the_head_counts),
	    STATE(what_is_cut_or_longer_is_not),
	    STATE(other_owners_are_not),
	    STATE(other_types_are_not),
	    STATE(records_stand_in_order),
	    STATE(times_are_bounded),
	    STATE(only_keys_that_are_here_are_named),
	    STATE(only_their_digests_are_named),
	    STATE(signatures_are_verified_by_others),
	    STATE(handshakes_come_before_batches),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
