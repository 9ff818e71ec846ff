/* A small zone is signed: whatever it is made of, each rrset that is ours has one signature of each
 * key and nothing else has any, the chain is closed, its bitmaps tell what is there; and signed
 * again it stays as it is.
 *
 * The first octet is how it is signed; then each three octets are a record: its owner, its type and
 * TTL, its data. */
#include "dnsd/image/image_int.h"
#include "dnsd/sign/sign.h"
#include "libcommon/base/pool.h"
#include "libcommon/base/sip.h"
#include "t/unit/dnsd_zone.h"

#define DS "DS %u 13 2 0000000000000000000000000000000000000000000000000000000000000000"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RECORDS = 60, NAMES = 400, TYPES = 24, SIGS = TYPES * SIGN_KEYS, NOW = 1800000000 };

struct seen { /* a name of the image */
	uint8_t name[DNS_NAME_MAX];
	size_t len;
	uint8_t flags;
	uint16_t type[TYPES]; /* but for RRSIG */
	struct {
		uint16_t type, tag;
	} sig[SIGS];
	unsigned types, sigs;
	struct slice link; /* the data of its NSEC or NSEC3 */
};
static struct seen seen[NAMES];
static unsigned names;

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* No key: what matters here is what is signed, not how. */
static bool batch(void *arg, uint64_t key, const struct slice *data, size_t n,
		  uint8_t (*signature)[SIGN_OCTETS], const char **why)
{
	static const uint8_t sip[SIP_KEY] = "fuzz";
	(void)arg;
	(void)why;
	check(n > 0 && n <= SIGN_BATCH);
	for (size_t i = 0; i < n; i++) {
		uint64_t sum[] = {key, sip13(sip, data[i].p, data[i].len)};
		memset(signature[i], 0, SIGN_OCTETS);
		memcpy(signature[i], sum, sizeof(sum));
	}
	return true;
}

static struct sign options(uint8_t how)
{
	struct sign s = {.now = NOW,
			 .lifetime = 14 * 86400,
			 .refresh = 3 * 86400,
			 .nsec3 = how & 1,
			 .zonemd = how & 2,
			 .batch = batch};
	s.keys = 1 + (how >> 2) % 2;
	for (unsigned k = 0; k < s.keys; k++) {
		s.key[k] = (struct sign_key){.id = k, .dnskey = {1, 1, 3, SIGN_ALGORITHM}};
		memset(s.key[k].dnskey + 4, (int)k + 1, SIGN_DNSKEY - 4);
		s.key[k].cds = k == 0;
	}
	s.cds_delete = how & 8;
	return s;
}

/* --- a zone from octets ----------------------------------------------------------------------- */

static void put_name(struct buf *out, uint8_t pick)
{
	static const char *const label[] = {"a", "b", "*", "c"};
	unsigned labels = pick >> 6;
	for (unsigned i = 0; i < labels; i++)
		buf_printf(out, "%s%s", i ? "." : "", label[(pick >> (2 * i)) & 3]);
	if (!labels)
		buf_addc(out, '@');
}

static void put_record(struct buf *out, const uint8_t *r)
{
	static const char *const kind[] = {"A 192.0.2.%u",
					   "TXT \"%u\"",
					   "NS a%u",
					   "NS b",
					   DS,
					   "MX %u c.b",
					   "CNAME a%u",
					   "DNAME a%u.test.",
					   "AAAA 2001:db8::%u",
					   "TYPE65400 \\# 1 %02u"};
	size_t n = r[1] % (sizeof(kind) / sizeof(kind[0]));
	char text[128];
	put_name(out, r[0]);
	snprintf(text, sizeof(text), kind[n], r[2] % 16 + (n == 9 ? 0u : 1u)); // NOLINT
	buf_printf(out, " %u %s\n", 60u << (r[1] >> 7), text);
}

static struct image *sign(const char *text, struct sign *s, bool *ok)
{
	const struct image_options o = {.sign = sign_zone, .sign_arg = s};
	const char *why;
	*ok = image_finish(zone_maker("b.test", text, &o), NULL, NULL, NULL);
	return *ok ? image_open(zone_folder, "image", &why) : NULL;
}

/* --- what there is ---------------------------------------------------------------------------- */

static bool has(const struct seen *s, uint16_t type)
{
	for (unsigned i = 0; i < s->types; i++)
		if (s->type[i] == type)
			return true;
	return false;
}

static void see(struct seen *s, const struct zone_rr *rr, struct pool *pool)
{
	if (rr->type == DNS_RRSIG) {
		check(s->sigs < SIGS && rr->rdlen > 18);
		s->sig[s->sigs].type = dns_u16(rr->rdata);
		s->sig[s->sigs++].tag = dns_u16(rr->rdata + 16);
		return;
	}
	if (rr->type == DNS_NSEC || rr->type == DNS_NSEC3) {
		check(!s->link.p);
		s->link = (struct slice){pool_dup(pool, rr->rdata, rr->rdlen), rr->rdlen};
	}
	check(s->types < TYPES);
	if (!has(s, rr->type))
		s->type[s->types++] = rr->type;
}

static void read_image(const struct image *i, struct pool *pool)
{
	struct image_walk w;
	struct zone_rr rr;
	names = 0;
	image_walk_begin(&w, i);
	while (image_walk_name(&w)) {
		check(names < NAMES);
		struct seen *s = &seen[names++];
		memset(s, 0, sizeof(*s));
		memcpy(s->name, w.m.name, w.m.name_len);
		s->len = w.m.name_len;
		s->flags = w.m.node->flags;
		while (image_walk_rr(&w, &rr))
			see(s, &rr, pool);
	}
	check(!w.bad && names > 0);
}

