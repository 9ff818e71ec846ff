/* An rrset by the keys of a zone: which signature and which key are next, and what came of it. */
#include "dnsd/validate/validate_int.h"
#include "libcommon/dns/rdata.h"

enum { /* which reason is told when several signatures fail for several */
       RANK_NONE,
       RANK_NO_SIGNATURE,
       RANK_UNFIT, /* not one that may be over this set */
       RANK_NO_KEY,
       RANK_TIME,
       RANK_FAILED,
       RANK_FINAL,
};

bool validate_may_sign(const uint8_t *zone, const uint8_t *owner, uint16_t type)
{
	if (type == DNS_DNSKEY)
		return dns_name_eq(zone, owner);
	if (!dns_name_under(owner, zone))
		return false;
	return type != DNS_DS || !*owner || !dns_name_eq(zone, owner);
}

/* Skips the records, so that the signatures are left. */
static struct slice signatures(const struct rrset *set)
{
	struct slice data = set->data, rdata;
	for (unsigned i = 0; i < set->n && rrset_next(&data, &rdata); i++)
		continue;
	return data;
}

const uint8_t *validate_signer(const struct rrset *set, const uint8_t *above)
{
	const uint8_t *best = NULL;
	struct slice data = signatures(set), rdata;
	struct sig s;
	for (unsigned i = 0; i < set->sigs && rrset_next(&data, &rdata); i++)
		if (sig_read(rdata, &s) && s.covers == set->type &&
		    validate_may_sign(s.signer, set->owner, set->type) &&
		    dns_name_under(s.signer, above) &&
		    (!best || dns_name_labels(s.signer) > dns_name_labels(best)))
			best = s.signer;
	return best;
}

bool validate_dname_target(const struct rrset *dname, const uint8_t *name,
			   uint8_t out[DNS_NAME_MAX])
{
	struct slice data = dname->data, target;
	if (dname->type != DNS_DNAME || dname->n != 1 || !rrset_next(&data, &target) ||
	    !dns_name_under(name, dname->owner) || dns_name_eq(name, dname->owner))
		return false;
	size_t front = dns_name_len(name) - dns_name_len(dname->owner);
	if (front + target.len > DNS_NAME_MAX ||
	    dns_name_check(octets_of(target), target.len) != target.len)
		return false;
	memcpy(out, name, front);
	memcpy(out + front, target.p, target.len);
	return true;
}

static void begin(struct validate *v, const struct rrset *set, uint64_t now, uint32_t skew)
{
	memset(v, 0, offsetof(struct validate, why));
	v->why[0] = 0;
	memset((char *)v + offsetof(struct validate, ttl), 0,
	       sizeof(*v) - offsetof(struct validate, ttl));
	v->ede = EDE_NONE;
	v->set = set;
	v->now = now;
	v->skew = skew;
}

void validate_begin(struct validate *v, const struct rrset *set, const struct rrset *keys,
		    uint64_t now, uint32_t skew)
{
	begin(v, set, now, skew);
	v->keys = keys;
	v->may = UINT64_MAX;
	v->ready = true;
}

void validate_begin_keys(struct validate *v, const struct rrset *dnskey, const struct rrset *ds,
			 const struct rrset *trusted, uint64_t now, uint32_t skew)
{
	begin(v, dnskey, now, skew);
	v->keys = dnskey;
	v->ds = ds;
	v->trusted = trusted;
}

/* --- reasons ---------------------------------------------------------------------------------- */

