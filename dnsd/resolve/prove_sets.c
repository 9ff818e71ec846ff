/* A reply's rrsets, by the keys of the zone that has signed them. */
#include <stdarg.h>
#include <stdio.h>
#include "dnsd/resolve/prove.h"
#include "dnsd/resolve/proven.h"

enum prove_verdict bogus(struct task *t, uint16_t ede, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
	t->ede = ede;
	t->is_bogus = true;
	return VERDICT_BOGUS;
}

static bool positive(const struct task *t)
{
	return t->reply.kind != SCRUB_NODATA && t->reply.kind != SCRUB_NXDOMAIN;
}

/* What there is to check: proofs only where they are needed. */
static void collect(const struct task *t, struct prove *p, bool proofs)
{
	if (!proofs && t->reply.main)
		p->set[p->sets++] = t->reply.main;
	for (unsigned i = 0; proofs && i < t->reply.proofs; i++) {
		const struct rrset *s = t->reply.proof[i];
		const uint8_t *signer = validate_signer(s, p->signer);
		if (signer && dns_name_eq(signer, p->signer) && s->type != DNS_DS)
			p->set[p->sets++] = s;
	}
}

static void begin(const struct task *t, struct prove *p)
{
	const struct rrset *s = p->set[p->at];
	if (s == t->reply.main && s->type == DNS_DNSKEY && !p->keys.n)
		validate_begin_keys(&p->v, s, p->ds.n ? &p->ds : NULL,
				    dns_name_eq(p->signer, p->anchored) && p->anchor.dnskey.n
					? &p->anchor.dnskey
					: NULL,
				    task_now(), PROVE_SKEW);
	else
		validate_begin(&p->v, s, &p->keys, task_now(), PROVE_SKEW);
	p->v.tell = t->run->explain != NULL;
	p->begun = true;
}

/* A set is good: what follows from it. */
static void good(struct task *t, struct prove *p)
{
	const struct rrset *s = p->set[p->at];
	if (p->v.ttl < p->ttl)
		p->ttl = p->v.ttl;
	proven_learn(t->run->cache, t->run->space, &p->v);
	if (s != t->reply.main) {
		denial_add(&p->denial, &p->v);
		t->reply.proof[p->proofs++] = s;
	} else if (p->v.expanded && positive(t)) {
		p->expanded = p->v.labels ? p->v.labels : 1;
		p->labels = p->v.labels;
		collect(t, p, true);
	}
}

/* VERDICT_NONE: go on. */
static enum prove_verdict checked(struct task *t, struct prove *p, enum rrset_security verdict)
{
	const struct rrset *s = p->set[p->at];
	task_say(t, "%s", p->v.why);
	if (verdict == RRSET_INSECURE)
		return VERDICT_INSECURE;
	if (verdict == RRSET_SECURE) {
		good(t, p);
	} else if (s == t->reply.main) {
		return bogus(t, p->v.ede, "%s", p->v.why);
	} else if (p->ede == RESOLVE_NO_EDE) {
		p->ede = p->v.ede;
		memcpy(p->why, p->v.why, sizeof(p->why) - 1);
	}
	p->at++;
	p->begun = false;
	return VERDICT_NONE;
}

enum prove_verdict sets_check(struct task *t, struct prove *p)
{
	unsigned steps = 0;
	if (!p->sets) {
		denial_init(&p->denial, p->signer);
		collect(t, p, false);
		if (!positive(t))
			collect(t, p, true);
	}
	while (p->at < p->sets) {
		if (steps++ == PROVE_SLICE)
			return VERDICT_LATER;
		if (!p->begun)
			begin(t, p);
		enum rrset_security s = validate_step(&p->v, &p->work);
		if (s == RRSET_UNCHECKED)
			continue;
		enum prove_verdict v = checked(t, p, s);
		if (v != VERDICT_NONE)
			return v;
	}
	p->phase = PHASE_DENIAL;
	return VERDICT_NONE;
}

/* That there is no DS: of a delegation, or because there is none. */
static enum rrset_security no_ds(struct task *t, struct prove *p, struct proof *out)
{
	struct proof other;
	enum denial_cut cut = denial_ds(&p->denial, t->name, &p->work, &other);
	enum rrset_security s = denial_nodata(&p->denial, t->name, DNS_DS, &p->work, out);
	p->cut = cut == DENIAL_INSECURE;
	/* Opt-out leaves it open whether there is a delegation: it is insecure then. */
	return s == RRSET_BOGUS && p->cut ? RRSET_INSECURE : s;
}

enum prove_verdict sets_denial(struct task *t, struct prove *p)
{
	struct proof proof = {.ede = RESOLVE_NO_EDE};
	enum rrset_security s;
	if (positive(t) && !p->expanded)
		return VERDICT_SECURE;
	if (positive(t))
		s = denial_expansion(&p->denial, t->reply.main->owner, p->labels, &p->work, &proof);
	else if (t->reply.kind == SCRUB_NXDOMAIN)
		s = denial_nxdomain(&p->denial, t->name, &p->work, &proof);
	else if (t->type == DNS_DS)
		s = no_ds(t, p, &proof);
	else
		s = denial_nodata(&p->denial, t->name, t->type, &p->work, &proof);
	if (s == RRSET_SECURE || s == RRSET_INSECURE) {
		task_say(t, "the proof is %s%s%s", s == RRSET_SECURE ? "good" : "insecure",
			 *proof.why ? ": " : "", proof.why);
		return s == RRSET_SECURE ? VERDICT_SECURE : VERDICT_INSECURE;
	}
	task_say(t, "the proof fails: %s", proof.why);
	if (p->ede != RESOLVE_NO_EDE)
		return bogus(t, p->ede, "%s", p->why);
	return bogus(t, proof.ede, "%s", proof.why);
}
