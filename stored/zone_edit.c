/* Changes of single records. Name by name: its records are taken out, changed, and put back; then
 * each changed name is checked among those above it and, where it became a wall (a delegation, a
 * DNAME), those below it. */
#include <stdlib.h>
#include "stored/dir.h"
#include "stored/zone.h"

struct edit {
	struct zone_tx *t;
	struct zone *z;
	const uint8_t *apex;
	const struct row_zone_op **op; /* by name, else as they came */
	uint32_t n;
	struct zone_rr old_soa, soa;
	bool soa_raised; /* by an operation */
	struct zone_step step;
};

static const uint8_t *owner_of(const struct row_zone_op *op)
{
	return (const uint8_t *)op->owner.p;
}

/* --- one operation on the records of its name ------------------------------------------------- */

static enum ipc_err refuse(struct edit *e, const struct row_zone_op *op, const char *why)
{
	struct zone_fault f = {.why = why, .type = (uint16_t)op->type};
	char text[DNS_NAME_TEXT + 200];
	memcpy(f.owner, op->owner.p, op->owner.len);
	zone_fault_text(&f, text, sizeof(text));
	return zone_say(e->t, ERR_BAD, "%s", text);
}

static bool is_it(const struct zone_rr *rr, const struct row_zone_op *op)
{
	return rr->type == op->type &&
	       zone_rdata_cmp(rr->type, rr->rdata, rr->rdlen, (const uint8_t *)op->rdata.p,
			      op->rdata.len) == 0;
}

static bool goes(const struct edit *e, const struct zone_rr *rr, const struct row_zone_op *op)
{
	bool apex = dns_name_eq(rr->owner, e->apex);
	switch (op->kind) {
	case ZONE_DELETE_RR:
		return is_it(rr, op);
	case ZONE_DELETE_SET:
		return rr->type == op->type;
	default:
		return !(apex && (rr->type == DNS_SOA || rr->type == DNS_NS));
	}
}

static void delete (struct edit *e, struct zone_rrs *rrs, const struct row_zone_op *op)
{
	size_t n = 0;
	for (size_t i = 0; i < rrs->n; i++)
		if (rrs->rr[i].type == DNS_SOA || !goes(e, &rrs->rr[i], op))
			rrs->rr[n++] = rrs->rr[i];
	rrs->n = n;
}

/* There is one SOA: the new one takes the old one's place, its serial counts where it is higher. */
static void add_soa(struct edit *e, struct zone_rrs *rrs, const struct row_zone_op *op)
{
	const uint8_t *data = (const uint8_t *)op->rdata.p;
	uint32_t serial = dns_u32(data + zone_soa_serial_at(op->rdata.len));
	for (size_t i = 0; i < rrs->n; i++) {
		struct zone_rr *rr = &rrs->rr[i];
		if (rr->type != DNS_SOA)
			continue;
		rr->ttl = op->ttl;
		rr->rdata = data;
		rr->rdlen = op->rdata.len;
		e->soa_raised = zone_serial_above(serial, e->z->serial);
		if (!e->soa_raised)
			*rr = zone_soa_with(e->t->pool, rr, e->z->serial);
		e->soa = *rr;
	}
}

static enum ipc_err add(struct edit *e, struct zone_rrs *rrs, const struct row_zone_op *op)
{
	bool there = false;
	const uint8_t *name = owner_of(op);
	if (op->type == DNS_SOA) {
		if (!dns_name_eq(owner_of(op), e->apex))
			return refuse(e, op, "a SOA below the zone's own name");
		add_soa(e, rrs, op);
		return ERR_OK;
	}
	for (size_t i = 0; i < rrs->n; i++) {
		name = rrs->rr[i].owner; /* spelled as it was */
		if (rrs->rr[i].type != op->type)
			continue;
		there |= is_it(&rrs->rr[i], op);
		rrs->rr[i].ttl = op->ttl;
	}
	if (there)
		return ERR_OK;
	rrs->rr = pool_grow(e->t->pool, rrs->rr, rrs->n, &rrs->cap, sizeof(*rrs->rr));
	rrs->rr[rrs->n++] = (struct zone_rr){.owner = name,
					     .type = (uint16_t)op->type,
					     .ttl = op->ttl,
					     .rdata = (const uint8_t *)op->rdata.p,
					     .rdlen = op->rdata.len};
	return ERR_OK;
}

static int by_record(const void *a, const void *b)
{
	return zone_rr_cmp(a, b);
}

/* --- one name --------------------------------------------------------------------------------- */

/* Both are in order. Returns whether anything differs. */
static bool note_changes(struct edit *e, const struct zone_rrs *a, const struct zone_rrs *b)
{
	bool differ = false;
	for (size_t i = 0, j = 0; i < a->n || j < b->n;) {
		int r = i == a->n ? 1 : j == b->n ? -1 : zone_rr_cmp(&a->rr[i], &b->rr[j]);
		const struct zone_rr *x = &a->rr[i], *y = &b->rr[j];
		bool same = r == 0 && x->ttl == y->ttl;
		i += r <= 0;
		j += r >= 0;
		differ |= !same;
		if (!same && r <= 0 && x->type != DNS_SOA)
			zone_step_note(&e->step, false, x);
		if (!same && r >= 0 && y->type != DNS_SOA)
			zone_step_note(&e->step, true, y);
	}
	return differ;
}

