/* Commands about mailboxes. An account is looked up in the directory first; the rest runs in its
 * shard. Lists come in pages: the cursor says where the next one begins. */
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"
#include "stored/body.h"
#include "stored/ctl.h"
#include "stored/mail.h"
#include "stored/sql.h"

enum { PAGE = 500, DEPTH_MAX = 32, RESTORE_SLICE = 128 };

struct task { /* c->data */
	struct account account;
	void (*next)(struct ctl *c);
	uint64_t mailbox, after; /* of the page */
	/* mailbox list */
	struct owner {
		uint64_t account, bytes, messages;
	} owner[PAGE];
	size_t owners;
	unsigned shard;
	/* restore, import */
	uint64_t *uid;
	size_t n, at, restored;
	size_t slice_at, slice_n; /* where the slice began, how many it restored */
	uint64_t slice_after;
	struct change change;
	struct delivery delivery;
	struct drop drop;
	enum ipc_err err;
};

static struct task *task_of(struct ctl *c)
{
	if (!c->data)
		c->data = pool_alloc(c->pool, sizeof(struct task));
	return c->data;
}

static bool start(struct ctl *c, unsigned base, bool write,
		  enum ipc_err (*run)(struct base *b, struct op *op), void (*done)(struct op *op))
{
	struct op *op = op_new(0);
	op->run = run;
	op->done = done;
	op->arg = c;
	if (write ? work_write(base, op) : work_read(base, op))
		return true;
	op_free(op);
	ctl_fail(c, ERR_TEMP, "the store is busy");
	return false;
}

/* --- the account that the first word names ------------------------------- */

static enum ipc_err account_run(struct base *b, struct op *op)
{
	struct ctl *c = op->arg;
	struct task *t = c->data;
	enum ipc_err e = dir_account_by_address(b, c->pool, c->arg[0], &t->account);
	return e == ERR_NOTFOUND ? ctl_err(c, e, "no account %.*s", SLICE_FMT(c->arg[0])) : e;
}

static void account_done(struct op *op)
{
	struct ctl *c = op->arg;
	struct task *t = c->data;
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_OK)
		t->next(c);
	else
		ctl_fail(c, e, c->text ? c->text : "");
}

static void with_account(struct ctl *c, void (*next)(struct ctl *c))
{
	task_of(c)->next = next;
	start(c, WORK_DIRECTORY, false, account_run, account_done);
}

/* --- the tree ------------------------------------------------------------ */

struct box {
	uint64_t id, parent, special, uidvalidity, uidnext, messages, unseen, bytes;
	struct slice name;
};
struct tree {
	struct box *box;
	size_t n;
};

static enum ipc_err load_tree(struct base *b, struct pool *pool, uint64_t account, struct tree *t)
{
	size_t cap = 0;
	enum db_result r;
	db_start(b->db, SQL_SHARD_MAILBOXES);
	db_u64(b->db, account);
	while ((r = db_step(b->db)) == DB_ROW) {
		t->box = pool_grow(pool, t->box, t->n, &cap, sizeof(*t->box));
		struct slice name = db_col(b->db, 2);
		t->box[t->n++] = (struct box){
		    .id = db_col_u64(b->db, 0),
		    .parent = db_col_u64(b->db, 1),
		    .name = {pool_strndup(pool, name.p ? name.p : "", name.len), name.len},
		    .special = db_col_u64(b->db, 3),
		    .uidvalidity = db_col_u64(b->db, 4),
		    .uidnext = db_col_u64(b->db, 5),
		    .messages = db_col_u64(b->db, 7),
		    .unseen = db_col_u64(b->db, 8),
		    .bytes = db_col_u64(b->db, 9)};
	}
	db_reset(b->db);
	return r == DB_DONE ? ERR_OK : work_err(b, r);
}

static const struct box *box_by_id(const struct tree *t, uint64_t id)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->box[i].id == id)
			return &t->box[i];
	return NULL;
}

