/* Signs messages and checks signatures. The digest is made of pieces of the message as it came: the
 * record itself does not count in it, the id is the one that its sender gave (RFC 8945 4.3). */
#include <gnutls/crypto.h>
#include "libcommon/dns/tsig_int.h"

enum {
	RR_FIXED = 10,    /* type, class, TTL, length */
	RDATA_FIXED = 16, /* time, fudge, length of the MAC, id, error, length of other data */
	TIME_LEN = 6,
	CLASS_ANY = 255,
	AR_COUNT = 10, /* where it stands in the header */
};

struct record {
	size_t at; /* where it begins */
	size_t owner_len, algorithm_len;
	uint8_t owner[DNS_NAME_MAX], algorithm[DNS_NAME_MAX]; /* lower case */
	uint64_t time;
	uint16_t fudge, id, error;
	const uint8_t *mac;
	size_t mac_len;
	struct slice other;
};

static void put_u16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_time(uint8_t *p, uint64_t v)
{
	put_u16(p, (uint16_t)(v >> 32));
	put_u16(p + 2, (uint16_t)(v >> 16));
	put_u16(p + 4, (uint16_t)v);
}

static uint64_t get_time(const uint8_t *p)
{
	return (uint64_t)dns_u16(p) << 32 | dns_u32(p + 2);
}

/* Reads the last record of the message, and that it is the last. */
static bool record_read(struct record *r, const uint8_t *pkt, size_t len, size_t at)
{
	r->at = at;
	r->owner_len = dns_name_read(pkt, len, &at, r->owner);
	if (!r->owner_len || len - at < RR_FIXED || dns_u16(pkt + AR_COUNT) == 0)
		return false;
	const uint8_t *p = pkt + at, *end = pkt + len;
	if (dns_u16(p) != DNS_TSIG || dns_u16(p + 2) != CLASS_ANY || dns_u32(p + 4) != 0 ||
	    dns_u16(p + 8) != len - at - RR_FIXED)
		return false;
	p += RR_FIXED;
	r->algorithm_len = dns_name_check(p, (size_t)(end - p));
	if (!r->algorithm_len || (size_t)(end - p) < r->algorithm_len + RDATA_FIXED)
		return false;
	memcpy(r->algorithm, p, r->algorithm_len);
	dns_name_lower(r->owner);
	dns_name_lower(r->algorithm);
	p += r->algorithm_len;
	r->time = get_time(p);
	r->fudge = dns_u16(p + 6);
	r->mac_len = dns_u16(p + 8);
	r->mac = p + 10;
	p += 10;
	if ((size_t)(end - p) < r->mac_len + 6)
		return false;
	p += r->mac_len;
	r->id = dns_u16(p);
	r->error = dns_u16(p + 2);
	r->other = (struct slice){(const char *)p + 6, dns_u16(p + 4)};
	return r->other.len == (size_t)(end - p) - 6;
}

/* --- the digest ------------------------------------------------------------------------------- */

/* Begins one: with the signature before, where there is one. NULL: the library refuses. */
static gnutls_hmac_hd_t digest_new(const struct tsig *t)
{
	const struct tsig_key *key = t->key;
	gnutls_hmac_hd_t h;
	uint8_t len[2];
	if (gnutls_hmac_init(&h, tsig_hash[key->algorithm].mac, key->secret, key->secret_len) != 0)
		return NULL;
	put_u16(len, t->mac_len);
	if (t->mac_len) {
		gnutls_hmac(h, len, sizeof(len));
		gnutls_hmac(h, t->mac, t->mac_len);
	}
	return h;
}

/* The first `len` octets of a message, with that id and without its last record. */
static void digest_message(gnutls_hmac_hd_t h, const uint8_t *pkt, size_t len, uint16_t id,
			   unsigned records_less)
{
	uint8_t head[DNS_HEADER];
	memcpy(head, pkt, sizeof(head));
	put_u16(head, id);
	put_u16(head + AR_COUNT, dns_u16(head + AR_COUNT) - records_less);
	gnutls_hmac(h, head, sizeof(head));
	gnutls_hmac(h, pkt + sizeof(head), len - sizeof(head));
}

/* What of the record is signed: all of it, in a stream from the second signature on its times. */
static void digest_record(gnutls_hmac_hd_t h, const struct tsig *t, uint64_t time, uint16_t fudge,
			  uint16_t error, struct slice other)
{
	const struct tsig_hash *hash = &tsig_hash[t->key->algorithm];
	static const uint8_t class_ttl[6] = {0, CLASS_ANY};
	uint8_t times[TIME_LEN + 2], tail[4];
	put_time(times, time);
	put_u16(times + TIME_LEN, fudge);
	put_u16(tail, error);
	put_u16(tail + 2, other.len);
	if (!t->stream) {
		gnutls_hmac(h, t->key->name, t->key->name_len);
		gnutls_hmac(h, class_ttl, sizeof(class_ttl));
		gnutls_hmac(h, hash->name, hash->name_len);
	}
	gnutls_hmac(h, times, sizeof(times));
	if (!t->stream) {
		gnutls_hmac(h, tail, sizeof(tail));
		gnutls_hmac(h, other.p, other.len);
	}
}