static bool is_ours(const struct seen *s, uint16_t type)
{
	if (s->flags & NODE_BELOW)
		return false;
	return !(s->flags & NODE_CUT) || type == DNS_DS || type == DNS_NSEC || type == DNS_NSEC3;
}

static void all_is_signed(const struct seen *s, const struct sign *o)
{
	unsigned wanted = 0;
	for (unsigned t = 0; t < s->types; t++)
		for (unsigned k = 0; k < o->keys && is_ours(s, s->type[t]); k++, wanted++) {
			unsigned n = 0;
			for (unsigned i = 0; i < s->sigs; i++)
				n += s->sig[i].type == s->type[t] &&
				     s->sig[i].tag == sign_key_tag(o->key[k].dnskey, SIGN_DNSKEY);
			check(n == 1);
		}
	check(wanted == s->sigs);
}

/* --- the chain -------------------------------------------------------------------------------- */

static bool in_bitmap(const uint8_t *p, size_t len, uint16_t type)
{
	for (size_t at = 0; at + 2 <= len; at += 2u + p[at + 1])
		if (p[at] == type >> 8 && (type & 0xff) / 8 < p[at + 1])
			return p[at + 2 + (type & 0xff) / 8] & (0x80 >> (type & 7));
	return false;
}

/* The types of the name, and those only. */
static void bitmap(const struct seen *of, const uint8_t *p, size_t len, uint16_t link)
{
	unsigned bits = 0, wanted = 0;
	for (size_t at = 0; at + 2 <= len; at += 2u + p[at + 1])
		for (size_t i = 0; i < p[at + 1]; i++)
			bits += (unsigned)__builtin_popcount(p[at + 2 + i]);
	for (unsigned i = 0; i < of->types; i++) {
		bool cut = of->flags & NODE_CUT;
		if (of->type[i] == DNS_NSEC3 || (link == DNS_NSEC3 && of->type[i] == DNS_NSEC) ||
		    (cut && of->type[i] != DNS_NS && !is_ours(of, of->type[i])))
			continue;
		check(in_bitmap(p, len, of->type[i]));
		wanted++;
	}
	if (in_bitmap(p, len, DNS_RRSIG)) {
		check(of->sigs > 0);
		wanted++;
	} else {
		check(of->sigs == 0);
	}
	check(bits == wanted);
}

static void nsec_chain(void)
{
	const struct seen *before = NULL;
	for (unsigned i = 0; i <= names; i++) {
		const struct seen *s = &seen[i < names ? i : 0];
		if (s->flags & NODE_BELOW || !s->types) {
			check(!s->link.p);
			continue;
		}
		check(s->link.p != NULL);
		if (before) {
			const uint8_t *next = (const uint8_t *)before->link.p;
			check(dns_name_len(next) == s->len && dns_name_eq(next, s->name));
			bitmap(before, next + s->len, before->link.len - s->len, DNS_NSEC);
		}
		before = s;
	}
	check(before == &seen[0]);
}

static const struct seen *of_hash(const uint8_t hash[NSEC3_HASH])
{
	uint8_t have[NSEC3_HASH];
	for (unsigned i = 0; i < names; i++)
		if (seen[i].flags & NODE_NSEC3 && nsec3_label(seen[i].name, have) &&
		    !memcmp(have, hash, NSEC3_HASH))
			return &seen[i];
	return NULL;
}

static void nsec3_chain(void)
{
	enum { FRONT = 6 }; /* octets before the next hash */
	uint8_t hash[NSEC3_HASH];
	unsigned hashes = 0, links = 0, steps = 0;
	const struct seen *first = NULL, *at;
	for (unsigned i = 0; i < names; i++) {
		const struct seen *s = &seen[i];
		links += s->link.p != NULL;
		if (s->flags & (NODE_BELOW | NODE_NSEC3))
			continue;
		hashes++;
		nsec3_hash(s->name, s->len, hash, 0, 0, hash);
		at = of_hash(hash);
		check(at && at->link.len > FRONT + NSEC3_HASH - 1);
		bitmap(s, (const uint8_t *)at->link.p + FRONT + NSEC3_HASH,
		       at->link.len - FRONT - NSEC3_HASH, DNS_NSEC3);
		first = at;
	}
	check(hashes == links);
	for (at = first; at && (!steps || at != first); steps++) {
		check(steps < hashes);
		at = of_hash((const uint8_t *)at->link.p + FRONT);
	}
	check(at && at == first);
	check(steps == hashes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf text = {0};
	bool ok;
	if (len < 1)
		return 0;
	buf_adds(&text, "@ 60 SOA a host 7 1 2 3 300\n@ 60 NS a\na 60 A 192.0.2.1\n");
	for (size_t at = 1; at + 3 <= len && at < 3 * RECORDS; at += 3)
		put_record(&text, data + at);
	zone_begin();
	struct sign s = options(data[0]), again = options(data[0]);
	struct image *i = sign(buf_cstr(&text), &s, &ok);
	check(!ok || i);
	if (i) {
		struct pool *pool = pool_new(0);
		read_image(i, pool);
		for (unsigned k = 0; k < names; k++)
			all_is_signed(&seen[k], &s);
		if (s.nsec3)
			nsec3_chain();
		else
			nsec_chain();
		pool_free(&pool);
		again.before = i;
		struct image *second = sign(buf_cstr(&text), &again, &ok);
		check(second && again.made == 0 && again.kept == s.made &&
		      image_serial(second) == image_serial(i));
		image_close(&second);
		image_close(&i);
	}
	zone_end();
	buf_free(&text);
	return 0;
}