/* "Parent/Child" */
static struct slice path_of(struct pool *pool, const struct tree *t, const struct box *x)
{
	struct slice path = x->name;
	for (int depth = 0; x->parent && depth < DEPTH_MAX; depth++) {
		x = box_by_id(t, x->parent);
		if (!x)
			break;
		path =
		    slice_of(pool_printf(pool, "%.*s/%.*s", SLICE_FMT(x->name), SLICE_FMT(path)));
	}
	return path;
}

/* ERR_NOTFOUND with text. The name "" is the INBOX; an account without mail has none yet. */
static enum ipc_err find_box(struct base *b, struct ctl *c, struct slice name, uint64_t *id)
{
	struct task *t = c->data;
	struct tree tree = {0};
	enum ipc_err e = load_tree(b, c->pool, t->account.id, &tree);
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < tree.n; i++) {
		bool inbox = tree.box[i].special == MAILBOX_INBOX;
		if (name.len == 0 || slice_ieqs(name, "INBOX")
			? inbox
			: slice_eq(path_of(c->pool, &tree, &tree.box[i]), name)) {
			*id = tree.box[i].id;
			return ERR_OK;
		}
	}
	*id = 0;
	if (name.len == 0)
		return ERR_OK;
	return ctl_err(c, ERR_NOTFOUND, "no mailbox %.*s", SLICE_FMT(name));
}

/* --- mailbox list -------------------------------------------------------- */

static const char *const SPECIAL[] = {"", "inbox", "drafts", "sent", "trash", "junk", "archive"};

static enum ipc_err tree_run(struct base *b, struct ctl *c)
{
	struct task *t = c->data;
	struct tree tree = {0};
	enum ipc_err e = load_tree(b, c->pool, t->account.id, &tree);
	for (size_t i = 0; i < tree.n && e == ERR_OK; i++) {
		const struct box *x = &tree.box[i];
		ctl_text(c, "mailbox", path_of(c->pool, &tree, x));
		ctl_number(c, "messages", x->messages);
		ctl_number(c, "unseen", x->unseen);
		ctl_size(c, "size", x->bytes);
		ctl_text(c, "use",
			 slice_of(x->special < sizeof(SPECIAL) / sizeof(SPECIAL[0])
				      ? SPECIAL[x->special]
				      : ""));
		ctl_number(c, "uidvalidity", x->uidvalidity);
		ctl_number(c, "uidnext", x->uidnext);
		ctl_next(c);
	}
	return e;
}

static void list_tree(struct ctl *c)
{
	ctl_read(c, task_of(c)->account.shard, tree_run, NULL);
}

