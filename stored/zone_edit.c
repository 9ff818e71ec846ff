/* Changes of single records. Name by name: its records are taken out, changed, and put back; then
 * each changed name is checked among those above it and, where it became a wall (a delegation, a
 * DNAME), those below it. */
#include <stdlib.h>
#include "stored/dir.h"
#include "stored/zone.h"

struct edit {
	struct zone_tx *t;
	struct zone *z;
	struct zone_apply a;
	const struct row_zone_op **op; /* by name, else as they came */
	uint32_t n;
	struct zone_rr old_soa;
	struct zone_look look;
	/* Changed, and not put back yet; in a pool that is emptied then. */
	struct zone_tx held;
	struct zone_owner *owners;
	size_t owners_n, owners_cap, held_octets;
	struct zone_step step;
};

static const uint8_t *owner_of(const struct row_zone_op *op)
{
	return (const uint8_t *)op->owner.p;
}

static enum ipc_err refuse(struct edit *e, const struct row_zone_op *op, const char *why)
{
	struct zone_fault f = {.why = why, .type = (uint16_t)op->type};
	char text[DNS_NAME_TEXT + 200];
	memcpy(f.owner, op->owner.p, op->owner.len);
	zone_fault_text(&f, text, sizeof(text));
	return zone_say(e->t, ERR_BAD, "%s", text);
}

/* --- one name --------------------------------------------------------------------------------- */

static int by_record(const void *a, const void *b)
{
	return zone_rr_cmp(a, b);
}

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

static enum ipc_err put_back(struct edit *e)
{
	zone_look_end(&e->look);
	enum ipc_err err = zone_owners_put(e->t, e->z, e->owners, e->owners_n);
	pool_clear(e->held.pool);
	e->owners = NULL;
	e->owners_n = e->owners_cap = e->held_octets = 0;
	return err;
}

static void hold(struct edit *e, const uint8_t *name, const struct zone_rrs *rrs)
{
	e->owners =
	    pool_grow(e->held.pool, e->owners, e->owners_n, &e->owners_cap, sizeof(*e->owners));
	e->owners[e->owners_n++] = (struct zone_owner){name, *rrs};
	for (size_t i = 0; i < rrs->n; i++)
		e->held_octets += sizeof(rrs->rr[i]) + rrs->rr[i].rdlen;
}

static enum ipc_err change_name(struct edit *e, uint32_t from, uint32_t to)
{
	const uint8_t *owner = owner_of(e->op[from]);
	struct zone_rrs before, after = {0};
	enum ipc_err err = zone_owner_get(&e->held, e->z, owner, &e->look, &before);
	after.cap = before.n + (to - from);
	after.rr = pool_alloc(e->held.pool, after.cap * sizeof(*after.rr));
	if (before.n)
		memcpy(after.rr, before.rr, before.n * sizeof(*after.rr));
	after.n = before.n;
	for (uint32_t i = from; i < to && err == ERR_OK; i++) {
		const char *why = zone_apply(&e->a, &after, e->op[i]);
		if (why)
			err = refuse(e, e->op[i], why);
	}
	if (err != ERR_OK)
		return err;
	if (after.n)
		qsort(after.rr, after.n, sizeof(*after.rr), by_record);
	if (note_changes(e, &before, &after))
		hold(e, owner, &after);
	return e->held_octets > ZONE_EDIT_OCTETS ? put_back(e) : ERR_OK;
}

static uint32_t end_of_name(const struct edit *e, uint32_t from)
{
	uint32_t to = from + 1;
	while (to < e->n && dns_name_eq(owner_of(e->op[from]), owner_of(e->op[to])))
		to++;
	return to;
}

