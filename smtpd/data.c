/* The body receiver. One automaton reads lines in whatever pieces they come; inside a line it
 * moves by memchr, and octets are copied in long runs that only a stuffed dot interrupts.
 *
 * Lines end in CRLF and the message in CRLF . CRLF, nothing else (RFC 5321 2.3.8, 4.1.1.4). Other
 * line ends spoil the message, which is read to its real end and refused. But a spoiled line end
 * around a lone dot is what some servers take for the end of data, and what follows it for
 * commands: there the connection must end (DATA_LOOKALIKE).
 *
 * Up to an inline body's size the message is in memory, after a gap for the fields that are
 * added; then it goes on in a memory file, through the same buffer. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/mem.h"
#include "libcommon/ipc/store.h"
#include "smtpd/smtpd.h"

enum { FIRST = 8192 - 64, HINT_MAX = 65536, SPILL = IPC_INLINE_BODY };

void data_init(struct data *d, enum data_mode mode, uint64_t max, size_t max_line, uint64_t hint,
	       data_prefix *prefix, void *arg)
{
	*d = (struct data){
	    .mode = mode, .max = max, .max_line = max_line, .fd = -1, .prefix = prefix, .arg = arg};
	/* A little more than SIZE says: clients count it in their own ways. */
	d->cap = hint > FIRST - DATA_HEADROOM - 256 ? hint + DATA_HEADROOM + 256 : FIRST;
	if (d->cap > HINT_MAX)
		d->cap = HINT_MAX;
	d->p = mem_realloc(NULL, d->cap);
	d->len = DATA_HEADROOM;
}

/* Octets of all messages under way that are in memory files. */
static uint64_t held;

uint64_t data_held(void)
{
	return held;
}

static void let_go(struct data *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	held -= d->held;
	d->held = 0;
}

void data_free(struct data *d)
{
	let_go(d);
	free(d->p);
	d->p = NULL;
}

/* --- storing ---------------------------------------------------------------------------- */

static void spoil(struct data *d, enum data_bad why)
{
	if (d->bad == DATA_GOOD)
		d->bad = why;
	let_go(d); /* its sender may take an hour to end it */
}

/* There is room for n octets more of d. One message alone may have all that it needs. */
static bool room_for(const struct data *d, size_t n)
{
	return held == d->held || held + n <= conf.message_memory;
}

/* Places the added fields right before the message; returns where the whole then starts. */
static size_t add_prefix(struct data *d)
{
	struct buf b;
	buf_init(&b, DATA_HEADROOM);
	d->prefix(d->arg, (struct slice){d->p + DATA_HEADROOM, d->len - DATA_HEADROOM}, &b);
	size_t start = DATA_HEADROOM - b.len;
	if (b.len)
		memcpy(d->p + start, b.p, b.len);
	buf_free(&b);
	return start;
}

