/* A zone's keys in one file, so that a rename replaces all of them at once, with what is known
 *about each. Text, which people can read and which says what it is:
 *
 *	hamlet zone keys 1
 *	zone example.org
 *	key ID state N created MS since MS until MS
 *	-----BEGIN PRIVATE KEY-----
 */
#include "keyd/keyd.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include "libcommon/base/mem.h"

enum { HALF = 32, HASH = 32, FLAGS_CSK = 257, PROTOCOL = 3, KEY_TEXT = 1024 };
static const char HEAD[] = "hamlet zone keys 1", END[] = "-----END PRIVATE KEY-----\n",
		  SUFFIX[] = ".keys";

/* --- names ---------------------------------------------------------------------------------- */

static bool plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static void name_text(const struct zone *z, struct buf *out)
{
	for (const uint8_t *l = z->name; *l; l += *l + 1) {
		if (l != z->name)
			buf_addc(out, '.');
		for (unsigned i = 1; i <= *l; i++)
			if (plain((char)l[i]))
				buf_addc(out, (char)l[i]);
			else
				buf_printf(out, "%%%02X", l[i]);
	}
	if (!z->name[0])
		buf_addc(out, '.');
}

void zone_file_name(const struct zone *z, char out[ZONE_FILE_NAME])
{
	struct buf text = {0};
	uint8_t hash[HASH];
	char hex[2 * HASH + 1];
	name_text(z, &text);
	/* Room for the suffix, and for what file_write() calls it before it is whole. A percent
	 * sign is never followed by '#', nor does a name that is written out begin with it. */
	if (text.len + sizeof(SUFFIX) > ZONE_FILE_NAME) {
		gnutls_hash_fast(GNUTLS_DIG_SHA256, z->name, z->name_len, hash);
		str_hex(hex, hash, sizeof(hash));
		str_fmt(out, ZONE_FILE_NAME, "#%s%s", hex, SUFFIX);
	} else {
		str_fmt(out, ZONE_FILE_NAME, "%.*s%s", SLICE_FMT(text), SUFFIX);
	}
	buf_free(&text);
}

/* --- one key -------------------------------------------------------------------------------- */

/* A number of GnuTLS, perhaps with a zero before it or shorter than it could be. */
static bool put_half(uint8_t out[HALF], const gnutls_datum_t *d)
{
	const uint8_t *p = d->data;
	size_t n = d->size;
	for (; n > HALF && !*p; n--)
		p++;
	if (n > HALF)
		return false;
	memset(out, 0, HALF - n);
	memcpy(out + HALF - n, p, n);
	return true;
}

bool zone_key_from(gnutls_x509_privkey_t x509, struct zone_key *out)
{
	gnutls_ecc_curve_t curve;
	gnutls_datum_t x = {0}, y = {0};
	*out = (struct zone_key){.dnskey = {FLAGS_CSK >> 8, FLAGS_CSK & 0xff, PROTOCOL}};
	uint8_t *key = out->dnskey + ZONE_DNSKEY_HEAD;
	int r = gnutls_x509_privkey_export_ecc_raw(x509, &curve, &x, &y, NULL);
	if (r == 0 && curve == GNUTLS_ECC_CURVE_SECP256R1 && put_half(key, &x) &&
	    put_half(key + HALF, &y)) {
		out->dnskey[3] = ZONE_ECDSA;
		out->dnskey_len = ZONE_DNSKEY_HEAD + 2 * HALF;
	} else if (r == 0 && curve == GNUTLS_ECC_CURVE_ED25519 && x.size == HALF) {
		memcpy(key, x.data, HALF);
		out->dnskey[3] = ZONE_ED25519;
		out->dnskey_len = ZONE_DNSKEY_HEAD + HALF;
	}
	gnutls_free(x.data);
	gnutls_free(y.data);
	if (!out->dnskey_len || gnutls_privkey_init(&out->key) != 0)
		return false;
	if (gnutls_privkey_import_x509(out->key, x509, GNUTLS_PRIVKEY_IMPORT_COPY) != 0) {
		gnutls_privkey_deinit(out->key);
		out->key = NULL;
		return false;
	}
	out->x509 = x509;
	out->tag = zone_key_tag(out->dnskey, out->dnskey_len);
	return true;
}