/* Whether the record's signature is that of the message. Takes what ran before, if anything. */
static bool fits(struct tsig *t, const uint8_t *pkt, const struct record *r)
{
	uint8_t mac[TSIG_MAC_MAX];
	gnutls_hmac_hd_t h = t->run ? t->run : digest_new(t);
	t->run = NULL;
	if (!h)
		return false;
	digest_message(h, pkt, r->at, r->id, 1);
	digest_record(h, t, r->time, r->fudge, r->error, r->other);
	gnutls_hmac_deinit(h, mac);
	return gnutls_memcmp(mac, r->mac, r->mac_len) == 0;
}

static void keep_mac(struct tsig *t, const uint8_t *mac, size_t len)
{
	memcpy(t->mac, mac, len);
	t->mac_len = (uint8_t)len;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Octets of signatures that t's key makes: not fewer than the other side takes the trouble of. */
static size_t mac_size(const struct tsig *t)
{
	return t->mac_len > t->key->mac_len ? t->mac_len : t->key->mac_len;
}

size_t tsig_room(const struct tsig *t)
{
	if (!t->key)
		return t->error ? t->owner_len + RR_FIXED + t->algorithm_len + RDATA_FIXED : 0;
	return t->key->name_len + RR_FIXED + tsig_hash[t->key->algorithm].name_len + RDATA_FIXED +
	       mac_size(t) + (t->error == TSIG_BADTIME ? TIME_LEN : 0);
}

/* Owner to algorithm; returns what stands behind. */
static uint8_t *put_head(const struct tsig *t, uint8_t *p, size_t room)
{
	const struct tsig_hash *hash = t->key ? &tsig_hash[t->key->algorithm] : NULL;
	size_t owner_len = t->key ? t->key->name_len : t->owner_len;
	size_t algorithm_len = hash ? hash->name_len : t->algorithm_len;
	memcpy(p, t->key ? t->key->name : t->owner, owner_len);
	p += owner_len;
	put_u16(p, DNS_TSIG);
	put_u16(p + 2, CLASS_ANY);
	memset(p + 4, 0, 4);
	put_u16(p + 8, room - owner_len - RR_FIXED);
	p += RR_FIXED;
	memcpy(p, hash ? (const uint8_t *)hash->name : t->algorithm, algorithm_len);
	return p + algorithm_len;
}

/* Signs the message as it stands; without a key the signature is empty. */
static bool make_mac(struct tsig *t, const uint8_t *msg, size_t len, uint64_t time, uint16_t fudge,
		     struct slice other)
{
	uint8_t mac[TSIG_MAC_MAX];
	size_t size = mac_size(t);
	gnutls_hmac_hd_t h = digest_new(t);
	if (!h)
		return false;
	digest_message(h, msg, len, dns_u16(msg), 0);
	digest_record(h, t, time, fudge, t->error, other);
	gnutls_hmac_deinit(h, mac);
	keep_mac(t, mac, size);
	return true;
}

/* Adds the record. */
static size_t append(struct tsig *t, uint8_t *msg, size_t len, size_t cap, uint64_t time,
		     uint16_t fudge, struct slice other)
{
	size_t room = tsig_room(t), records = dns_u16(msg + AR_COUNT);
	if (cap > DNS_MSG_MAX)
		cap = DNS_MSG_MAX;
	if (len > cap || cap - len < room || records == UINT16_MAX)
		return 0;
	if (t->key && !make_mac(t, msg, len, time, fudge, other))
		return 0;
	size_t mac_len = t->key ? t->mac_len : 0;
	uint8_t *p = put_head(t, msg + len, room);
	put_time(p, time);
	put_u16(p + 6, fudge);
	put_u16(p + 8, mac_len);
	memcpy(p + 10, t->mac, mac_len);
	p += 10 + mac_len;
	memcpy(p, msg, 2);
	put_u16(p + 2, t->error);
	put_u16(p + 4, other.len);
	if (other.len)
		memcpy(p + 6, other.p, other.len);
	put_u16(msg + AR_COUNT, records + 1);
	return len + room;
}

size_t tsig_sign(struct tsig *t, uint8_t *msg, size_t len, size_t cap, uint64_t now)
{
	char clock[TIME_LEN];
	struct slice none = {NULL, 0};
	size_t n;
	if (!t->key && !t->error)
		return len;
	put_time((uint8_t *)clock, now);
	if (t->error == TSIG_BADTIME) /* by the client's clock, so that it can check it */
		n = append(t, msg, len, cap, t->time, t->fudge,
			   (struct slice){clock, sizeof(clock)});
	else
		n = append(t, msg, len, cap, now, TSIG_FUDGE, none);
	if (n)
		t->stream = true;
	return n;
}

size_t tsig_ask(struct tsig *t, const struct tsig_key *key, uint8_t *msg, size_t len, size_t cap,
		uint64_t now)
{
	memset(t, 0, sizeof(*t));
	t->key = key;
	t->time = now;
	return append(t, msg, len, cap, now, TSIG_FUDGE, (struct slice){NULL, 0});
}

/* --- checking --------------------------------------------------------------------------------- */

static bool by_key(const struct tsig_key *key, const struct record *r)
{
	const struct tsig_hash *h = &tsig_hash[key->algorithm];
	return r->owner_len == key->name_len && memcmp(r->owner, key->name, r->owner_len) == 0 &&
	       r->algorithm_len == h->name_len && memcmp(r->algorithm, h->name, h->name_len) == 0;
}

/* A signature that cannot be checked: the response is not signed. */
static uint16_t unproved(struct tsig *t, const struct record *r, uint16_t error)
{
	t->key = NULL;
	t->error = error;
	t->owner_len = (uint8_t)r->owner_len;
	t->algorithm_len = (uint8_t)r->algorithm_len;
	memcpy(t->owner, r->owner, r->owner_len);
	memcpy(t->algorithm, r->algorithm, r->algorithm_len);
	return DNS_NOTAUTH;
}

static bool in_time(const struct record *r, uint64_t now)
{
	uint64_t apart = now > r->time ? now - r->time : r->time - now;
	return apart <= r->fudge;
}

uint16_t tsig_check(struct tsig *t, const uint8_t *pkt, size_t len, size_t at, tsig_find_fn *find,
		    uint64_t now)
{
	struct record r;
	memset(t, 0, sizeof(*t));
	if (!record_read(&r, pkt, len, at))
		return DNS_FORMERR;
	t->key = find(r.owner);
	if (!t->key || !by_key(t->key, &r))
		return unproved(t, &r, TSIG_BADKEY);
	if (r.mac_len > tsig_hash[t->key->algorithm].size ||
	    r.mac_len < tsig_mac_min(t->key->algorithm)) {
		t->key = NULL;
		return DNS_FORMERR;
	}
	if (!fits(t, pkt, &r))
		return unproved(t, &r, TSIG_BADSIG);
	keep_mac(t, r.mac, r.mac_len);
	t->time = r.time;
	t->fudge = r.fudge;
	if (!in_time(&r, now))
		t->error = TSIG_BADTIME;
	else if (r.mac_len < t->key->mac_len)
		t->error = TSIG_BADTRUNC;
	return t->error ? DNS_NOTAUTH : DNS_NOERROR;
}

/* Where the TSIG record begins, 0: there is none. False: the message is malformed, or the record is
 * not its last. */
static bool find_record(const uint8_t *pkt, size_t len, size_t *at)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	*at = 0;
	if (!dns_iter_init(&it, pkt, len, &h))
		return false;
	while (dns_iter_rr(&it, &rr)) {
		if (*at)
			return false;
		if (rr.type == DNS_TSIG && rr.section != DNS_ADDITIONAL)
			return false;
		if (rr.type == DNS_TSIG)
			*at = rr.owner;
	}
	return !it.bad && it.at == len;
}

