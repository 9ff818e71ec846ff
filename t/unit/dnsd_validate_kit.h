/* rrsets from zone text, and keys of every algorithm to sign them with, well or badly. What is
 * signed is put together here once more: not by the code that is tested. */
#ifndef T_DNSD_VALIDATE_KIT_H
#define T_DNSD_VALIDATE_KIT_H
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>
#include "dnsd/validate/denial.h"
#include "libcommon/base/buf.h"
#include "libcommon/dns/rdata.h"
#include "libcommon/dns/zonetext.h"

enum {
	KIT_SETS = 512,
	KIT_RECORDS = 64,
	KIT_NOW = 1700000000,
	KIT_DAY = 86400,
	KIT_KEY = 600, /* octets of a DNSKEY */
	KIT_FLAGS = 0x0101,
};

/* --- rrsets, freed by kit_end() ----------------------------------------------------------------
 */
struct kit_set {
	struct rrset set;
	uint8_t owner[DNS_NAME_MAX];
	struct buf data;
};
static struct kit_set *kit_sets[KIT_SETS];
static unsigned kit_used;

static inline struct kit_set *kit_new(void)
{
	if (kit_used == KIT_SETS)
		abort();
	return kit_sets[kit_used++] = calloc(1, sizeof(struct kit_set));
}

static inline void kit_add(struct kit_set *k, const void *rdata, size_t len)
{
	buf_addc(&k->data, (char)(len >> 8));
	buf_addc(&k->data, (char)len);
	if (len)
		buf_add(&k->data, rdata, len);
	k->set.data = buf_slice(&k->data);
}

/* A name that lives until kit_end(). */
static inline const uint8_t *kit_name(const char *text)
{
	struct kit_set *k = kit_new();
	if (!dns_name_from_text(slice_of(text), k->owner))
		abort();
	dns_name_lower(k->owner);
	return k->owner;
}

static inline bool kit_on_rr(void *arg, const struct zone_rr *rr)
{
	struct kit_set *k = arg;
	memcpy(k->owner, rr->owner, dns_name_len(rr->owner));
	dns_name_lower(k->owner);
	k->set.ttl = rr->ttl;
	if (rr->type == DNS_RRSIG && (k->set.n || !k->set.type)) {
		k->set.sigs++;
	} else {
		k->set.type = rr->type;
		k->set.n++;
	}
	kit_add(k, rr->rdata, rr->rdlen);
	return true;
}

static inline void kit_on_error(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
	abort();
}

/* The rrset of a zone text of whole lines, its RRSIGs last. */
static inline struct rrset *kit_text(const char *text)
{
	struct kit_set *k = kit_new();
	static const uint8_t root[] = {0};
	struct zonetext z = {
	    .origin = root, .ttl = 3600, .on_rr = kit_on_rr, .on_error = kit_on_error, .arg = k};
	if (zonetext_memory(&z, "kit", slice_of(text)))
		abort();
	k->set.owner = k->owner;
	return &k->set;
}

static inline struct kit_set *kit_of(struct rrset *s)
{
	return (struct kit_set *)(void *)s;
}

/* --- keys --------------------------------------------------------------------------------------
 */
struct kit_key {
	gnutls_privkey_t priv;
	uint8_t algorithm;
	uint8_t dnskey[KIT_KEY];
	size_t len;
	uint16_t tag;
};

static inline void kit_padded(uint8_t *out, const gnutls_datum_t *d, size_t want)
{
	size_t skip = d->size > want ? d->size - want : 0;
	memset(out, 0, want);
	memcpy(out + want - (d->size - skip), d->data + skip, d->size - skip);
}

static inline void kit_retag(struct kit_key *k)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < k->len; i++)
		sum += i & 1 ? k->dnskey[i] : (uint32_t)k->dnskey[i] << 8;
	k->tag = (uint16_t)(sum + (sum >> 16));
}

static inline void kit_rsa(struct kit_key *k)
{
	gnutls_datum_t m, e;
	if (gnutls_privkey_export_rsa_raw(k->priv, &m, &e, NULL, NULL, NULL, NULL, NULL, NULL))
		abort();
	size_t skip = m.data[0] ? 0 : 1;
	k->dnskey[4] = (uint8_t)e.size;
	memcpy(k->dnskey + 5, e.data, e.size);
	memcpy(k->dnskey + 5 + e.size, m.data + skip, m.size - skip);
	k->len = 5 + e.size + m.size - skip;
	gnutls_free(m.data);
	gnutls_free(e.data);
}

static inline void kit_curve(struct kit_key *k, size_t octets)
{
	gnutls_ecc_curve_t curve;
	gnutls_datum_t x, y = {0};
	if (gnutls_privkey_export_ecc_raw(k->priv, &curve, &x, &y, NULL))
		abort();
	kit_padded(k->dnskey + 4, &x, octets);
	k->len = 4 + octets;
	if (y.data) {
		kit_padded(k->dnskey + 4 + octets, &y, octets);
		k->len += octets;
		gnutls_free(y.data);
	}
	gnutls_free(x.data);
}

