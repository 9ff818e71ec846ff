/* Zones signed with keys of our own, and images as text. */
#ifndef T_DNSD_SIGNER_H
#define T_DNSD_SIGNER_H
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dnsd/sign/sign.h"

enum { SIGNER_KEYS = 32 };
static gnutls_privkey_t signer_key[SIGNER_KEYS]; /* their ids are their numbers */

static inline void signer_padded(uint8_t out[32], const gnutls_datum_t *d)
{
	size_t skip = d->size > 32 ? d->size - 32 : 0;
	memset(out, 0, 32);
	memcpy(out + 32 - (d->size - skip), d->data + skip, d->size - skip);
}

/* A key with that number, made when it is new, and its DNSKEY. */
static inline void signer_make(unsigned id, struct sign_key *out)
{
	gnutls_ecc_curve_t curve;
	gnutls_datum_t x, y;
	if (!signer_key[id] &&
	    (gnutls_privkey_init(&signer_key[id]) ||
	     gnutls_privkey_generate(signer_key[id], GNUTLS_PK_ECDSA,
				     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0)))
		abort();
	if (gnutls_privkey_export_ecc_raw(signer_key[id], &curve, &x, &y, NULL))
		abort();
	*out = (struct sign_key){.id = id, .dnskey = {1, 1, 3, SIGN_ALGORITHM}};
	signer_padded(out->dnskey + 4, &x);
	signer_padded(out->dnskey + 36, &y);
	gnutls_free(x.data);
	gnutls_free(y.data);
}

static inline bool signer_batch(void *arg, uint64_t key, const struct slice *data, size_t n,
				uint8_t (*signature)[SIGN_OCTETS], const char **why)
{
	(void)arg;
	*why = "no such key";
	for (size_t i = 0; i < n; i++) {
		gnutls_datum_t d = {(unsigned char *)(uintptr_t)data[i].p, (unsigned)data[i].len};
		gnutls_datum_t sig, r, s;
		if (key >= SIGNER_KEYS || !signer_key[key] ||
		    gnutls_privkey_sign_data2(signer_key[key], GNUTLS_SIGN_ECDSA_SHA256, 0, &d,
					      &sig) ||
		    gnutls_decode_rs_value(&sig, &r, &s))
			return false;
		signer_padded(signature[i], &r);
		signer_padded(signature[i] + 32, &s);
		gnutls_free(r.data);
		gnutls_free(s.data);
		gnutls_free(sig.data);
	}
	return true;
}

static inline void signer_end(void)
{
	for (unsigned i = 0; i < SIGNER_KEYS; i++) {
		if (signer_key[i])
			gnutls_privkey_deinit(signer_key[i]);
		signer_key[i] = NULL;
	}
}

/* --- images as zone text -----------------------------------------------------------------------
 */
static inline void print_piece(struct buf *out, const struct image_match *m, const struct piece *p)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	struct image_rr rr;
	bool ok;
	for (size_t at = 0; image_rr(m, p, p, &at, &rr);) {
		size_t len = image_rdata(m, p, p, &rr, rdata, &ok);
		if (!ok)
			abort();
		dns_name_text(name, m->name);
		buf_printf(out, "%s%s %u IN %s ", name, strcmp(name, ".") ? "." : "", rr.ttl,
			   dns_type_text(rr.type, type));
		dns_rdata_text(rr.type, rdata, len, out);
		buf_addc(out, '\n');
	}
}

/* All its records, the SOA first. */
static inline void print_image(struct buf *out, const struct image *i)
{
	struct image_match m;
	struct piece p;
	uint16_t type;
	if (!image_apex(i, &m) || !image_piece(i, m.node, PART_ANSWER, DNS_SOA, &p))
		abort();
	print_piece(out, &m, &p);
	for (uint64_t at = 0; image_next(i, &at, &m);) {
		for (size_t t = 0; image_next_type(i, m.node, &t, &type);) {
			if (type != DNS_SOA && image_piece(i, m.node, PART_ANSWER, type, &p))
				print_piece(out, &m, &p);
			if (image_piece(i, m.node, PART_SIGNATURES, type, &p))
				print_piece(out, &m, &p);
		}
	}
}
#endif