/* A message of a stream without a record of its own. */
static enum tsig_verdict covered_later(struct tsig *t, const uint8_t *pkt, size_t len)
{
	if (!t->stream || t->gap >= TSIG_GAP_MAX)
		return TSIG_UNSIGNED;
	if (!t->run)
		t->run = digest_new(t);
	if (!t->run)
		return TSIG_FORGED;
	digest_message(t->run, pkt, len, dns_u16(pkt), 0);
	t->gap++;
	return TSIG_GOOD;
}

/* What an error in a record says whose signature is good. */
static enum tsig_verdict refused(struct tsig *t, const struct record *r)
{
	t->error = r->error;
	if (r->error == TSIG_BADTIME && r->other.len == TIME_LEN)
		t->time = get_time((const uint8_t *)r->other.p);
	return TSIG_REFUSED;
}

enum tsig_verdict tsig_answer(struct tsig *t, const uint8_t *pkt, size_t len, uint64_t now)
{
	struct record r;
	size_t at;
	if (!find_record(pkt, len, &at))
		return TSIG_FORGED;
	if (!at)
		return covered_later(t, pkt, len);
	if (!record_read(&r, pkt, len, at) || !by_key(t->key, &r))
		return TSIG_FORGED;
	if (!r.mac_len && (r.error == TSIG_BADKEY || r.error == TSIG_BADSIG)) {
		t->error = r.error;
		return TSIG_REFUSED;
	}
	if (r.mac_len > tsig_hash[t->key->algorithm].size || r.mac_len < t->key->mac_len ||
	    !fits(t, pkt, &r))
		return TSIG_FORGED;
	if (r.error)
		return refused(t, &r);
	if (!in_time(&r, now))
		return TSIG_LATE;
	keep_mac(t, r.mac, r.mac_len);
	t->stream = true;
	t->gap = 0;
	return TSIG_GOOD;
}

bool tsig_whole(const struct tsig *t)
{
	return t->stream && t->gap == 0;
}

void tsig_end(struct tsig *t)
{
	if (t->run)
		gnutls_hmac_deinit(t->run, NULL);
	memset(t, 0, sizeof(*t));
}
