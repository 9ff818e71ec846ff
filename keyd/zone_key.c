/* The keys of signed zones. Whoever takes over dnsd can have answers signed as long as he is there;
 * the keys stay here, and zone_shape.c sees to it that he cannot hand the zone to one of his own.
 */
#include "keyd/keyd.h"
#include <errno.h>
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/folder.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"

enum { TRIES = 16 };

static struct map *zones; /* by name: those that were asked for */
static char *dir;         /* STATE-DIR/zones */
static uint64_t keys_n;

bool zone_open(struct why *w)
{
	size_t n = strlen(conf.state_dir) + sizeof("/zones");
	dir = mem_alloc(n);
	str_fmt(dir, n, "%s/zones", conf.state_dir);
	zones = map_new();
	int e = folder_make(dir, 0700, 0700);
	return e == 0 || why_set(w, "%s: %s", dir, strerror(e));
}

static int zone_free(const void *name, size_t len, void *value, void *arg)
{
	struct zone *z = value;
	(void)name;
	(void)len;
	(void)arg;
	for (unsigned i = 0; i < z->n; i++)
		zone_key_free(&z->key[i]);
	free(z->key);
	free(z);
	return 0;
}

void zone_close(void)
{
	if (zones)
		map_each(zones, zone_free, NULL);
	map_free(&zones);
	free(dir);
	dir = NULL;
	keys_n = 0;
}

/* --- looking up ------------------------------------------------------------------------------- */

static bool name_ok(struct slice name)
{
	if (!name.len || dns_name_check((const uint8_t *)name.p, name.len) != name.len)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] >= 'A' && name.p[i] <= 'Z')
			return false;
	return true;
}

/* False: there is a file and it cannot be used; so nobody makes new keys over it. */
static bool load(struct zone *z, struct why *w)
{
	char file[ZONE_FILE_NAME];
	size_t len;
	zone_file_name(z, file);
	char *text = file_read(dir, file, &len, w);
	if (!text)
		return !w->text[0];
	bool ok = zone_file_parse((struct slice){text, len}, z, w);
	mem_wipe(text, len);
	return ok;
}

static const char *zone_text(const struct zone *z, char out[DNS_NAME_TEXT])
{
	dns_name_text(out, z->name);
	return out;
}

enum ipc_err zone_find(struct slice name, struct zone **out, struct why *w)
{
	char text[DNS_NAME_TEXT];
	if (!name_ok(name)) {
		why_set(w, "not a zone's name in wire form and lower case");
		return ERR_BAD;
	}
	*out = map_get(zones, name.p, name.len);
	if (*out)
		return ERR_OK;
	struct zone *z = mem_alloc(sizeof(*z));
	memcpy(z->name, name.p, name.len);
	z->name_len = name.len;
	if (!load(z, w)) {
		log_event(LOG_LV_ERROR, NULL, "zone-keys-unusable", LS("zone", zone_text(z, text)),
			  LS("reason", w->text));
		free(z);
		return ERR_TEMP;
	}
	keys_n += z->n;
	map_set(zones, name.p, name.len, z);
	*out = z;
	return ERR_OK;
}

void zone_done(struct zone *z)
{
	if (!z || z->n)
		return;
	map_del(zones, z->name, z->name_len);
	zone_free(NULL, 0, z, NULL);
}

struct zone_key *zone_key_find(const struct zone *z, uint64_t id)
{
	for (unsigned i = 0; i < z->n; i++)
		if (z->key[i].id == id)
			return &z->key[i];
	return NULL;
}

uint16_t zone_key_tag(const uint8_t *dnskey, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? dnskey[i] : (uint32_t)dnskey[i] << 8;
	return (uint16_t)(sum + (sum >> 16));
}

/* --- changes ---------------------------------------------------------------------------------- */

/* Makes `next` what the zone has, when that could be written. The keys themselves are the caller's
 * to make and to free. */
static enum ipc_err commit(struct zone *z, const struct zone *next, struct why *w)
{
	char file[ZONE_FILE_NAME];
	struct buf text = {0};
	bool ok;
	zone_file_name(z, file);
	if (next->n) {
		zone_file_text(next, &text);
		ok = file_write(dir, file, buf_slice(&text), 0600, w);
		mem_wipe(text.p, text.cap);
	} else {
		ok = file_remove(dir, file, w);
	}
	if (!ok) {
		log_event(LOG_LV_ERROR, NULL, "zone-keys-not-written", LS("reason", w->text));
		return ERR_FULL;
	}
	keys_n += next->n - z->n;
	z->n = next->n;
	z->key = mem_realloc(z->key, (z->n ? z->n : 1) * sizeof(*z->key));
	memcpy(z->key, next->key, z->n * sizeof(*z->key));
	return ERR_OK;
}

