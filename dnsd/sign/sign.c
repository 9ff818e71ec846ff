/* Signs a zone, from its keys to its digest. */
#include <gnutls/crypto.h>
#include <stdlib.h>
#include "dnsd/sign/sign_int.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/serial.h"

enum { SIMPLE = 1, SHA384 = 1, SHA256 = 2 };

uint16_t sign_key_tag(const uint8_t *dnskey, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? dnskey[i] : (uint32_t)dnskey[i] << 8;
	return (uint16_t)(sum + (sum >> 16));
}

void sign_ds(const uint8_t *zone, const uint8_t dnskey[SIGN_DNSKEY], uint8_t out[SIGN_DS])
{
	uint8_t both[DNS_NAME_MAX + SIGN_DNSKEY];
	size_t len = dns_name_len(zone);
	uint16_t tag = sign_key_tag(dnskey, SIGN_DNSKEY);
	memcpy(both, zone, len);
	memcpy(both + len, dnskey, SIGN_DNSKEY);
	out[0] = (uint8_t)(tag >> 8);
	out[1] = (uint8_t)tag;
	out[2] = dnskey[3];
	out[3] = SHA256;
	gnutls_hash_fast(GNUTLS_DIG_SHA256, both, len + SIGN_DNSKEY, out + 4);
}

static void add(struct image_maker *m, uint16_t type, uint32_t ttl, const uint8_t *rdata,
		size_t len)
{
	maker_record(m, 0, type, ttl, maker_keep(m, rdata, len), len);
}

static void add_keys(struct signer *w)
{
	static const uint8_t no_ds[] = {0, 0, 0, 0, 0}, no_key[] = {0, 0, 3, 0, 0};
	const struct sign *s = w->s;
	for (unsigned k = 0; k < s->keys; k++) {
		uint8_t ds[SIGN_DS];
		add(w->m, DNS_DNSKEY, SIGN_TTL, s->key[k].dnskey, SIGN_DNSKEY);
		if (!s->key[k].cds || s->cds_delete)
			continue;
		sign_ds(w->m->zone, s->key[k].dnskey, ds);
		add(w->m, DNS_CDS, SIGN_TTL, ds, SIGN_DS);
		add(w->m, DNS_CDNSKEY, SIGN_TTL, s->key[k].dnskey, SIGN_DNSKEY);
	}
	if (s->cds_delete) {
		add(w->m, DNS_CDS, SIGN_TTL, no_ds, sizeof(no_ds));
		add(w->m, DNS_CDNSKEY, SIGN_TTL, no_key, sizeof(no_key));
	}
}

/* The digest is known at the end; its place is there already. */
static uint8_t *add_rest(struct signer *w, uint32_t soa_ttl)
{
	static const uint8_t param[] = {1, 0, 0, 0, 0};
	const uint8_t zonemd[SIGN_ZONEMD] = {0, 0, 0, 0, SIMPLE, SHA384};
	if (w->s->nsec3)
		add(w->m, DNS_NSEC3PARAM, SIGN_TTL, param, sizeof(param));
	if (!w->s->zonemd)
		return NULL;
	uint8_t *kept = maker_keep(w->m, zonemd, sizeof(zonemd));
	maker_record(w->m, 0, DNS_ZONEMD, soa_ttl, kept, sizeof(zonemd));
	return kept;
}

/* Whether a zone's own records of the type are signed at that name (RFC 4035 2.2). */
static bool is_ours(const struct made_name *n, uint16_t type)
{
	if (n->flags & NODE_BELOW)
		return false;
	return !(n->flags & NODE_CUT) || type == DNS_DS || type == DNS_NSEC || type == DNS_NSEC3;
}

/* The SOA and the digest change with everything else, and are signed at the end. */
static void sign_name(struct signer *w, uint32_t name)
{
	const struct made_name *n = &w->m->name[name];
	struct rrset s;
	sign_walk(w, n);
	for (uint32_t at = 0; maker_next(w->m, n, &at, &s);)
		if (is_ours(n, s.type) && (name || (s.type != DNS_SOA && s.type != DNS_ZONEMD)))
			sign_rrset(w, name, &s);
}

static void sign_names(struct signer *w)
{
	const struct image_maker *m = w->m;
	for (uint32_t i = 0; i < m->names && !w->failed; i++)
		if (!m->patch || m->name[m->order[i]].patch & PATCH_SIGNED)
			sign_name(w, m->order[i]);
}

/* The rrset of the apex, and what the image before has there. */
static bool apex(struct signer *w, uint16_t type, struct rrset *s)
{
	w->at = 0;
	w->ended = !w->s->before;
	w->old = (struct image_match){0};
	sign_walk(w, &w->m->name[0]);
	return maker_rrset(w->m, &w->m->name[0], type, 0, s);
}

static void sign_apex(struct signer *w, uint16_t type)
{
	struct rrset s;
	if (apex(w, type, &s))
		sign_rrset(w, 0, &s);
}

static void put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Something is not as it was, or a signature of what is signed last is not going to be. */
static bool changed(struct signer *w)
{
	struct rrset s;
	return w->s->made || (apex(w, DNS_SOA, &s) && sign_ends(w, 0, &s)) ||
	       (apex(w, DNS_ZONEMD, &s) && sign_ends(w, 0, &s));
}

/* The source's serial; where that is the one before, and the zone is not, the next one. */
static void choose_serial(struct signer *w)
{
	struct sign *s = w->s;
	if (!maker_serial(w->m, &s->serial))
		return;
	if (s->before && changed(w) && !zone_serial_above(s->serial, image_serial(s->before)))
		s->serial = zone_serial_next(image_serial(s->before), s->now * 1000);
	maker_set_serial(w->m, s->serial);
}

static bool work(struct signer *w)
{
	struct image_maker *m = w->m;
	struct rrset s;
	if (!maker_rrset(m, &m->name[0], DNS_SOA, 0, &s))
		return false;
	const struct record *r = &m->record[s.record[0]];
	uint32_t soa_ttl = s.ttl, minimum = dns_ttl(dns_u32(r->data + r->len - 4));
	add_keys(w);
	uint8_t *zonemd = add_rest(w, soa_ttl);
	maker_sort(m);
	/* RFC 9077: as long as the answer that it goes with. */
	uint32_t ttl = soa_ttl < minimum ? soa_ttl : minimum;
	if (m->patch && (zonemd || !sign_patch(w, ttl))) {
		m->patch->failed = true;
		return false;
	}
	if (!m->patch && !sign_chain(m, w->s->nsec3, ttl))
		return false;
	maker_sort(m);
	maker_mark(m);
	sign_begin(w);
	sign_names(w);
	choose_serial(w);
	sign_apex(w, DNS_SOA);
	if (!sign_flush(w) || !zonemd)
		return !w->failed;
	maker_sort(m);
	put_u32(zonemd, w->s->serial);
	sign_digest(m, zonemd + SIGN_ZONEMD - SIGN_DIGEST);
	sign_apex(w, DNS_ZONEMD);
	return sign_flush(w);
}

bool sign_zone(void *arg, struct image_maker *m)
{
	struct sign *s = arg;
	struct signer *w = mem_alloc(sizeof(*w));
	w->s = s;
	w->m = m;
	s->due = s->made = s->kept = 0;
	bool ok = work(w);
	sign_end(w);
	free(w);
	return ok;
}