static void tell(struct validate *v, const struct sig *s, const char *what)
{
	char owner[DNS_NAME_TEXT], signer[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	dns_name_text(owner, v->set->owner);
	dns_type_text(v->set->type, type);
	if (!s) {
		str_fmt(v->why, sizeof(v->why), "%s %s: %s", owner, type, what);
		return;
	}
	dns_name_text(signer, s->signer);
	str_fmt(v->why, sizeof(v->why), "%s %s: signature by %s, key %u, algorithm %u: %s", owner,
		type, signer, s->tag, s->algorithm, what);
}

/* Kept when no reason that says more is known. */
static void blame(struct validate *v, unsigned rank, uint16_t ede, const struct sig *s,
		  const char *what)
{
	if (rank <= v->rank)
		return;
	v->rank = (uint8_t)rank;
	v->ede = ede;
	tell(v, s, what);
}

static enum rrset_security end(struct validate *v, enum rrset_security security)
{
	return v->security = security;
}

static enum rrset_security give_up(struct validate *v, const char *what)
{
	blame(v, RANK_FINAL, v->ede == EDE_NONE ? EDE_BOGUS : v->ede, NULL, what);
	return end(v, RRSET_BOGUS);
}

/* --- signatures ------------------------------------------------------------------------------- */

/* RFC 1982: the time is at or after `from`. */
static bool at_or_after(uint64_t now, uint32_t from)
{
	return (int32_t)((uint32_t)now - from) >= 0;
}

static bool in_time(struct validate *v, const struct sig *s)
{
	if (!at_or_after(s->ends, s->begins))
		blame(v, RANK_TIME, EDE_ENDS_FIRST, s, "it ends before it begins");
	else if (!at_or_after(v->now + v->skew, s->begins))
		blame(v, RANK_TIME, EDE_NOT_YET_VALID, s, "it is not valid yet");
	else if (!at_or_after((uint64_t)s->ends + v->skew, (uint32_t)v->now))
		blame(v, RANK_TIME, EDE_EXPIRED, s, "it has expired");
	else
		return true;
	return false;
}

/* It may be over the set (RFC 4035 5.3.1); keys are not looked at. */
static bool fits(struct validate *v, const struct sig *s)
{
	unsigned labels = dns_name_labels(v->set->owner);
	const char *what = NULL;
	if (s->covers != v->set->type)
		return false;
	if (!dns_name_eq(s->signer, v->keys->owner))
		what = "the signer is another zone";
	else if (!validate_may_sign(v->keys->owner, v->set->owner, v->set->type))
		what = "the signer may not sign that name";
	else if (s->labels > labels || s->labels < dns_name_labels(s->signer))
		what = "its number of labels is wrong";
	else if (!validate_algorithm(s->algorithm))
		what = "the algorithm is not supported";
	else
		return in_time(v, s);
	blame(v, RANK_UNFIT, validate_algorithm(s->algorithm) ? EDE_BOGUS : EDE_UNSUPPORTED_KEY, s,
	      what);
	return false;
}

/* The set's signature of that number. */
static bool signature(const struct validate *v, unsigned n, struct sig *out, bool *is)
{
	struct slice data = signatures(v->set), rdata;
	for (unsigned i = 0; i < v->set->sigs && rrset_next(&data, &rdata); i++) {
		if (i == n) {
			*is = sig_read(rdata, out);
			return true;
		}
	}
	return false;
}

/* --- keys ------------------------------------------------------------------------------------- */

static bool key_fits(struct validate *v, unsigned n, const struct key *k, const struct sig *s)
{
	if (k->algorithm != s->algorithm || !(v->may >> n & 1) ||
	    validate_key_tag(k->rdata) != s->tag)
		return false;
	if (!(k->flags & KEY_ZONE) || k->protocol != 3) {
		blame(v, RANK_NO_KEY, EDE_NO_ZONE_KEY_BIT, s, "the key is not one of a zone");
		return false;
	}
	if (k->flags & KEY_REVOKED && !v->revoked) {
		blame(v, RANK_NO_KEY, EDE_NO_KEY, s, "the key is revoked");
		return false;
	}
	const char *wrong = verify_form(k, s);
	if (wrong)
		blame(v, RANK_FAILED, EDE_BOGUS, s, wrong);
	return !wrong;
}

/* The next key for the signature, from v->key on. */
static bool next_key(struct validate *v, const struct sig *s, struct key *out)
{
	struct slice data = v->keys->data, rdata;
	for (unsigned n = 0; n < v->keys->n && n < VALIDATE_KEYS && rrset_next(&data, &rdata);
	     n++) {
		if (n < v->key)
			continue;
		v->key = (uint16_t)(n + 1);
		if (key_read(rdata, out) && key_fits(v, n, out, s))
			return v->same++ < VALIDATE_KEYS_A_TAG;
	}
	if (!v->same)
		blame(v, RANK_NO_KEY, EDE_NO_KEY, s, "the zone has no such key");
	return false;
}

/* The next pair; false: there is none. */
static bool next_pair(struct validate *v, struct sig *s, struct key *k)
{
	bool is;
	for (; signature(v, v->sig, s, &is); v->sig++, v->key = v->same = 0)
		if (is && (v->key || fits(v, s)) && next_key(v, s, k))
			return true;
	blame(v, RANK_NO_SIGNATURE, EDE_NO_SIGNATURE, NULL, "it is not signed");
	return false;
}

/* Which keys of a DNSKEY set are trusted. False: the check is at its end. */
static bool find_trusted(struct validate *v)
{
	uint16_t ede = EDE_NONE;
	bool anchored = v->trusted && v->trusted->n;
	v->ready = true;
	v->may = anchored ? keys_of_trusted(v->set, v->trusted) : 0;
	if (v->ds && validate_ds(v->ds, &ede) == RRSET_SECURE)
		v->may |= keys_of_ds(v->set, v->ds);
	else if (v->ds && !anchored) {
		blame(v, RANK_FINAL, ede, NULL,
		      "no DS record of it is of a kind that is supported");
		end(v, RRSET_INSECURE);
		return false;
	}
	if (v->may)
		return true;
	blame(v, RANK_FINAL, EDE_NO_KEY, NULL, "no key is one that its parent or an anchor names");
	end(v, RRSET_BOGUS);
	return false;
}

/* --- a step ----------------------------------------------------------------------------------- */

static enum rrset_security secure(struct validate *v, const struct sig *s)
{
	const uint8_t *owner = v->set->owner;
	unsigned labels = dns_name_labels(owner);
	uint32_t left = s->ends - (uint32_t)v->now;
	v->ttl = v->set->ttl < s->ttl ? v->set->ttl : s->ttl;
	if ((int32_t)left <= 0)
		left = 1; /* within the skew */
	if (left < v->ttl)
		v->ttl = left;
	v->labels = s->labels;
	/* A wildcard that was asked for by its own name has a label less, too. */
	v->expanded =
	    s->labels < labels && !(s->labels + 1u == labels && owner[0] == 1 && owner[1] == '*');
	v->ede = EDE_NONE;
	v->why[0] = 0;
	if (v->tell)
		tell(v, s, "good");
	return end(v, RRSET_SECURE);
}

enum rrset_security validate_step(struct validate *v, struct validate_work *w)
{
	struct sig s;
	struct key k;
	struct buf data = {.max = SIGNED_MAX};
	if (v->security != RRSET_UNCHECKED || (!v->ready && !find_trusted(v)))
		return v->security;
	if (!next_pair(v, &s, &k))
		return end(v, RRSET_BOGUS);
	if (!w->signatures)
		return give_up(v, "too many signatures in one answer");
	w->signatures--;
	bool good = signed_data(v->set, &s, &data) && verify(&k, &s, &data);
	buf_free(&data);
	if (good)
		return secure(v, &s);
	blame(v, RANK_FAILED, EDE_BOGUS, &s, "it is wrong");
	if (!w->failures)
		return end(v, RRSET_BOGUS);
	w->failures--;
	return RRSET_UNCHECKED;
}
