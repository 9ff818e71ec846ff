/* MSG_ctl: finds the command that the administrator typed and runs it. See ctl.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "stored/ctl.h"

static const struct ctl_cmd *const TABLE[] = {ctl_dir_commands, ctl_store_commands,
					      ctl_mailbox_commands, ctl_queue_commands,
					      ctl_restore_commands};
enum { TABLES = sizeof(TABLE) / sizeof(TABLE[0]), WORDS_MAX = 4096 };

/* How many of the typed words the row's own words cover; 0: another command. */
static size_t row_matches(const struct ctl_cmd *row, const struct row_word *w, size_t n)
{
	struct slice rest = slice_of(row->words), word;
	size_t i = 0;
	while ((word = slice_word(&rest)).len) {
		if (i == n || !slice_eq(word, w[i].text))
			return 0;
		i++;
	}
	return i;
}

static const struct ctl_cmd *find(const struct row_word *w, size_t n, size_t *used)
{
	const struct ctl_cmd *best = NULL;
	*used = 0;
	for (size_t t = 0; t < TABLES; t++)
		for (const struct ctl_cmd *row = TABLE[t]; row->words; row++) {
			size_t m = row_matches(row, w, n);
			if (m > *used) {
				*used = m;
				best = row;
			}
		}
	return best;
}

/* Nothing matches: names the forms of the noun that was typed, or the nearest noun. */
static const char *unknown(struct pool *pool, const struct row_word *w, size_t n)
{
	struct slice noun = n ? w[0].text : SLICE("");
	const char *typed = pool_strndup(pool, noun.p ? noun.p : "", noun.len < 64 ? noun.len : 64);
	const char *forms = NULL, *near = NULL;
	unsigned best = 3;
	for (size_t t = 0; t < TABLES; t++)
		for (const struct ctl_cmd *row = TABLE[t]; row->words; row++) {
			struct slice rest = slice_of(row->words);
			struct slice first = slice_word(&rest);
			if (slice_eq(first, noun)) {
				forms = pool_printf(pool, "%s%s%s %s", forms ? forms : "",
						    forms ? " | " : "", row->words, row->args);
				continue;
			}
			const char *name = pool_strndup(pool, first.p, first.len);
			unsigned d = str_distance(typed, name, 2);
			if (d < best) {
				best = d;
				near = name;
			}
		}
	if (forms)
		return pool_printf(pool, "usage: %s", forms);
	return near ? pool_printf(pool, "unknown command \"%s\": did you mean \"%s\"?", typed, near)
		    : pool_printf(pool, "unknown command \"%s\"", typed);
}

void ctl_done(struct ctl *c)
{
	struct msg_ctl_reply m = {
	    .cells = c->cells, .cells_n = c->cells_n, .cursor = c->cursor_out, .body = c->body_out};
	int fd = c->body_out.fd; /* the reply takes a descriptor of its own */
	slice_wipe(c->secret);
	request_reply(c->rq, MSG_ctl_reply, &m);
	if (fd > 0)
		close(fd);
}

void ctl_fail(struct ctl *c, enum ipc_err e, const char *text)
{
	slice_wipe(c->secret);
	request_error(c->rq, e, text);
}

void ctl_usage(struct ctl *c)
{
	ctl_fail(c, ERR_BAD,
		 pool_printf(c->pool, "usage: hamletctl %s %s", c->cmd->words, c->cmd->args));
}

