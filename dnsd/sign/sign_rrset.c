/* Signatures (RFC 4034 3): those of the image before that are good are kept, the others are asked
 * for in batches. A record RRSIG is there at once; its signature comes into it with its batch. */
#include "dnsd/sign/sign_int.h"
#include "libcommon/base/sip.h"

enum {
	FIXED = 18,          /* octets of an RRSIG's data before the signer's name */
	DATA_MAX = 1 << 20,  /* octets of a batch, but for its last one */
	RRSET_MAX = 5 << 19, /* octets of the data of one signature */
	SPREAD = 4,          /* a part of the lifetime by which they differ */
	AHEAD = 200,         /* a part of it: what ends soon after is renewed along */
	AGAIN = 60,          /* seconds after which what was left over is renewed */
};

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

/* --- the image before ------------------------------------------------------------------------- */

/* A tag is that of one key of theirs, which is ours: then we know whose signatures they are. */
static void mark_known(struct signer *w, const struct image_match *apex, const struct piece *p)
{
	unsigned with_tag[SIGN_KEYS] = {0};
	static uint8_t rdata[DNS_RDATA_MAX];
	struct image_rr rr;
	bool ok;
	for (size_t at = 0; image_rr(apex, p, p, &at, &rr);) {
		size_t len = image_rdata(apex, p, p, &rr, rdata, &ok);
		for (unsigned k = 0; k < w->s->keys; k++) {
			if (!ok || len < 4 || sign_key_tag(rdata, len) != w->tag[k])
				continue;
			with_tag[k]++;
			w->known[k] |= len == SIGN_DNSKEY &&
				       memcmp(rdata, w->s->key[k].dnskey, SIGN_DNSKEY) == 0;
		}
	}
	for (unsigned k = 0; k < w->s->keys; k++)
		w->known[k] &= with_tag[k] == 1;
}

void sign_begin(struct signer *w)
{
	struct image_match apex;
	struct piece p;
	for (unsigned k = 0; k < w->s->keys; k++)
		w->tag[k] = sign_key_tag(w->s->key[k].dnskey, SIGN_DNSKEY);
	w->ended = !w->s->before;
	if (w->s->before && image_apex(w->s->before, &apex) &&
	    image_piece(w->s->before, apex.node, PART_ANSWER, DNS_DNSKEY, &p))
		mark_known(w, &apex, &p);
}

void sign_end(struct signer *w)
{
	for (unsigned k = 0; k < SIGN_KEYS; k++)
		buf_free(&w->batch[k].data);
}

void sign_walk(struct signer *w, const struct made_name *n)
{
	if (w->m->patch) {
		w->same = image_exact(w->s->before, n->wire, n->len, &w->old);
		return;
	}
	int order = w->old.name ? dns_name_cmp(w->old.name, n->wire) : -1;
	while (!w->ended && order < 0) {
		w->ended = !image_next(w->s->before, &w->at, &w->old);
		order = w->ended ? 1 : dns_name_cmp(w->old.name, n->wire);
	}
	w->same = !w->ended && order == 0;
}

/* Whether the data of the image before, which nobody has checked, is the record's. */
static bool is_data(const struct record *r, uint8_t *old, size_t len)
{
	if (len != r->len)
		return false;
	if (!memcmp(r->data, old, len) || !memcmp(sign_canonical(r), old, len))
		return true;
	if (!dns_rdata_check(r->type, old, len))
		return false;
	dns_rdata_canonical(r->type, old, len);
	return !memcmp(sign_canonical(r), old, len);
}

/* The image before has the same records with the same TTL, in the same order. */
static bool same_rrset(const struct signer *w, const struct rrset *s)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	struct piece p;
	struct image_rr rr;
	uint32_t i = 0;
	bool ok = true;
	if (!w->same || !image_piece(w->s->before, w->old.node, PART_ANSWER, s->type, &p) ||
	    p.records != s->n)
		return false;
	for (size_t at = 0; i < s->n && image_rr(&w->old, &p, &p, &at, &rr); i++) {
		size_t len = image_rdata(&w->old, &p, &p, &rr, rdata, &ok);
		if (!ok || rr.ttl != s->ttl || !is_data(&w->m->record[s->record[i]], rdata, len))
			return false;
	}
	return i == s->n;
}