static enum ipc_err owners_run(struct base *b, struct op *op)
{
	struct ctl *c = op->arg;
	struct task *t = c->data;
	enum db_result r = DB_DONE;
	db_start(b->db, SQL_SHARD_OWNERS);
	db_u64(b->db, t->after);
	db_u64(b->db, PAGE);
	t->owners = 0;
	while (t->owners < PAGE && (r = db_step(b->db)) == DB_ROW)
		t->owner[t->owners++] = (struct owner){db_col_u64(b->db, 0), db_col_u64(b->db, 2),
						       db_col_u64(b->db, 3)};
	db_reset(b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err names_run(struct base *b, struct ctl *c)
{
	struct task *t = c->data;
	for (size_t i = 0; i < t->owners; i++) {
		struct account a = {0};
		enum ipc_err e = dir_account_by_id(b, c->pool, t->owner[i].account, &a);
		if (e != ERR_OK && e != ERR_NOTFOUND)
			return e;
		ctl_text(c, "account",
			 e == ERR_OK
			     ? a.address
			     : slice_of(pool_printf(c->pool, "(deleted %llu)",
						    (unsigned long long)t->owner[i].account)));
		ctl_number(c, "messages", t->owner[i].messages);
		ctl_size(c, "size", t->owner[i].bytes);
		ctl_size(c, "quota", a.quota);
		ctl_number(c, "shard", t->shard);
		ctl_next(c);
	}
	if (t->owners == PAGE)
		c->cursor_out =
		    slice_of(pool_printf(c->pool, "%u %llu", t->shard,
					 (unsigned long long)t->owner[t->owners - 1].account));
	else if (t->shard < work_shards())
		c->cursor_out = slice_of(pool_printf(c->pool, "%u 0", t->shard + 1));
	return ERR_OK;
}

static void owners_done(struct op *op)
{
	struct ctl *c = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e == ERR_OK)
		ctl_read(c, WORK_DIRECTORY, names_run, NULL);
	else
		ctl_fail(c, e, "");
}

/* Two numbers, both optional. */
static bool cursor(struct ctl *c, uint64_t *a, uint64_t *b)
{
	struct slice rest = c->cursor;
	struct slice x = slice_word(&rest), y = slice_word(&rest);
	if ((x.len == 0 || str_u64(x, a)) && (y.len == 0 || str_u64(y, b)) && *a <= INT64_MAX &&
	    *b <= INT64_MAX)
		return true;
	ctl_fail(c, ERR_BAD, "not a cursor of this command");
	return false;
}

static void mailbox_list(struct ctl *c)
{
	uint64_t shard = 1;
	struct task *t = task_of(c);
	if (c->n) {
		with_account(c, list_tree);
		return;
	}
	if (!cursor(c, &shard, &t->after))
		return;
	if (shard == 0 || shard > work_shards()) {
		ctl_fail(c, ERR_BAD, "not a cursor of this command");
		return;
	}
	t->shard = (unsigned)shard;
	start(c, t->shard, false, owners_run, owners_done);
}

/* --- mailbox show, expunged ---------------------------------------------- */

static void flags_cell(struct ctl *c, uint64_t flags)
{
	static const char *const NAME[] = {"seen", "answered", "flagged", "deleted", "draft"};
	const char *text = "";
	for (unsigned i = 0; i < 5; i++)
		if (flags >> i & 1)
			text = pool_printf(c->pool, "%s%s%s", text, text[0] ? " " : "", NAME[i]);
	ctl_text(c, "flags", slice_of(text));
}

static enum ipc_err show_run(struct base *b, struct ctl *c)
{
	struct task *t = c->data;
	enum ipc_err e = find_box(b, c, c->n > 1 ? c->arg[1] : SLICE(""), &t->mailbox);
	if (e != ERR_OK || t->mailbox == 0)
		return e;
	enum db_result r = DB_DONE;
	unsigned n = 0;
	db_start(b->db, SQL_SHARD_MESSAGES);
	db_u64(b->db, t->mailbox);
	db_u64(b->db, t->after);
	db_u64(b->db, PAGE);
	while (n < PAGE && (r = db_step(b->db)) == DB_ROW) {
		n++;
		t->after = db_col_u64(b->db, 0);
		ctl_number(c, "uid", t->after);
		ctl_size(c, "size", db_col_u64(b->db, 1));
		ctl_time(c, "received", db_col_u64(b->db, 3));
		flags_cell(c, db_col_u64(b->db, 2));
		if (db_col_u64(b->db, 5))
			ctl_time(c, "retrieved", db_col_u64(b->db, 5));
		else
			ctl_text(c, "retrieved", SLICE(""));
		ctl_next(c);
	}
	db_reset(b->db);
	if (n == PAGE)
		c->cursor_out =
		    slice_of(pool_printf(c->pool, "%llu", (unsigned long long)t->after));
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static void show_known(struct ctl *c)
{
	ctl_read(c, task_of(c)->account.shard, show_run, NULL);
}

static void mailbox_show(struct ctl *c)
{
	uint64_t unused = 0;
	if (cursor(c, &task_of(c)->after, &unused))
		with_account(c, show_known);
}

static enum ipc_err expunged_run(struct base *b, struct ctl *c)
{
	struct task *t = c->data;
	struct tree tree = {0};
	enum ipc_err e = load_tree(b, c->pool, t->account.id, &tree);
	unsigned n = 0;
	for (size_t i = 0; i < tree.n && e == ERR_OK && n < PAGE; i++) {
		const struct box *x = &tree.box[i];
		if (i < t->mailbox) /* pages before this one */
			continue;
		enum db_result r = DB_DONE;
		db_start(b->db, SQL_SHARD_EXPUNGED);
		db_u64(b->db, x->id);
		db_u64(b->db, t->after);
		db_u64(b->db, PAGE);
		while (n < PAGE && (r = db_step(b->db)) == DB_ROW) {
			n++;
			t->after = db_col_u64(b->db, 0);
			ctl_text(c, "mailbox", path_of(c->pool, &tree, x));
			ctl_number(c, "uid", t->after);
			ctl_size(c, "size", db_col_u64(b->db, 1));
			ctl_time(c, "received", db_col_u64(b->db, 2));
			ctl_time(c, "expunged", db_col_u64(b->db, 3));
			ctl_time(c, "kept-until", db_col_u64(b->db, 3) + conf.expunged_keep);
			ctl_next(c);
		}
		db_reset(b->db);
		if (n == PAGE)
			c->cursor_out = slice_of(
			    pool_printf(c->pool, "%zu %llu", i, (unsigned long long)t->after));
		t->after = 0;
		e = r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
	}
	return e;
}

static void expunged_known(struct ctl *c)
{
	ctl_read(c, task_of(c)->account.shard, expunged_run, NULL);
}

static void mailbox_expunged(struct ctl *c)
{
	struct task *t = task_of(c);
	if (cursor(c, &t->mailbox, &t->after))
		with_account(c, expunged_known);
}

/* --- mailbox restore ----------------------------------------------------- */

static void restore_slice(struct ctl *c);

/* Without UIDs: the next ones of all that can be restored. */
static enum ipc_err next_expunged(struct base *b, struct task *t)
{
	enum db_result r = DB_DONE;
	t->n = t->at = 0;
	db_start(b->db, SQL_SHARD_EXPUNGED);
	db_u64(b->db, t->mailbox);
	db_u64(b->db, t->after);
	db_u64(b->db, RESTORE_SLICE);
	while (t->n < RESTORE_SLICE && (r = db_step(b->db)) == DB_ROW)
		t->uid[t->n++] = t->after = db_col_u64(b->db, 0);
	db_reset(b->db);
	return r == DB_ROW || r == DB_DONE ? ERR_OK : work_err(b, r);
}

static enum ipc_err restore_run(struct base *b, struct op *op)
{
	struct ctl *c = op->arg;
	struct task *t = c->data;
	t->at = t->slice_at;
	t->after = t->slice_after;
	t->slice_n = 0;
	enum ipc_err e = find_box(b, c, SLICE(""), &t->mailbox);
	if (e != ERR_OK || (c->n == 1 && (e = next_expunged(b, t)) != ERR_OK))
		return e;
	size_t end = t->n - t->at < RESTORE_SLICE ? t->n : t->at + RESTORE_SLICE;
	for (; t->at < end; t->at++) {
		uint64_t again;
		e = mailbox_restore(b, t->account.id, t->mailbox, t->uid[t->at], &again,
				    &t->change);
		if (e == ERR_NOTFOUND)
			return ctl_err(c, e, "no expunged message has UID %llu",
				       (unsigned long long)t->uid[t->at]);
		if (e != ERR_OK)
			return e;
		t->slice_n++;
	}
	return ERR_OK;
}

static void restore_done(struct op *op)
{
	struct ctl *c = op->arg;
	struct task *t = c->data;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK) {
		ctl_fail(c, e, c->text ? c->text : "");
		return;
	}
	change_notify(&t->change);
	t->restored += t->slice_n;
	if (c->n == 1 ? t->n == RESTORE_SLICE : t->at < t->n) {
		restore_slice(c);
		return;
	}
	ctl_number(c, "restored", t->restored);
	ctl_done(c);
}

static void restore_slice(struct ctl *c)
{
	struct task *t = task_of(c);
	t->slice_at = t->at;
	t->slice_after = t->after;
	start(c, t->account.shard, true, restore_run, restore_done);
}

/* The UIDs of the words from `first` on; false: answered. */
static bool uids(struct ctl *c, size_t first)
{
	struct task *t = task_of(c);
	size_t n = c->n > RESTORE_SLICE ? c->n : RESTORE_SLICE;
	t->uid = pool_alloc(c->pool, n * sizeof(*t->uid));
	for (size_t i = first; i < c->n; i++)
		if (!str_u64(c->arg[i], &t->uid[t->n++]) || t->uid[t->n - 1] > UINT32_MAX) {
			ctl_usage(c);
			return false;
		}
	return true;
}

static void mailbox_restore_cmd(struct ctl *c)
{
	if (uids(c, 1))
		with_account(c, restore_slice);
}

/* --- mailbox export, import ---------------------------------------------- */

static enum ipc_err export_run(struct base *b, struct ctl *c)
{
	struct task *t = c->data;
	uint64_t body, size;
	enum ipc_err e = find_box(b, c, SLICE(""), &t->mailbox);
	if (e == ERR_OK)
		e = mailbox_message(b, t->account.id, t->mailbox, t->uid[0], &body, &size);
	if (e == ERR_NOTFOUND)
		return ctl_err(c, e, "no message has UID %llu", (unsigned long long)t->uid[0]);
	return e == ERR_OK ? body_read(b, c->pool, body, 0, 0, &c->body_out, &size) : e;
}

static void export_known(struct ctl *c)
{
	ctl_read(c, task_of(c)->account.shard, export_run, NULL);
}

static void mailbox_export(struct ctl *c)
{
	if (uids(c, 1))
		with_account(c, export_known);
}

static void import_done(struct delivery *d, enum ipc_err e, void *arg)
{
	struct ctl *c = arg;
	if (e != ERR_OK) {
		ctl_fail(c, e, e == ERR_QUOTA ? "the mailbox is full" : "");
		return;
	}
	ctl_text(c, "id", d->id);
	ctl_number(c, "uid", d->drop->uid);
	ctl_done(c);
}

static void import_known(struct ctl *c)
{
	struct task *t = c->data;
	char *id = pool_alloc(c->pool, ID_LEN + 1);
	id_new(id);
	t->drop = (struct drop){.account = t->account.id, .quota = t->account.quota};
	t->delivery =
	    (struct delivery){.id = slice_of(id),
			      .body = *c->body_in,
			      .size = c->body_in->fd > 0 ? c->body_in->size : c->body_in->bytes.len,
			      .now_ms = clock_ms(),
			      .drop = &t->drop,
			      .n = 1,
			      .one_fate = true};
	deliver_start(t->account.shard, &t->delivery, import_done, c);
}

static void mailbox_import(struct ctl *c)
{
	if (c->body_in->fd > 0 || c->body_in->bytes.len)
		with_account(c, import_known);
	else
		ctl_fail(c, ERR_BAD, "no message came along");
}

const struct ctl_cmd ctl_mailbox_commands[] = {
    {.words = "mailbox list", .args = "[ACCOUNT]", .max = 1, .fn = mailbox_list},
    {.words = "mailbox show", .args = "ACCOUNT [MAILBOX]", .min = 1, .max = 2, .fn = mailbox_show},
    {.words = "mailbox expunged", .args = "ACCOUNT", .min = 1, .max = 1, .fn = mailbox_expunged},
    {.words = "mailbox restore",
     .args = "ACCOUNT [UID...]",
     .min = 1,
     .max = 4096,
     .fn = mailbox_restore_cmd},
    {.words = "mailbox export", .args = "ACCOUNT UID", .min = 2, .max = 2, .fn = mailbox_export},
    {.words = "mailbox import", .args = "ACCOUNT", .min = 1, .max = 1, .fn = mailbox_import},
    {0},
};
