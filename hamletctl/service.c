/* Commands of stored and keyd: the words go there as typed; what comes back is cells, perhaps in
 * several pages, and perhaps a body. */
#include "hamletctl/hamletctl.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/peer.h"
#include "libcommon/ipc/store.h"

/* A backup or a check of a large store takes its time. */
enum {
	TIMEOUT_MS = 600000,
	FILE_MAX_BYTES = 64 << 20,
	PEM_MAX_BYTES = 256 << 10,
	CURSOR_MAX = 1024
};

int service_status(enum ipc_err e)
{
	switch (e) {
	case ERR_LOST:
		return EX_UNAVAILABLE;
	case ERR_TEMP:
	case ERR_INUSE:
	case ERR_DELAY:
	case ERR_FULL:
		return EX_TEMPFAIL;
	case ERR_BAD:
		return EX_USAGE;
	case ERR_DENIED:
		return EX_NOPERM;
	default:
		return EX_DATAERR;
	}
}

static int print_body(const struct body *b)
{
	struct slice bytes;
	if (!body_map(b, &bytes))
		return complain(EX_PROTOCOL, "the body that came cannot be read");
	fflush(stdout);
	int status = io_write(STDOUT_FILENO, bytes)
			 ? 0
			 : complain(EX_IOERR, "cannot write: %s", strerror(errno));
	body_unmap(b, &bytes);
	return status;
}

/* What goes along with the words. False after a line on stderr. */
static bool attach(struct pool *pool, const struct cmd *c, const char *last, struct msg_ctl *m,
		   int *memfd)
{
	if (c->flags & CMD_PASSWORD)
		return secret_password(pool, c->flags & CMD_NEW, &m->secret);
	if (c->flags & CMD_PEM)
		return secret_file(pool, last, PEM_MAX_BYTES, &m->secret);
	if (!(c->flags & CMD_FILE))
		return true;
	struct slice text;
	if (!secret_file(pool, last, FILE_MAX_BYTES, &text))
		return false;
	m->body.bytes = text;
	m->body.size = text.len;
	if (text.len <= IPC_INLINE_BODY)
		return true;
	*memfd = body_memfd("import");
	if (*memfd < 0 || !io_write(*memfd, text)) {
		complain(EX_OSERR, "no memory for the message: %s", strerror(errno));
		return false;
	}
	m->body.bytes = (struct slice){0};
	m->body.fd = *memfd;
	return true;
}

struct answer { /* of all pages; what the cells point at is in the pool */
	struct row_cell *cells;
	size_t n, cap;
};

static void append(struct answer *a, const struct row_cell *cells, size_t n)
{
	if (n == 0)
		return;
	while (a->n + n > a->cap)
		a->cap = a->cap ? 2 * a->cap : 1024;
	a->cells = mem_realloc(a->cells, a->cap * sizeof(*a->cells));
	memcpy(a->cells + a->n, cells, n * sizeof(*cells));
	a->n += n;
}

/* Each page is printed and forgotten; its cursor alone is kept. */
static int converse_pages(struct pool *outer, struct peer_sync *sync, struct msg_ctl *m)
{
	bool first = true;
	char *cursor = pool_alloc(outer, CURSOR_MAX);
	do {
		enum msg_type type;
		int fd = -1;
		struct pool *pool = pool_new(64 << 10);
		const struct msg_ctl_reply *r = peer_sync_call(sync, pool, MSG_ctl, m, &type, &fd);
		if (fd >= 0)
			close(fd);
		if (type != MSG_ctl_reply || r->cursor.len > CURSOR_MAX) {
			struct slice text = SLICE("an answer that is no answer");
			enum ipc_err e = peer_error(type, r, &text);
			int status = complain(service_status(e), "%.*s", SLICE_FMT(text));
			pool_free(&pool);
			return status;
		}
		print_page(r->cells, r->cells_n, first);
		first = first && r->cells_n == 0;
		m->cursor.len = r->cursor.len;
		m->cursor.p = cursor;
		if (r->cursor.len)
			memcpy(cursor, r->cursor.p, r->cursor.len);
		pool_free(&pool);
	} while (m->cursor.len && !ferror(stdout));
	return 0;
}

/* All pages of the answer. */
static int converse(struct pool *pool, struct peer_sync *sync, const struct cmd *c,
		    struct msg_ctl *m)
{
	struct answer all = {0};
	int status = 0;
	do {
		enum msg_type type;
		int fd = -1;
		const struct msg_ctl_reply *r = peer_sync_call(sync, pool, MSG_ctl, m, &type, &fd);
		if (type != MSG_ctl_reply) {
			struct slice text = SLICE("an answer that is no answer");
			enum ipc_err e = peer_error(type, r, &text);
			free(all.cells);
			return complain(service_status(e), "%.*s", SLICE_FMT(text));
		}
		append(&all, r->cells, r->cells_n);
		m->cursor = r->cursor;
		if (c->flags & CMD_BODY) {
			status = print_body(&r->body);
			m->cursor.len = 0;
		}
		if (fd >= 0)
			close(fd);
	} while (m->cursor.len);
	if (all.n > UINT32_MAX)
		status = complain(EX_SOFTWARE, "%s answered with too much", role_name(c->service));
	else if (!(c->flags & CMD_BODY))
		print_cells(all.cells, (uint32_t)all.n, c->shape);
	if (status == 0 && all.n && (c->flags & CMD_FINDINGS))
		status = 1;
	free(all.cells);
	return status;
}

struct peer_sync *service_open(struct pool *pool, enum role service)
{
	const char *why = "";
	const char *folder = service == ROLE_STORED ? "store" : "key";
	const char *path = pool_printf(pool, "%s/%s/ctl.sock", options.run_dir, folder);
	struct peer_sync *sync = peer_sync_open(path, ROLE_CTL, TIMEOUT_MS, &why);
	if (!sync)
		complain(EX_UNAVAILABLE, "%s: %s: %s (is hamlet running?)", role_name(service),
			 path, why);
	return sync;
}

int service_run(const struct cmd *c, int argc, const char *const *argv)
{
	struct pool *pool = pool_new(0);
	struct msg_ctl m = {.body = BODY_NONE};
	int status = EX_IOERR, memfd = -1;
	/* A file's name stays here: its contents go along. */
	int sent = c->flags & (CMD_PEM | CMD_FILE) ? argc - 1 : argc;
	m.words = pool_alloc(pool, (size_t)sent * sizeof(*m.words));
	for (int i = 0; i < sent; i++)
		m.words[m.words_n++].text = slice_of(argv[i]);
	if (attach(pool, c, argv[argc - 1], &m, &memfd)) {
		struct peer_sync *sync = service_open(pool, c->service);
		status = EX_UNAVAILABLE;
		if (sync)
			status = c->flags & CMD_PAGES ? converse_pages(pool, sync, &m)
						      : converse(pool, sync, c, &m);
		peer_sync_close(&sync);
	}
	if (memfd >= 0)
		close(memfd);
	slice_wipe(m.secret);
	pool_free(&pool);
	return status;
}