/* --- one signature ---------------------------------------------------------------------------- */

/* Whether a signature that ends then is kept; says when it is to be renewed. */
static bool lasts(struct signer *w, uint32_t begins, uint32_t ends)
{
	struct sign *s = w->s;
	int64_t left = (int32_t)(ends - (uint32_t)s->now);
	int64_t renew = left - (int64_t)s->refresh;
	if (left <= 0 || (int32_t)(begins - (uint32_t)s->now) > 0 ||
	    left > (int64_t)s->lifetime + SIGN_BEHIND)
		return false;
	if (renew <= (int64_t)(s->lifetime / AHEAD)) {
		if (left < (int64_t)s->refresh / 2 || !s->most || w->early < s->most) {
			w->early++;
			return false;
		}
		if (renew < AGAIN)
			renew = AGAIN;
	}
	uint64_t due = s->now + (uint64_t)renew;
	if (!s->due || due < s->due)
		s->due = due;
	return true;
}

/* The signature of the image before that is the same but for its times, and lasts; NULL: there is
 * none. fixed: the data of ours up to the signature. */
static const uint8_t *lasting(struct signer *w, uint16_t type, const uint8_t *fixed,
			      size_t fixed_len)
{
	enum { TIMES = 8, TAG = 16 };
	struct piece p;
	struct image_rr rr;
	if (!w->same || !image_piece(w->s->before, w->old.node, PART_SIGNATURES, type, &p))
		return NULL;
	for (size_t at = 0; image_rr(&w->old, &p, &p, &at, &rr);) {
		const uint8_t *have = p.bytes + rr.rdata;
		if (rr.rdata_end - rr.rdata == fixed_len + SIGN_OCTETS &&
		    !memcmp(have, fixed, TIMES) &&
		    !memcmp(have + TAG, fixed + TAG, fixed_len - TAG))
			return lasts(w, dns_u32(have + TIMES + 4), dns_u32(have + TIMES)) ? have
											  : NULL;
	}
	return NULL;
}

static bool keep(struct signer *w, uint32_t name, const struct rrset *s, const uint8_t *fixed,
		 size_t fixed_len)
{
	size_t len = fixed_len + SIGN_OCTETS;
	const uint8_t *have = lasting(w, s->type, fixed, fixed_len);
	if (!have)
		return false;
	maker_record(w->m, name, DNS_RRSIG, s->ttl, maker_keep(w->m, have, len), len);
	w->s->kept++;
	return true;
}

/* What is signed: the RRSIG's data, then the records (RFC 4034 3.1.8.1). */
static bool add_data(struct signer *w, struct buf *b, const struct made_name *n,
		     const struct rrset *s, const uint8_t *fixed, size_t fixed_len)
{
	size_t size = fixed_len;
	for (uint32_t i = 0; i < s->n; i++)
		size += n->len + 10u + w->m->record[s->record[i]].len;
	uint8_t *p = size > RRSET_MAX ? NULL : (uint8_t *)buf_reserve(b, size);
	if (!p)
		return false;
	memcpy(p, fixed, fixed_len);
	p += fixed_len;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct record *r = &w->m->record[s->record[i]];
		memcpy(p, n->wire, n->len);
		p += n->len;
		put16(p, s->type);
		put16(p + 2, DNS_IN);
		put32(p + 4, s->ttl);
		put16(p + 8, r->len);
		p += 10;
		if (r->len)
			memcpy(p, sign_canonical(r), r->len);
		p += r->len;
	}
	b->len += size;
	return true;
}