static enum ipc_err change_name(struct edit *e, uint32_t from, uint32_t to)
{
	const uint8_t *owner = owner_of(e->op[from]);
	struct zone_rrs before, after = {0};
	enum ipc_err err = zone_owner_get(e->t, e->z, owner, &before);
	for (size_t i = 0; i < before.n && err == ERR_OK; i++) {
		after.rr = pool_grow(e->t->pool, after.rr, after.n, &after.cap, sizeof(*after.rr));
		after.rr[after.n++] = before.rr[i];
	}
	for (uint32_t i = from; i < to && err == ERR_OK; i++) {
		if (e->op[i]->kind == ZONE_ADD)
			err = add(e, &after, e->op[i]);
		else
			delete (e, &after, e->op[i]);
	}
	if (err != ERR_OK)
		return err;
	if (after.n)
		qsort(after.rr, after.n, sizeof(*after.rr), by_record);
	return note_changes(e, &before, &after) ? zone_owner_put(e->t, e->z, owner, &after)
						: ERR_OK;
}

/* --- what the whole must keep to -------------------------------------------------------------- */

static enum ipc_err tell(struct edit *e, struct zone_check *c, const struct zone_rr *rr)
{
	const char *why;
	if (zone_check_rr(c, rr, &why))
		return ERR_OK;
	struct zone_fault f = {.why = why, .type = rr->type};
	char text[DNS_NAME_TEXT + 200];
	memcpy(f.owner, rr->owner, dns_name_len(rr->owner));
	zone_fault_text(&f, text, sizeof(text));
	return zone_say(e->t, ERR_BAD, "%s", text);
}

static enum ipc_err tell_name(struct edit *e, struct zone_check *c, const uint8_t *owner,
			      bool *wall)
{
	struct zone_rrs rrs;
	struct zone_tx t = *e->t;
	t.pool = pool_new(0);
	enum ipc_err err = zone_owner_get(&t, e->z, owner, &rrs);
	*wall = false;
	for (size_t i = 0; i < rrs.n && err == ERR_OK; i++) {
		*wall |= rrs.rr[i].type == DNS_NS || rrs.rr[i].type == DNS_DNAME;
		err = tell(e, c, &rrs.rr[i]);
	}
	pool_free(&t.pool);
	return err;
}

/* All that stands below the name; each chunk's memory is forgotten with it. */
static enum ipc_err tell_below(struct edit *e, struct zone_check *c, const uint8_t *owner)
{
	uint8_t key[ZONE_KEY_MAX], at[ZONE_KEY_MAX];
	struct slice from = {(const char *)key, zone_key(owner, e->z->name.len, key)};
	struct zone_tx t = *e->t;
	struct zone_piece p;
	struct zone_chunk_in in;
	struct zone_rr rr;
	bool more = true;
	t.pool = pool_new(64 << 10);
	enum ipc_err err = zone_piece_at(&t, e->z->generation, from, &p);
	while (err == ERR_OK && more) {
		zone_chunk_open(&in, p.data);
		while (err == ERR_OK && zone_chunk_next(&in, &rr)) {
			more =
			    dns_name_cmp(rr.owner, owner) <= 0 || dns_name_under(rr.owner, owner);
			if (!more)
				break;
			if (dns_name_under(rr.owner, owner) && !dns_name_eq(rr.owner, owner))
				err = tell(e, c, &rr);
		}
		struct slice last = {(const char *)at, p.last.len};
		memcpy(at, p.last.p, p.last.len);
		pool_clear(t.pool);
		if (err == ERR_OK && more)
			err = zone_piece_after(&t, e->z->generation, last, &p);
	}
	pool_free(&t.pool);
	return err == ERR_NOTFOUND ? ERR_OK : err;
}

static enum ipc_err check_name(struct edit *e, const uint8_t *owner)
{
	struct zone_check c;
	const uint8_t *above[128];
	unsigned n = 0;
	bool wall = false;
	const char *why;
	enum ipc_err err = ERR_OK;
	zone_check_init(&c, e->apex, e->z->source == ZONE_STORE);
	for (const uint8_t *l = owner; !dns_name_eq(l, e->apex); l += 1u + *l)
		above[n++] = l;
	above[n++] = e->apex;
	while (n > 0 && err == ERR_OK)
		err = tell_name(e, &c, above[--n], &wall);
	if (err == ERR_OK && !zone_check_end(&c, &why))
		return zone_say(e->t, ERR_BAD, "%s: it would have %s",
				zone_text(e->t->pool, e->z->name), why);
	if (err == ERR_OK && wall && !dns_name_eq(owner, e->apex))
		err = tell_below(e, &c, owner);
	return err;
}

/* --- all of it -------------------------------------------------------------------------------- */