static bool write_all(struct data *d, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(d->fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			spoil(d, DATA_NO_SPACE);
			return false;
		}
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* The buffer is full: into the memory file with it. */
static void spill(struct data *d)
{
	size_t start = 0;
	if (!room_for(d, d->len)) {
		spoil(d, DATA_NO_SPACE);
		return;
	}
	if (d->fd < 0) {
		start = add_prefix(d);
		d->fd = body_memfd("message");
		if (d->fd < 0) {
			spoil(d, DATA_NO_SPACE);
			return;
		}
	}
	if (write_all(d, d->p + start, d->len - start)) {
		d->held += d->len - start;
		held += d->len - start;
	}
	d->len = 0;
}

static void store(struct data *d, const char *p, size_t n)
{
	d->size += n;
	if (d->size > d->max)
		spoil(d, DATA_TOO_BIG);
	while (n && d->bad == DATA_GOOD) {
		if (d->len == SPILL) {
			spill(d);
			continue;
		}
		if (d->len + n > d->cap && d->cap < SPILL) {
			while (d->cap < d->len + n)
				d->cap *= 2;
			if (d->cap > SPILL)
				d->cap = SPILL;
			d->p = mem_realloc(d->p, d->cap);
		}
		size_t room = SPILL - d->len, here = n < room ? n : room;
		memcpy(d->p + d->len, p, here);
		d->len += here;
		p += here;
		n -= here;
	}
}

/* --- the automaton ------------------------------------------------------------------------ */

struct scan {
	struct data *d;
	const char *p, *end;
	const char *run; /* octets from here to p are still to be stored */
	enum data_result result;
};

/* Ends the run before p and begins the next one at `next`. */
static void cut_run(struct scan *c, const char *next)
{
	if (c->p > c->run)
		store(c->d, c->run, (size_t)(c->p - c->run));
	c->run = next;
}

static void count_line(struct data *d, size_t n)
{
	d->line += n;
	if (d->line > d->max_line)
		spoil(d, DATA_LONG_LINE);
}

/* Inside a line: on to its end, or to the first octet that must not be in it. */
static void mid(struct scan *c)
{
	struct data *d = c->d;
	const char *lf = memchr(c->p, '\n', (size_t)(c->end - c->p));
	const char *to = lf ? lf : c->end;
	const char *cr = memchr(c->p, '\r', (size_t)(to - c->p));
	if (cr)
		to = cr;
	count_line(d, (size_t)(to - c->p));
	c->p = to;
	if (to == c->end)
		return;
	c->p++;
	d->line++;
	if (cr) {
		d->state = DATA_CR;
	} else {
		spoil(d, DATA_BARE_LF);
		d->state = DATA_LOOSE;
		d->line = 0;
	}
}

static void line_done(struct data *d)
{
	count_line(d, 1);
	d->line = 0;
	d->state = DATA_BOL;
}

/* After a CR inside a line. */
static void after_cr(struct scan *c)
{
	struct data *d = c->d;
	if (*c->p == '\n') {
		c->p++;
		line_done(d);
		return;
	}
	/* Bare: to some it ends the line. The next octet is looked at again from there. */
	spoil(d, DATA_BARE_CR);
	d->state = DATA_LOOSE;
}

static bool dots(const struct data *d)
{
	return d->mode == DATA_DOTS;
}

/* The dot at the start of a line was read and not stored. */
static void after_dot(struct scan *c)
{
	struct data *d = c->d;
	if (*c->p == '\r') {
		d->state = DATA_DOT_CR;
		c->p++;
		c->run = c->p;
	} else if (*c->p == '\n') {
		c->result = DATA_LOOKALIKE;
	} else {
		d->state = DATA_MID;
	}
}

static void step(struct scan *c)
{
	struct data *d = c->d;
	switch (d->state) {
	case DATA_BOL:
		if (*c->p == '.' && dots(d)) {
			cut_run(c, c->p + 1);
			c->p++;
			d->state = DATA_DOT;
			return;
		}
		mid(c);
		if (d->state == DATA_BOL)
			d->state = DATA_MID;
		return;
	case DATA_LOOSE: /* spoiled already */
		d->state = DATA_MID;
		if (*c->p == '.' && dots(d)) {
			d->state = DATA_LOOSE_DOT;
			c->p++;
		}
		return;
	case DATA_DOT:
		after_dot(c);
		return;
	case DATA_DOT_CR:
		c->result = *c->p == '\n' ? DATA_END : DATA_LOOKALIKE;
		if (c->result == DATA_END)
			c->p++;
		return;
	case DATA_LOOSE_DOT:
		d->state = DATA_MID;
		if (*c->p == '\r' || *c->p == '\n')
			c->result = DATA_LOOKALIKE;
		return;
	case DATA_MID:
		mid(c);
		return;
	case DATA_CR:
		after_cr(c);
		return;
	}
}

static void look(struct data *d, struct slice in)
{
	if (memchr(in.p, 0, in.len))
		spoil(d, DATA_NUL);
	if (!d->eight && !str_ascii(in))
		d->eight = true;
}

size_t data_feed(struct data *d, struct slice in, enum data_result *result)
{
	*result = DATA_MORE;
	if (!in.len)
		return 0;
	if (d->mode == DATA_BINARY) {
		if (!d->eight && !str_ascii(in))
			d->eight = true;
		store(d, in.p, in.len);
		return in.len;
	}
	struct scan c = {d, in.p, in.p + in.len, in.p, DATA_MORE};
	while (c.p < c.end && c.result == DATA_MORE)
		step(&c);
	/* At the end of data nothing of its line is stored: the run starts behind the CR. */
	if (c.result == DATA_MORE)
		cut_run(&c, c.end);
	size_t used = (size_t)(c.p - in.p);
	look(d, (struct slice){in.p, used});
	*result = c.result;
	return used;
}

bool data_finish(struct data *d, struct body *out)
{
	*out = BODY_NONE;
	if (d->mode == DATA_LINES && d->state == DATA_CR)
		spoil(d, DATA_BARE_CR);
	if (d->bad != DATA_GOOD)
		return false;
	if (d->fd < 0) {
		size_t start = add_prefix(d);
		out->bytes = (struct slice){d->p + start, d->len - start};
		out->size = out->bytes.len;
		return true;
	}
	if (d->len)
		spill(d);
	if (d->bad != DATA_GOOD)
		return false;
	off_t size = lseek(d->fd, 0, SEEK_END);
	lseek(d->fd, 0, SEEK_SET);
	out->fd = d->fd;
	out->size = (uint64_t)size;
	return true;
}