static bool flush(struct signer *w, unsigned k)
{
	static uint8_t signature[SIGN_BATCH][SIGN_OCTETS];
	static struct slice data[SIGN_BATCH];
	struct sign_batch *b = &w->batch[k];
	const char *why = NULL;
	for (size_t i = 0; i < b->n; i++) {
		size_t from = i ? b->end[i - 1] : 0;
		data[i] = (struct slice){b->data.p + from, b->end[i] - from};
	}
	if (b->n && !w->failed &&
	    !w->s->batch(w->s->arg, w->s->key[k].id, data, b->n, signature, &why)) {
		w->failed = true;
		maker_report(w->m, true, NULL, "cannot be signed: %s", why);
	}
	for (size_t i = 0; i < b->n && !w->failed; i++)
		memcpy(b->signature[i], signature[i], SIGN_OCTETS);
	b->n = 0;
	buf_clear(&b->data);
	return !w->failed;
}

bool sign_flush(struct signer *w)
{
	for (unsigned k = 0; k < w->s->keys; k++)
		flush(w, k);
	return !w->failed;
}

/* Asks for the signature; until it comes there are zeros. */
static void make(struct signer *w, unsigned k, uint32_t name, const struct rrset *s, uint8_t *rdata,
		 size_t fixed_len)
{
	struct sign_batch *b = &w->batch[k];
	const struct sign *o = w->s;
	const struct made_name *n = &w->m->name[name];
	char type[DNS_TYPE_TEXT];
	uint64_t spread = o->lifetime / SPREAD;
	uint64_t shorter = sip13(w->m->key, rdata, fixed_len) ^ n->hash;
	uint64_t ends = o->now + o->lifetime - (spread ? shorter % spread : 0);
	put32(rdata + 8, (uint32_t)ends);
	put32(rdata + 12, (uint32_t)(o->now - SIGN_BEHIND));
	if (!add_data(w, &b->data, n, s, rdata, fixed_len)) {
		maker_report(w->m, true, n, "too many %s records", dns_type_text(s->type, type));
		w->failed = true;
		return;
	}
	memset(rdata + fixed_len, 0, SIGN_OCTETS);
	uint8_t *kept = maker_keep(w->m, rdata, fixed_len + SIGN_OCTETS);
	maker_record(w->m, name, DNS_RRSIG, s->ttl, kept, fixed_len + SIGN_OCTETS);
	b->end[b->n] = b->data.len;
	b->signature[b->n++] = kept + fixed_len;
	w->s->made++;
	if (!w->s->due || ends - o->refresh < w->s->due)
		w->s->due = ends - o->refresh;
	if (b->n == SIGN_BATCH || b->data.len >= DATA_MAX)
		flush(w, k);
}

/* The data of a signature but for the key's tag and the times; returns its octets. */
static size_t begin_data(const struct signer *w, const struct made_name *n, const struct rrset *s,
			 uint8_t *rdata)
{
	bool wildcard = n->wire[0] == 1 && n->wire[1] == '*';
	put16(rdata, s->type);
	rdata[2] = SIGN_ALGORITHM;
	rdata[3] = (uint8_t)(n->labels - wildcard); /* 3.1.3 */
	put32(rdata + 4, s->ttl);
	memcpy(rdata + FIXED, w->m->zone, w->m->zone_len);
	return FIXED + w->m->zone_len;
}

bool sign_ends(struct signer *w, uint32_t name, const struct rrset *s)
{
	uint8_t rdata[FIXED + DNS_NAME_MAX];
	size_t len = begin_data(w, &w->m->name[name], s, rdata);
	for (unsigned k = 0; k < w->s->keys; k++) {
		put16(rdata + 16, w->tag[k]);
		if (!w->known[k] || !lasting(w, s->type, rdata, len))
			return true;
	}
	return false;
}

void sign_rrset(struct signer *w, uint32_t name, const struct rrset *s)
{
	uint8_t rdata[FIXED + DNS_NAME_MAX + SIGN_OCTETS];
	size_t len = begin_data(w, &w->m->name[name], s, rdata);
	bool same = same_rrset(w, s);
	for (unsigned k = 0; k < w->s->keys && !w->failed; k++) {
		put16(rdata + 16, w->tag[k]);
		if (!same || !w->known[k] || !keep(w, name, s, rdata, len))
			make(w, k, name, s, rdata, len);
	}
}