static const char *op_fault(const struct edit *e, const struct row_zone_op *op)
{
	const uint8_t *rdata = (const uint8_t *)op->rdata.p;
	bool data = op->kind == ZONE_ADD || op->kind == ZONE_DELETE_RR;
	if (!dns_name_under(owner_of(op), e->apex))
		return "it is not in the zone";
	if (op->kind == ZONE_DELETE_NAME)
		return NULL;
	if (op->type > UINT16_MAX || dns_type_is_meta((uint16_t)op->type))
		return "no zone has records of this type";
	if (op->ttl > INT32_MAX)
		return "its TTL is over 2147483647";
	if (data && !dns_rdata_check((uint16_t)op->type, rdata, op->rdata.len))
		return "its data is malformed";
	return NULL;
}

static int by_name(const void *ap, const void *bp)
{
	const struct row_zone_op *a = *(const struct row_zone_op *const *)ap,
				 *b = *(const struct row_zone_op *const *)bp;
	int r = dns_name_cmp(owner_of(a), owner_of(b));
	return r ? r : a < b ? -1 : a > b; /* they stand in one array */
}

static enum ipc_err order(struct edit *e, const struct row_zone_op *op, uint32_t n)
{
	e->op = pool_alloc(e->t->pool, (n + 1) * sizeof(struct row_zone_op *));
	for (uint32_t i = 0; i < n; i++) {
		if (op[i].kind > ZONE_DELETE_NAME ||
		    dns_name_check((const uint8_t *)op[i].owner.p, op[i].owner.len) !=
			op[i].owner.len ||
		    op[i].owner.len == 0)
			return zone_say(e->t, ERR_BAD, "no such operation");
		const char *why = op_fault(e, &op[i]);
		if (why)
			return refuse(e, &op[i], why);
		e->op[e->n++] = &op[i];
	}
	qsort(e->op, e->n, sizeof(struct row_zone_op *), by_name);
	return ERR_OK;
}

static enum ipc_err each_name(struct edit *e, bool check)
{
	enum ipc_err err = ERR_OK;
	for (uint32_t i = 0, end; i < e->n && err == ERR_OK; i = end) {
		for (end = i + 1;
		     end < e->n && dns_name_eq(owner_of(e->op[i]), owner_of(e->op[end]));)
			end++;
		err = check ? check_name(e, owner_of(e->op[i])) : change_name(e, i, end);
	}
	return err;
}

static enum ipc_err find_soa(struct edit *e)
{
	struct zone_rrs apex;
	enum ipc_err err = zone_owner_get(e->t, e->z, e->apex, &apex);
	for (size_t i = 0; i < apex.n; i++)
		if (apex.rr[i].type == DNS_SOA)
			e->old_soa = e->soa = apex.rr[i];
	return err == ERR_OK && !e->old_soa.rdata
		   ? zone_say(e->t, ERR_TEMP, "the zone in the store is damaged")
		   : err;
}

static enum ipc_err raise_serial(struct edit *e)
{
	struct zone_rrs apex;
	enum ipc_err err = zone_owner_get(e->t, e->z, e->apex, &apex);
	uint32_t serial = e->soa_raised ? dns_u32(e->soa.rdata + zone_soa_serial_at(e->soa.rdlen))
					: zone_serial_next(e->z->serial, e->t->now_ms);
	for (size_t i = 0; i < apex.n && err == ERR_OK; i++)
		if (apex.rr[i].type == DNS_SOA)
			e->soa = apex.rr[i] = zone_soa_with(e->t->pool, &apex.rr[i], serial);
	e->z->serial = serial;
	e->z->changed_ms = e->t->now_ms;
	return err == ERR_OK ? zone_owner_put(e->t, e->z, e->apex, &apex) : err;
}

static bool soa_changed(const struct edit *e)
{
	return e->old_soa.ttl != e->soa.ttl || zone_rr_cmp(&e->old_soa, &e->soa) != 0;
}

static enum ipc_err apply(struct edit *e)
{
	enum ipc_err err = find_soa(e);
	if (err == ERR_OK)
		err = each_name(e, false);
	if (err != ERR_OK || !(e->step.additions || e->step.deletions || soa_changed(e)))
		return err;
	if (e->z->source == ZONE_SECONDARY && !e->soa_raised)
		return zone_say(e->t, ERR_BAD, "the serial of a secondary is its primary's");
	err = each_name(e, true);
	if (err == ERR_OK)
		err = raise_serial(e);
	if (err == ERR_OK)
		err = zone_save(e->t, e->z);
	return err == ERR_OK ? zone_step_keep(e->t, e->z->id, &e->step, &e->old_soa, &e->soa) : err;
}

enum ipc_err zone_edit(struct zone_tx *t, struct zone *z, const struct row_zone_op *op, uint32_t n,
		       struct zone_result *out)
{
	struct edit e = {.t = t, .z = z, .apex = (const uint8_t *)z->name.p};
	uint32_t before = z->serial;
	enum ipc_err err = order(&e, op, n);
	if (err == ERR_OK)
		err = apply(&e);
	*out = (struct zone_result){.id = z->id,
				    .before = before,
				    .serial = z->serial,
				    .known = true,
				    .deleted = e.step.deletions,
				    .added = e.step.additions,
				    .records = z->records};
	zone_step_free(&e.step);
	return err;
}