/* A new key; bits: of RSA. */
static inline void kit_key(struct kit_key *k, uint8_t algorithm, unsigned bits)
{
	static const struct {
		gnutls_pk_algorithm_t pk;
		gnutls_ecc_curve_t curve;
		size_t octets;
	} kind[] = {[13] = {GNUTLS_PK_ECDSA, GNUTLS_ECC_CURVE_SECP256R1, 32},
		    [14] = {GNUTLS_PK_ECDSA, GNUTLS_ECC_CURVE_SECP384R1, 48},
		    [15] = {GNUTLS_PK_EDDSA_ED25519, GNUTLS_ECC_CURVE_ED25519, 32},
		    [16] = {GNUTLS_PK_EDDSA_ED448, GNUTLS_ECC_CURVE_ED448, 57}};
	bool rsa = algorithm < 13;
	*k = (struct kit_key){.algorithm = algorithm};
	if (gnutls_privkey_init(&k->priv) ||
	    gnutls_privkey_generate(
		k->priv, rsa ? GNUTLS_PK_RSA : kind[algorithm].pk,
		rsa ? bits : (unsigned)GNUTLS_CURVE_TO_BITS(kind[algorithm].curve), 0))
		abort();
	k->dnskey[0] = KIT_FLAGS >> 8;
	k->dnskey[1] = KIT_FLAGS & 0xff;
	k->dnskey[2] = 3;
	k->dnskey[3] = algorithm;
	if (rsa)
		kit_rsa(k);
	else
		kit_curve(k, kind[algorithm].octets);
	kit_retag(k);
}

/* n new keys whose tags are not near each other, nor near those that tests make up. */
static inline void kit_keys(struct kit_key *k, unsigned n, uint8_t algorithm, unsigned bits)
{
	for (unsigned i = 0; i < n; i++) {
		bool good = false;
		while (!good) {
			kit_key(&k[i], algorithm, bits);
			good = k[i].tag > 1000;
			for (unsigned o = 0; o < i; o++)
				good &= abs((int)k[i].tag - (int)k[o].tag) > 1000;
			if (!good)
				gnutls_privkey_deinit(k[i].priv);
		}
	}
}

static inline void kit_key_free(struct kit_key *k)
{
	gnutls_privkey_deinit(k->priv);
}

static inline struct rrset *kit_dnskey(const char *zone, const struct kit_key *k, unsigned n)
{
	struct kit_set *s = kit_new();
	memcpy(s->owner, kit_name(zone), DNS_NAME_MAX);
	s->set = (struct rrset){.owner = s->owner, .type = DNS_DNSKEY, .ttl = 3600};
	for (unsigned i = 0; i < n; i++, s->set.n++)
		kit_add(s, k[i].dnskey, k[i].len);
	return &s->set;
}

/* digest: 1, 2, 4, or a type that nobody knows. */
static inline void kit_add_ds(struct rrset *ds, const struct kit_key *k, uint8_t digest)
{
	uint8_t rdata[4 + 64] = {(uint8_t)(k->tag >> 8), (uint8_t)k->tag, k->algorithm, digest};
	size_t len = digest == 1 ? 20 : digest == 4 ? 48 : 32;
	gnutls_hash_hd_t h;
	if (gnutls_hash_init(&h, digest == 1   ? GNUTLS_DIG_SHA1
				 : digest == 4 ? GNUTLS_DIG_SHA384
					       : GNUTLS_DIG_SHA256))
		abort();
	gnutls_hash(h, ds->owner, dns_name_len(ds->owner));
	gnutls_hash(h, k->dnskey, k->len);
	gnutls_hash_deinit(h, rdata + 4);
	kit_add(kit_of(ds), rdata, 4 + len);
	ds->n++;
}

static inline struct rrset *kit_ds(const char *zone, const struct kit_key *k, uint8_t digest)
{
	struct kit_set *s = kit_new();
	memcpy(s->owner, kit_name(zone), DNS_NAME_MAX);
	s->set = (struct rrset){.owner = s->owner, .type = DNS_DS, .ttl = 3600};
	kit_add_ds(&s->set, k, digest);
	return &s->set;
}

/* --- signatures --------------------------------------------------------------------------------
 */
struct kit_sig {
	const char *signer;    /* with a dot at its end */
	int labels;            /* 0: as many as the owner has; -1: none */
	uint32_t begins, ends; /* 0: a day before KIT_NOW, a day after */
	uint32_t ttl;          /* 0: the set's */
	uint16_t covers, tag;  /* 0: the right ones */
	uint8_t algorithm;     /* 0: the key's */
	bool spoil;            /* the signature is wrong */
};

static inline int kit_cmp(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int d = memcmp(x->p, y->p, n);
	return d ? d : (x->len > y->len) - (x->len < y->len);
}

static inline void kit_u16(struct buf *b, unsigned v)
{
	buf_addc(b, (char)(v >> 8));
	buf_addc(b, (char)v);
}

