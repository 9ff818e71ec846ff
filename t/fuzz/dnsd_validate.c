/* A hostile response in front of the validator: its records become rrsets as the resolver makes
 * them, everything is checked by its first DNSKEY and DS records, and its NSEC and NSEC3 records,
 * taken for secure, are asked for proofs of its question, at once and out of an index that lives
 * on. */
#include <stdlib.h>
#include <string.h>
#include "dnsd/validate/aggressive.h"
#include "libcommon/base/buf.h"
#include "libcommon/dns/rdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { SETS = 24, NOW = 1439000000, INDEX = 20000 };
struct found {
	struct rrset set;
	uint8_t owner[DNS_NAME_MAX];
	struct buf records, sigs;
	char *whole; /* as long as it is, so that nobody reads on */
};
static struct found found[SETS];
static unsigned n;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static struct found *set_of(const uint8_t *owner, uint16_t type)
{
	for (unsigned i = 0; i < n; i++)
		if (found[i].set.type == type && dns_name_eq(found[i].owner, owner))
			return &found[i];
	if (n == SETS)
		return NULL;
	struct found *f = &found[n++];
	memset(f, 0, sizeof(*f));
	memcpy(f->owner, owner, dns_name_len(owner));
	f->set = (struct rrset){.owner = f->owner, .type = type};
	return f;
}

static void take(const uint8_t *pkt, size_t len, const struct dns_rr *rr)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	uint8_t owner[DNS_NAME_MAX];
	size_t at = rr->owner, rdlen;
	if (!dns_name_read(pkt, len, &at, owner) || dns_type_is_meta(rr->type) ||
	    !dns_rdata_read(pkt, len, rr, rdata, &rdlen))
		return;
	dns_name_lower(owner);
	bool sig = rr->type == DNS_RRSIG;
	struct found *f = set_of(owner, sig ? dns_u16(rdata) : rr->type);
	if (!f)
		return;
	struct buf *b = sig ? &f->sigs : &f->records;
	f->set.ttl = dns_ttl(rr->ttl);
	f->set.n = (uint16_t)(f->set.n + !sig);
	f->set.sigs = (uint16_t)(f->set.sigs + sig);
	const uint8_t size[] = {(uint8_t)(rdlen >> 8), (uint8_t)rdlen};
	buf_add(b, size, sizeof(size));
	if (rdlen)
		buf_add(b, rdata, rdlen);
}

static void finish(struct found *f)
{
	size_t size = f->records.len + f->sigs.len;
	f->whole = malloc(size + !size);
	if (!f->whole)
		abort();
	if (f->records.len)
		memcpy(f->whole, f->records.p, f->records.len);
	if (f->sigs.len)
		memcpy(f->whole + f->records.len, f->sigs.p, f->sigs.len);
	f->set.data = (struct slice){f->whole, size};
	buf_free(&f->records);
	buf_free(&f->sigs);
}

static const struct rrset *first(uint16_t type)
{
	for (unsigned i = 0; i < n; i++)
		if (found[i].set.type == type && found[i].set.n)
			return &found[i].set;
	return NULL;
}

static void run(struct validate *v, struct validate_work *w)
{
	unsigned before = w->signatures, steps = 0;
	while (validate_step(v, w) == RRSET_UNCHECKED)
		check(++steps <= VALIDATE_SIGNATURES);
	check(before - w->signatures <= steps + 1 && w->failures <= VALIDATE_FAILURES);
	check(v->security != RRSET_SECURE || (v->ttl <= v->set->ttl && v->ede == EDE_NONE));
	check(v->security == RRSET_SECURE || (v->why[0] && v->ede != EDE_NONE));
	check(v->security != RRSET_SECURE || w->signatures < before);
}

static void signatures(void)
{
	const struct rrset *keys = first(DNS_DNSKEY), *ds = first(DNS_DS);
	struct validate_work w;
	struct validate v;
	validate_work_init(&w);
	for (unsigned i = 0; i < n && keys; i++) {
		validate_signer(&found[i].set, (const uint8_t *)"");
		validate_begin(&v, &found[i].set, keys, NOW, 100);
		run(&v, &w);
	}
	validate_work_init(&w);
	if (keys) {
		validate_begin_keys(&v, keys, ds, NULL, NOW, 0);
		run(&v, &w);
	}
}

static void proofs(const uint8_t *name, uint16_t type)
{
	const struct rrset *soa = first(DNS_SOA);
	struct validate_work w;
	struct denial d;
	struct proof p;
	uint8_t target[DNS_NAME_MAX];
	denial_init(&d, soa ? soa->owner : (const uint8_t *)"");
	for (unsigned i = 0; i < n; i++) {
		denial_add_secure(&d, &found[i].set);
		if (validate_dname_target(&found[i].set, name, target))
			check(dns_name_check(target, sizeof(target)) > 0);
	}
	validate_work_init(&w);
	unsigned none = denial_nxdomain(&d, name, &w, &p);
	check(none != RRSET_SECURE || (p.encloser && dns_name_under(name, p.encloser)));
	unsigned nodata = denial_nodata(&d, name, type, &w, &p);
	check(nodata != RRSET_BOGUS || p.why[0]);
	for (unsigned i = 0; i < dns_name_labels(name) && i < 4; i++)
		denial_expansion(&d, name, i, &w, &p);
	check(denial_ds(&d, name, &w, &p) != DENIAL_UNPROVEN || p.why[0]);
}

static void spans(const uint8_t *name, uint16_t type)
{
	static struct aggressive *index;
	const struct rrset *soa = first(DNS_SOA);
	const struct rrset keys = {.owner = soa ? soa->owner : (const uint8_t *)""};
	struct aggressive_found f;
	struct aggressive_stats stats;
	struct validate_work w;
	struct buf extra = {0};
	if (!index)
		index = aggressive_new(INDEX);
	for (unsigned i = 0; i < n; i++) {
		const struct rrset *s = &found[i].set;
		struct validate v = {
		    .security = RRSET_SECURE, .set = s, .keys = &keys, .now = NOW, .ttl = s->ttl};
		aggressive_add(index, s->ttl & 1, &v);
		aggressive_stats(index, &stats);
		check(stats.octets <= INDEX || stats.spans <= 1);
	}
	validate_work_init(&w);
	if (aggressive_find(index, 0, name, type, NOW + 1, &w, &f)) {
		check(f.n > 0 && dns_name_under(name, f.zone));
		check(!f.encloser || dns_name_under(name, f.encloser));
		check(aggressive_extra(&f, &extra) >= f.n);
	}
	buf_free(&extra);
	if (type == DNS_MX)
		aggressive_flush(index, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_question q;
	struct dns_rr rr;
	uint8_t name[DNS_NAME_MAX];
	n = 0;
	if (!dns_iter_init(&it, data, len, &h) || !dns_iter_question(&it, &q))
		return 0;
	size_t at = q.name;
	if (!dns_name_read(data, len, &at, name))
		return 0;
	dns_name_lower(name);
	while (dns_iter_rr(&it, &rr))
		take(data, len, &rr);
	for (unsigned i = 0; i < n; i++)
		finish(&found[i]);
	signatures();
	proofs(name, q.type);
	spans(name, q.type);
	for (unsigned i = 0; i < n; i++)
		free(found[i].whole);
	return 0;
}