static enum ipc_err change_names(struct edit *e)
{
	enum ipc_err err = ERR_OK;
	e->held = *e->t;
	e->held.pool = pool_new(64 << 10);
	for (uint32_t i = 0, end; i < e->n && err == ERR_OK; i = end) {
		end = end_of_name(e, i);
		err = change_name(e, i, end);
	}
	if (err == ERR_OK)
		err = put_back(e);
	if (e->held.why)
		e->t->why = pool_strdup(e->t->pool, e->held.why);
	zone_look_end(&e->look);
	pool_free(&e->held.pool);
	return err;
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
	enum ipc_err err = zone_owner_get(&t, e->z, owner, &e->look, &rrs);
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

/* The name, and those above it that were not told with the one before. */
static enum ipc_err check_name(struct edit *e, struct zone_check *c, const uint8_t *last,
			       const uint8_t *owner)
{
	const uint8_t *above[128];
	unsigned n = 0;
	bool wall = false;
	enum ipc_err err = ERR_OK;
	for (const uint8_t *l = owner; !last || !dns_name_under(last, l); l += 1u + *l) {
		above[n++] = l;
		if (dns_name_eq(l, e->a.apex))
			break;
	}
	while (n > 0 && err == ERR_OK)
		err = tell_name(e, c, above[--n], &wall);
	if (err == ERR_OK && wall && !dns_name_eq(owner, e->a.apex)) {
		struct zone_check below = *c;
		err = tell_below(e, &below, owner);
	}
	return err;
}

static enum ipc_err check_names(struct edit *e)
{
	struct zone_check c;
	const uint8_t *last = NULL;
	const char *why;
	enum ipc_err err = ERR_OK;
	zone_check_init(&c, e->a.apex, e->z->source == ZONE_STORE);
	for (uint32_t i = 0; i < e->n && err == ERR_OK; i = end_of_name(e, i)) {
		err = check_name(e, &c, last, owner_of(e->op[i]));
		last = owner_of(e->op[i]);
	}
	zone_look_end(&e->look);
	if (err == ERR_OK && !zone_check_end(&c, &why))
		return zone_say(e->t, ERR_BAD, "%s: it would have %s",
				zone_text(e->t->pool, e->z->name), why);
	return err;
}

/* --- all of it -------------------------------------------------------------------------------- */

static const char *op_fault(const struct edit *e, const struct row_zone_op *op)
{
	const uint8_t *rdata = (const uint8_t *)op->rdata.p;
	bool data = op->kind == ZONE_ADD || op->kind == ZONE_DELETE_RR;
	if (!dns_name_under(owner_of(op), e->a.apex))
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

static enum ipc_err find_soa(struct edit *e)
{
	struct zone_rrs apex;
	enum ipc_err err = zone_apex_get(e->t, e->z, &apex);
	for (size_t i = 0; i < apex.n; i++)
		if (apex.rr[i].type == DNS_SOA)
			e->old_soa = e->a.soa = apex.rr[i];
	return err == ERR_OK && !e->old_soa.rdata
		   ? zone_say(e->t, ERR_TEMP, "the zone in the store is damaged")
		   : err;
}

static enum ipc_err raise_serial(struct edit *e)
{
	struct zone_rrs apex;
	enum ipc_err err = zone_apex_get(e->t, e->z, &apex);
	uint32_t serial = e->a.soa_raised
			      ? dns_u32(e->a.soa.rdata + zone_soa_serial_at(e->a.soa.rdlen))
			      : zone_serial_next(e->z->serial, e->t->now_ms);
	for (size_t i = 0; i < apex.n && err == ERR_OK; i++)
		if (apex.rr[i].type == DNS_SOA)
			e->a.soa = apex.rr[i] = zone_soa_with(e->t->pool, &apex.rr[i], serial);
	e->z->serial = serial;
	e->z->changed_ms = e->t->now_ms;
	return err == ERR_OK ? zone_apex_put(e->t, e->z, &apex) : err;
}

static bool soa_changed(const struct edit *e)
{
	return e->old_soa.ttl != e->a.soa.ttl || zone_rr_cmp(&e->old_soa, &e->a.soa) != 0;
}

static enum ipc_err apply(struct edit *e)
{
	enum ipc_err err = find_soa(e);
	if (err == ERR_OK)
		err = change_names(e);
	if (err != ERR_OK || !(e->step.additions || e->step.deletions || soa_changed(e)))
		return err;
	if (e->z->source == ZONE_SECONDARY && !e->a.soa_raised)
		return zone_say(e->t, ERR_BAD, "the serial of a secondary is its primary's");
	err = check_names(e);
	if (err == ERR_OK)
		err = raise_serial(e);
	if (err == ERR_OK)
		err = zone_save(e->t, e->z);
	return err == ERR_OK ? zone_step_keep(e->t, e->z->id, &e->step, &e->old_soa, &e->a.soa)
			     : err;
}

enum ipc_err zone_edit(struct zone_tx *t, struct zone *z, enum zone_rules rules,
		       const struct row_zone_op *op, uint32_t n, struct zone_result *out)
{
	struct edit e = {.t = t,
			 .z = z,
			 .a = {.pool = t->pool,
			       .rules = rules,
			       .apex = (const uint8_t *)z->name.p,
			       .serial = z->serial}};
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