/* A copy to change, with room for every key. */
static struct zone copy_of(const struct zone *z, struct zone_key key[ZONE_KEYS_MAX])
{
	struct zone next = *z;
	next.key = key;
	if (z->n)
		memcpy(key, z->key, z->n * sizeof(*key));
	return next;
}

static bool tag_taken(const struct zone *z, uint16_t tag)
{
	for (unsigned i = 0; i < z->n; i++)
		if (z->key[i].tag == tag)
			return true;
	return false;
}

static int generate(uint32_t algorithm, gnutls_x509_privkey_t *out)
{
	bool ed = algorithm == ZONE_ED25519;
	int r = gnutls_x509_privkey_init(out);
	if (r != 0)
		return r;
	r = gnutls_x509_privkey_generate(
	    *out, ed ? GNUTLS_PK_EDDSA_ED25519 : GNUTLS_PK_ECDSA,
	    GNUTLS_CURVE_TO_BITS(ed ? GNUTLS_ECC_CURVE_ED25519 : GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (r != 0)
		gnutls_x509_privkey_deinit(*out);
	return r;
}

/* A key whose tag no other key of the zone has: validators would have to try both. */
static bool new_key(const struct zone *z, uint32_t algorithm, struct zone_key *out, struct why *w)
{
	for (int i = 0; i < TRIES; i++) {
		gnutls_x509_privkey_t x509;
		int r = generate(algorithm, &x509);
		if (r != 0)
			return why_set(w, "no key can be made: %s", gnutls_strerror(r));
		if (!zone_key_from(x509, out)) {
			gnutls_x509_privkey_deinit(x509);
			return why_set(w, "no key can be made");
		}
		if (!tag_taken(z, out->tag))
			return true;
		zone_key_free(out);
	}
	return why_set(w, "no key with a tag of its own can be made");
}

enum ipc_err zone_key_make(struct zone *z, uint32_t algorithm, struct why *w)
{
	char text[DNS_NAME_TEXT];
	struct zone_key key[ZONE_KEYS_MAX];
	struct zone next = copy_of(z, key);
	if (algorithm != ZONE_ECDSA && algorithm != ZONE_ED25519) {
		why_set(w, "keys are of algorithm 13 (ECDSA P-256) or 15 (Ed25519)");
		return ERR_BAD;
	}
	if (z->n == ZONE_KEYS_MAX) {
		why_set(w, "a zone has %d keys at most", ZONE_KEYS_MAX);
		return ERR_LIMIT;
	}
	struct zone_key *k = &key[next.n];
	if (!new_key(z, algorithm, k, w))
		return ERR_TEMP;
	next.n++;
	while (!k->id || zone_key_find(z, k->id))
		id_random(&k->id, sizeof(k->id));
	k->created_ms = k->since_ms = clock_ms();
	enum ipc_err e = commit(z, &next, w);
	if (e == ERR_OK)
		log_event(LOG_LV_INFO, NULL, "zone-key-made", LS("zone", zone_text(z, text)),
			  LU("algorithm", algorithm), LU("tag", k->tag));
	else
		zone_key_free(k);
	return e;
}

enum ipc_err zone_key_change(struct zone *z, uint64_t id, uint32_t state, uint64_t until_ms,
			     struct why *w)
{
	struct zone_key key[ZONE_KEYS_MAX];
	struct zone next = copy_of(z, key);
	struct zone_key *k = zone_key_find(&next, id);
	if (!k) {
		why_set(w, "the zone has no such key");
		return ERR_NOTFOUND;
	}
	if (k->state == state && k->until_ms == until_ms)
		return ERR_OK;
	k->since_ms = clock_ms();
	k->state = state;
	k->until_ms = until_ms;
	return commit(z, &next, w);
}

enum ipc_err zone_key_remove(struct zone *z, uint64_t id, struct why *w)
{
	char text[DNS_NAME_TEXT];
	struct zone_key key[ZONE_KEYS_MAX];
	struct zone next = copy_of(z, key);
	const struct zone_key *found = zone_key_find(z, id);
	if (!found)
		return ERR_OK;
	struct zone_key gone = *found;
	next.n = 0;
	for (unsigned i = 0; i < z->n; i++)
		if (z->key[i].id != id)
			key[next.n++] = z->key[i];
	enum ipc_err e = commit(z, &next, w);
	if (e != ERR_OK)
		return e;
	log_event(LOG_LV_INFO, NULL, "zone-key-deleted", LS("zone", zone_text(z, text)),
		  LU("tag", gone.tag));
	zone_key_free(&gone);
	return ERR_OK;
}

void zone_key_stats(struct buf *out)
{
	buf_printf(out, "keyd_zones %llu\n", (unsigned long long)(zones ? map_count(zones) : 0));
	buf_printf(out, "keyd_zone_keys %llu\n", (unsigned long long)keys_n);
}