void op_ctl(struct request *rq)
{
	const struct msg_ctl *m = rq->msg;
	size_t used;
	const struct ctl_cmd *cmd =
	    m->words_n <= WORDS_MAX ? find(m->words, m->words_n, &used) : NULL;
	if (!cmd) {
		slice_wipe(m->secret);
		request_error(rq, ERR_BAD, unknown(rq->pool, m->words, m->words_n));
		return;
	}
	struct ctl *c = pool_alloc(rq->pool, sizeof(*c));
	*c = (struct ctl){.rq = rq,
			  .pool = rq->pool,
			  .cmd = cmd,
			  .n = m->words_n - used,
			  .secret = m->secret,
			  .cursor = m->cursor,
			  .body_in = &m->body,
			  .cursor_out = SLICE(""),
			  .body_out = BODY_NONE};
	c->arg = pool_alloc(c->pool, (c->n + 1) * sizeof(*c->arg));
	for (size_t i = 0; i < c->n; i++)
		c->arg[i] = m->words[used + i].text;
	if (c->n < cmd->min || c->n > cmd->max)
		ctl_usage(c);
	else if (cmd->needs_secret && c->secret.len == 0)
		ctl_fail(c, ERR_BAD, "a password is needed (a prompt, or --password-stdin)");
	else
		cmd->fn(c);
}

/* --- one operation ------------------------------------------------------- */

static enum ipc_err on_thread(struct base *b, struct op *op)
{
	struct ctl *c = op->arg;
	/* The writer may run an operation a second time, after a full disk: from the start. */
	c->cells_n = c->record = 0;
	c->cursor_out = SLICE("");
	c->text = NULL;
	return c->run(b, c);
}

static void on_loop(struct op *op)
{
	struct ctl *c = op->arg;
	enum ipc_err e = op->err;
	op_free(op);
	if (e != ERR_OK) {
		ctl_fail(c, e, c->text);
		return;
	}
	if (c->after)
		c->after(c);
	ctl_done(c);
}

static void start(struct ctl *c, unsigned base, bool write,
		  enum ipc_err (*run)(struct base *b, struct ctl *c), void (*after)(struct ctl *c))
{
	struct op *op = op_new(0);
	c->run = run;
	c->after = after;
	op->run = on_thread;
	op->done = on_loop;
	op->arg = c;
	if (write ? work_write(base, op) : work_read(base, op))
		return;
	op_free(op);
	ctl_fail(c, ERR_TEMP, "the store is busy");
}

void ctl_read(struct ctl *c, unsigned base, enum ipc_err (*run)(struct base *b, struct ctl *c),
	      void (*after)(struct ctl *c))
{
	start(c, base, false, run, after);
}

void ctl_write(struct ctl *c, unsigned base, enum ipc_err (*run)(struct base *b, struct ctl *c),
	       void (*after)(struct ctl *c))
{
	start(c, base, true, run, after);
}

/* --- cells --------------------------------------------------------------- */

static void cell(struct ctl *c, enum cell_kind kind, const char *name, const char *p, size_t len)
{
	c->cells = pool_grow(c->pool, c->cells, c->cells_n, &c->cells_cap, sizeof(*c->cells));
	c->cells[c->cells_n++] = (struct row_cell){
	    c->record, kind, slice_of(name), {pool_strndup(c->pool, p ? p : "", len), len}};
}

void ctl_text(struct ctl *c, const char *name, struct slice v)
{
	cell(c, CELL_TEXT, name, v.p, v.len);
}

static void number(struct ctl *c, enum cell_kind kind, const char *name, uint64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	cell(c, kind, name, text, (size_t)n);
}

void ctl_number(struct ctl *c, const char *name, uint64_t v)
{
	number(c, CELL_NUMBER, name, v);
}

void ctl_size(struct ctl *c, const char *name, uint64_t v)
{
	number(c, CELL_SIZE, name, v);
}

void ctl_time(struct ctl *c, const char *name, uint64_t ms)
{
	number(c, CELL_TIME, name, ms);
}

void ctl_bool(struct ctl *c, const char *name, bool v)
{
	struct slice s = v ? SLICE("1") : SLICE("0");
	cell(c, CELL_BOOL, name, s.p, s.len);
}

void ctl_next(struct ctl *c)
{
	c->record++;
}

enum ipc_err ctl_err(struct ctl *c, enum ipc_err e, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->text = pool_strdup(c->pool, text);
	return e;
}

bool ctl_pair(struct slice word, struct slice *key, struct slice *value)
{
	const char *eq = word.len ? memchr(word.p, '=', word.len) : NULL;
	if (!eq)
		return false;
	*value = word;
	*key = slice_cut(value, '=');
	return true;
}