void zone_key_free(struct zone_key *k)
{
	if (k->key)
		gnutls_privkey_deinit(k->key);
	if (k->x509)
		gnutls_x509_privkey_deinit(k->x509);
	*k = (struct zone_key){0};
}

/* --- writing -------------------------------------------------------------------------------- */

void zone_file_text(const struct zone *z, struct buf *out)
{
	buf_reserve(out,
		    DNS_NAME_TEXT + z->n * KEY_TEXT); /* at once: no copies of what is secret */
	buf_printf(out, "%s\nzone ", HEAD);
	name_text(z, out);
	buf_addc(out, '\n');
	for (unsigned i = 0; i < z->n; i++) {
		const struct zone_key *k = &z->key[i];
		gnutls_datum_t d;
		if (gnutls_x509_privkey_export2_pkcs8(k->x509, GNUTLS_X509_FMT_PEM, NULL,
						      GNUTLS_PKCS_PLAIN, &d) != 0)
			abort(); /* it is in use: only memory can be missing */
		buf_printf(out, "key %llu state %u created %llu since %llu until %llu\n",
			   (unsigned long long)k->id, k->state, (unsigned long long)k->created_ms,
			   (unsigned long long)k->since_ms, (unsigned long long)k->until_ms);
		buf_add(out, d.data, d.size);
		gnutls_memset(d.data, 0, d.size);
		gnutls_free(d.data);
	}
}

/* --- reading -------------------------------------------------------------------------------- */

/* "NAME NUMBER", the next two words of the line. */
static bool field(struct slice *line, const char *name, uint64_t *out)
{
	return slice_eqs(slice_word(line), name) && str_u64(slice_word(line), out);
}

static bool key_line(struct slice line, struct zone_key *k)
{
	uint64_t state;
	if (!field(&line, "key", &k->id) || !field(&line, "state", &state) ||
	    !field(&line, "created", &k->created_ms) || !field(&line, "since", &k->since_ms) ||
	    !field(&line, "until", &k->until_ms) || !k->id || state > UINT32_MAX)
		return false;
	k->state = (uint32_t)state;
	return !slice_word(&line).len;
}

static bool key_pem(struct slice *rest, struct zone_key *k)
{
	const char *end = memmem(rest->p, rest->len, END, sizeof(END) - 1);
	gnutls_x509_privkey_t x509;
	if (!end || gnutls_x509_privkey_init(&x509) != 0)
		return false;
	size_t n = (size_t)(end - rest->p) + sizeof(END) - 1;
	char *copy = mem_strndup(rest->p, n); /* GnuTLS searches it as text */
	const gnutls_datum_t pem = {(unsigned char *)copy, (unsigned)n};
	bool ok = gnutls_x509_privkey_import2(x509, &pem, GNUTLS_X509_FMT_PEM, NULL, 0) == 0 &&
		  zone_key_from(x509, k);
	if (!ok)
		gnutls_x509_privkey_deinit(x509);
	mem_wipe(copy, n);
	rest->p += n;
	rest->len -= n;
	return ok;
}

static bool next_key(struct slice *rest, struct zone *z)
{
	struct zone_key k = {0}, meta = {0};
	if (z->n == ZONE_KEYS_MAX || !key_line(slice_cut(rest, '\n'), &meta) || !key_pem(rest, &k))
		return false;
	k.id = meta.id;
	k.state = meta.state;
	k.created_ms = meta.created_ms;
	k.since_ms = meta.since_ms;
	k.until_ms = meta.until_ms;
	for (unsigned i = 0; i < z->n; i++)
		if (z->key[i].id == k.id || z->key[i].tag == k.tag) {
			zone_key_free(&k);
			return false;
		}
	z->key = mem_realloc(z->key, (z->n + 1) * sizeof(k));
	z->key[z->n++] = k;
	return true;
}

bool zone_file_parse(struct slice text, struct zone *z, struct why *w)
{
	struct slice rest = text;
	struct buf name = {0};
	buf_adds(&name, "zone ");
	name_text(z, &name);
	bool ok = slice_eqs(slice_cut(&rest, '\n'), HEAD) &&
		  slice_eq(slice_cut(&rest, '\n'), buf_slice(&name));
	buf_free(&name);
	while (ok && rest.len)
		ok = next_key(&rest, z);
	if (ok)
		return true;
	while (z->n)
		zone_key_free(&z->key[--z->n]);
	free(z->key);
	z->key = NULL;
	return why_set(w, "not a file of this zone's keys");
}