static inline void kit_records(struct buf *b, const struct rrset *s, unsigned labels, uint32_t ttl)
{
	static uint8_t copy[KIT_RECORDS][2048];
	struct slice order[KIT_RECORDS] = {{0}}, data = s->data, rdata;
	unsigned n = 0, have = dns_name_labels(s->owner);
	const uint8_t *owner = s->owner;
	for (; n < s->n && n < KIT_RECORDS && rrset_next(&data, &rdata); n++) {
		memcpy(copy[n], rdata.p, rdata.len);
		dns_rdata_canonical(s->type, copy[n], rdata.len);
		order[n] = (struct slice){(char *)copy[n], rdata.len};
	}
	qsort(order, n, sizeof(*order), kit_cmp);
	for (unsigned cut = have; cut > labels; cut--)
		owner += 1 + *owner;
	for (unsigned i = 0; i < n; i++) {
		if (i && slice_eq(order[i], order[i - 1]))
			continue;
		if (have > labels)
			buf_add(b, "\1*", 2);
		buf_add(b, owner, dns_name_len(owner));
		kit_u16(b, s->type);
		kit_u16(b, DNS_IN);
		kit_u16(b, ttl >> 16);
		kit_u16(b, ttl);
		kit_u16(b, (unsigned)order[i].len);
		buf_add_slice(b, order[i]);
	}
}

static inline void kit_make_signature(const struct kit_key *k, const struct buf *b,
				      struct buf *rdata)
{
	static const gnutls_sign_algorithm_t how[] = {
	    [5] = GNUTLS_SIGN_RSA_SHA1,       [7] = GNUTLS_SIGN_RSA_SHA1,
	    [8] = GNUTLS_SIGN_RSA_SHA256,     [10] = GNUTLS_SIGN_RSA_SHA512,
	    [13] = GNUTLS_SIGN_ECDSA_SHA256,  [14] = GNUTLS_SIGN_ECDSA_SHA384,
	    [15] = GNUTLS_SIGN_EDDSA_ED25519, [16] = GNUTLS_SIGN_EDDSA_ED448};
	gnutls_datum_t d = {(unsigned char *)b->p, (unsigned)b->len}, sig, r, s;
	uint8_t out[96];
	size_t half = k->algorithm == 13 ? 32 : 48;
	if (gnutls_privkey_sign_data2(k->priv, how[k->algorithm], 0, &d, &sig))
		abort();
	if (k->algorithm == 13 || k->algorithm == 14) {
		if (gnutls_decode_rs_value(&sig, &r, &s))
			abort();
		kit_padded(out, &r, half);
		kit_padded(out + half, &s, half);
		buf_add(rdata, out, 2 * half);
		gnutls_free(r.data);
		gnutls_free(s.data);
	} else {
		buf_add(rdata, sig.data, sig.size);
	}
	gnutls_free(sig.data);
}

static inline void kit_sign(struct rrset *s, const struct kit_key *k, const struct kit_sig *how)
{
	struct buf rdata = {0}, data = {0};
	const uint8_t *signer = kit_name(how->signer);
	unsigned have = dns_name_labels(s->owner);
	unsigned labels = how->labels > 0 ? (unsigned)how->labels : how->labels ? 0 : have;
	uint32_t ttl = how->ttl ? how->ttl : s->ttl;
	uint32_t ends = how->ends ? how->ends : KIT_NOW + KIT_DAY;
	uint32_t begins = how->begins ? how->begins : KIT_NOW - KIT_DAY;
	uint16_t tag = how->tag ? how->tag : k->tag;
	if (!how->labels && s->owner[0] == 1 && s->owner[1] == '*')
		labels--;
	kit_u16(&rdata, how->covers ? how->covers : s->type);
	buf_addc(&rdata, (char)(how->algorithm ? how->algorithm : k->algorithm));
	buf_addc(&rdata, (char)labels);
	kit_u16(&rdata, ttl >> 16);
	kit_u16(&rdata, ttl);
	kit_u16(&rdata, ends >> 16);
	kit_u16(&rdata, ends);
	kit_u16(&rdata, begins >> 16);
	kit_u16(&rdata, begins);
	kit_u16(&rdata, tag);
	buf_add(&rdata, signer, dns_name_len(signer));
	buf_add_slice(&data, buf_slice(&rdata));
	kit_records(&data, s, labels, ttl);
	kit_make_signature(k, &data, &rdata);
	if (how->spoil)
		rdata.p[rdata.len - 9] ^= 1;
	kit_add(kit_of(s), rdata.p, rdata.len);
	s->sigs++;
	buf_free(&rdata);
	buf_free(&data);
}

/* Frees the last rrsets and names that were made, but for so many. */
static inline void kit_back(unsigned left)
{
	while (kit_used > left) {
		struct kit_set *k = kit_sets[--kit_used];
		buf_free(&k->data);
		free(k);
	}
}

static inline int kit_end(void **state)
{
	(void)state;
	kit_back(0);
	return 0;
}
#endif
