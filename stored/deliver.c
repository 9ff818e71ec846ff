/* Delivery into a shard: body, metadata, UIDs and quota in the writer's one transaction. */
#include "stored/body.h"
#include "stored/mail.h"
#include "stored/sql.h"

#define QUOTA_NONE ((uint64_t)INT64_MAX)

struct slice deliver_token(unsigned char out[TOKEN_MAX], struct slice id, uint64_t account)
{
	memcpy(out, id.p, id.len);
	for (unsigned i = 0; i < 8; i++)
		out[id.len + i] = (unsigned char)(account >> (56 - 8 * i));
	return (struct slice){(const char *)out, id.len + 8};
}

static enum ipc_err look_before(struct base *b, const struct delivery *d, struct drop *p)
{
	unsigned char token[TOKEN_MAX];
	db_start(b->db, SQL_SHARD_TOKEN);
	db_bytes(b->db, deliver_token(token, d->id, p->account));
	enum db_result r = db_step(b->db);
	p->before = r == DB_ROW;
	p->charged = false; /* of the first attempt, which was undone */
	p->err = ERR_OK;
	db_reset(b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum db_result charge_once(struct base *b, const struct delivery *d, struct drop *p)
{
	db_start(b->db, SQL_SHARD_CHARGE);
	db_u64(b->db, d->size);
	db_u64(b->db, p->account);
	db_u64(b->db, p->quota ? p->quota - d->size : QUOTA_NONE);
	enum db_result r = db_step(b->db);
	if (r == DB_ROW) {
		p->inbox = db_col_u64(b->db, 0);
		p->charged = true;
	}
	db_reset(b->db);
	return r;
}

/* Counts the message in the account's quota, and finds its INBOX in the same statement. */
static enum ipc_err charge(struct base *b, const struct delivery *d, struct drop *p)
{
	p->err = ERR_OK;
	p->charged = false;
	if (p->quota && d->size > p->quota) {
		p->err = ERR_QUOTA;
		return ERR_OK;
	}
	enum db_result r = charge_once(b, d, p);
	if (r == DB_DONE) {
		db_start(b->db, SQL_SHARD_OWNER);
		db_u64(b->db, p->account);
		r = db_step(b->db);
		db_reset(b->db);
		if (r == DB_ROW) {
			p->err = ERR_QUOTA;
			return ERR_OK;
		}
		if (r == DB_DONE) {
			enum ipc_err e = mailbox_inbox(b, p->account, &p->inbox);
			if (e != ERR_OK)
				return e;
			r = charge_once(b, d, p);
		}
	}
	return r == DB_ROW ? ERR_OK : r == DB_DONE ? ERR_TEMP : work_err(b, r);
}

static enum ipc_err uncharge(struct base *b, const struct delivery *d, struct drop *p)
{
	p->charged = false;
	db_start(b->db, SQL_SHARD_OWNER_ADJUST);
	db_u64(b->db, d->size);
	db_u64(b->db, 1);
	db_u64(b->db, p->account);
	enum db_result r = db_run(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

/* A recipient with a failed drop gets none of its drops, but for those that others need. */
static enum ipc_err settle_groups(struct base *b, struct delivery *d)
{
	for (size_t i = 0; i < d->n; i++)
		d->drop[i].n = 0; /* recipients that want it */
	for (size_t g = 0; g < d->groups; g++) {
		struct drop_group *gr = &d->group[g];
		gr->err = ERR_OK;
		for (size_t k = 0; k < gr->n; k++)
			if (d->drop[gr->drop[k]].err != ERR_OK)
				gr->err = d->drop[gr->drop[k]].err;
		for (size_t k = 0; k < gr->n && gr->err == ERR_OK; k++)
			d->drop[gr->drop[k]].n++;
	}
	for (size_t i = 0; i < d->n; i++) {
		if (!d->drop[i].charged || d->drop[i].n)
			continue;
		enum ipc_err e = uncharge(b, d, &d->drop[i]);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static enum ipc_err place(struct base *b, const struct delivery *d, struct drop *p, uint64_t body)
{
	db_start(b->db, SQL_SHARD_NEXT_UID);
	db_u64(b->db, d->flags & FLAG_SEEN ? 0 : 1);
	db_u64(b->db, d->size);
	db_u64(b->db, p->inbox);
	enum db_result r = db_step(b->db);
	if (r != DB_ROW)
		return r == DB_DONE ? ERR_TEMP : work_err(b, r);
	p->uid = db_col_u64(b->db, 0) - 1;
	p->change = (struct change){mailbox_global(b->shard, p->inbox), db_col_u64(b->db, 1)};
	unsigned char token[TOKEN_MAX];
	db_start(b->db, SQL_SHARD_MESSAGE_ADD);
	db_u64(b->db, p->inbox);
	db_u64(b->db, p->uid);
	db_u64(b->db, p->change.modseq);
	db_u64(b->db, d->flags);
	db_u64(b->db, d->size);
	db_u64(b->db, d->internal_ms ? d->internal_ms : d->now_ms);
	db_u64(b->db, d->now_ms);
	db_u64(b->db, body);
	db_bytes(b->db, deliver_token(token, d->id, p->account));
	r = db_run(b->db);
	if (r == DB_CONFLICT)
		return ERR_EXISTS;
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err store_body(struct base *b, const struct delivery *d, unsigned refs,
			       uint64_t *id)
{
	enum ipc_err e = body_put(b, &d->body, refs, id);
	if (e != ERR_OK || d->meta.len == 0)
		return e;
	db_start(b->db, SQL_SHARD_META_ADD);
	db_u64(b->db, *id);
	db_bytes(b->db, d->meta);
	enum db_result r = db_run(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

enum ipc_err deliver_run(struct base *b, struct delivery *d)
{
	enum ipc_err e = ERR_OK;
	for (size_t i = 0; i < d->n; i++) {
		struct drop *p = &d->drop[i];
		if (d->careful && (e = look_before(b, d, p)) != ERR_OK)
			return e;
		if (!p->before && (e = charge(b, d, p)) != ERR_OK)
			return e;
		if (p->err != ERR_OK && d->one_fate)
			return p->err;
	}
	if (d->group && (e = settle_groups(b, d)) != ERR_OK)
		return e;
	unsigned refs = 0;
	for (size_t i = 0; i < d->n; i++)
		refs += d->drop[i].charged;
	if (refs == 0)
		return ERR_OK;
	uint64_t body;
	e = store_body(b, d, refs, &body);
	for (size_t i = 0; i < d->n && e == ERR_OK; i++)
		if (d->drop[i].charged)
			e = place(b, d, &d->drop[i], body);
	return e;
}

/* --- on the loop's thread ------------------------------------------------ */

struct started {
	struct op op;
	struct delivery *d;
	unsigned shard;
	void (*done)(struct delivery *d, enum ipc_err e, void *arg);
	void *arg;
};

static enum ipc_err run(struct base *b, struct op *op)
{
	return deliver_run(b, ((struct started *)op)->d);
}

static void on_loop(struct op *op)
{
	struct started s = *(struct started *)op;
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_EXISTS && !s.d->careful) {
		s.d->careful = true;
		deliver_start(s.shard, s.d, s.done, s.arg);
		return;
	}
	for (size_t i = 0; i < s.d->n && e == ERR_OK; i++)
		if (s.d->drop[i].charged)
			change_notify(&s.d->drop[i].change);
	s.done(s.d, e, s.arg);
}

void deliver_start(unsigned shard, struct delivery *d,
		   void (*done)(struct delivery *d, enum ipc_err e, void *arg), void *arg)
{
	struct started *s = (struct started *)op_new(sizeof(*s));
	s->op.run = run;
	s->op.done = on_loop;
	s->d = d;
	s->shard = shard;
	s->done = done;
	s->arg = arg;
	if (work_write(shard, &s->op))
		return;
	op_free(&s->op);
	done(d, ERR_TEMP, arg);
}
