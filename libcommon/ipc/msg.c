/* Encoding by description: msg.def gives each message's list of field kinds; the offsets in the
 * C struct follow from sizes and alignments, walked in the same order as the compiler lays them
 * out (a unit test compares every message with its copy). */
#include "libcommon/ipc/msg.h"
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>
#include <sys/stat.h>

enum kind { KIND_END, KIND_U32, KIND_U64, KIND_BYTES, KIND_ROWS, KIND_BODY };

struct layout {
	const char *name;
	enum msg_type type; /* MSG_NONE for a row */
	unsigned roles;
	size_t size;
	const unsigned char *kinds; /* up to KIND_END */
	const unsigned char *rows;  /* of each KIND_ROWS: which row it repeats */
};

/* Rows are numbered in the order of msg.def. */
enum row_number {
#define ROW(name, fields) ROW_NUMBER_##name,
#define MSG(name, code, roles, fields)
#include "libcommon/ipc/msg.def"
#undef ROW
#undef MSG
	ROW_NUMBER_COUNT
};

#define U32(f)                      KIND_U32,
#define U64(f)                      KIND_U64,
#define BYTES(f)                    KIND_BYTES,
#define ROWS(r, f)                  KIND_ROWS,
#define BODY(f)                     KIND_BODY,
#define ROW(n, fields)              static const unsigned char row_kinds_##n[] = {fields KIND_END};
#define MSG(n, code, roles, fields) static const unsigned char msg_kinds_##n[] = {fields KIND_END};
#include "libcommon/ipc/msg.def"
#undef U32
#undef U64
#undef BYTES
#undef ROWS
#undef BODY
#undef ROW
#undef MSG

/* Which row each field repeats: 0 for the others. */
#define U32(f)     0,
#define U64(f)     0,
#define BYTES(f)   0,
#define ROWS(r, f) ROW_NUMBER_##r,
#define BODY(f)    0,
#define ROW(n, fields)
#define MSG(n, code, roles, fields) static const unsigned char msg_rows_##n[] = {fields 0};
#include "libcommon/ipc/msg.def"
#undef MSG
#undef ROW
#define MSG(n, code, roles, fields)
#define ROW(n, fields) static const unsigned char row_rows_##n[] = {fields 0};
#include "libcommon/ipc/msg.def"
#undef U32
#undef U64
#undef BYTES
#undef ROWS
#undef BODY
#undef ROW
#undef MSG

#define ROW(n, fields) {#n, MSG_NONE, 0, sizeof(struct row_##n), row_kinds_##n, row_rows_##n},
#define MSG(n, code, roles, fields)
static const struct layout ROW_TABLE[] = {
#include "libcommon/ipc/msg.def"
};
#undef ROW
#undef MSG
#define ROW(n, fields)
#define MSG(n, code, roles, fields) \
	{#n, MSG_##n, roles, sizeof(struct msg_##n), msg_kinds_##n, msg_rows_##n},
static const struct layout MSG_TABLE[] = {
#include "libcommon/ipc/msg.def"
};
#undef ROW
#undef MSG

static const struct {
	size_t size, align, wire; /* wire: the least bytes it takes in a frame */
} FIELD[] = {
    [KIND_U32] = {sizeof(uint32_t), alignof(uint32_t), 4},
    [KIND_U64] = {sizeof(uint64_t), alignof(uint64_t), 8},
    [KIND_BYTES] = {sizeof(struct slice), alignof(struct slice), 4},
    [KIND_ROWS] = {sizeof(void *), alignof(void *), 4},
    [KIND_BODY] = {sizeof(struct body), alignof(struct body), 12},
};

static const char *const ROLE_NAME[] = {
    [ROLE_SMTPD] = "smtpd",   [ROLE_POP3D] = "pop3d", [ROLE_IMAPD] = "imapd", [ROLE_DNSD] = "dnsd",
    [ROLE_PROXYD] = "proxyd", [ROLE_HTTPD] = "httpd", [ROLE_FTPD] = "ftpd",   [ROLE_CTL] = "ctl",
    [ROLE_STORED] = "stored", [ROLE_KEYD] = "keyd",
};
static const char *const ERR_NAME[] = {
    [ERR_OK] = "ok",           [ERR_LOST] = "lost",          [ERR_TEMP] = "temporary",
    [ERR_BAD] = "bad-request", [ERR_DENIED] = "denied",      [ERR_AUTH] = "auth",
    [ERR_GRANT] = "grant",     [ERR_NOTFOUND] = "not-found", [ERR_NOTLOCAL] = "not-local",
    [ERR_EXISTS] = "exists",   [ERR_INUSE] = "in-use",       [ERR_DELAY] = "delay",
    [ERR_QUOTA] = "quota",     [ERR_FULL] = "full",          [ERR_LIMIT] = "limit",
    [ERR_SIZE] = "size",       [ERR_DISABLED] = "disabled",
};

const char *role_name(enum role r)
{
	return r > ROLE_NONE && r < ROLE_COUNT ? ROLE_NAME[r] : NULL;
}

enum role role_by_name(const char *name)
{
	for (int r = ROLE_NONE + 1; r < ROLE_COUNT; r++)
		if (strcmp(ROLE_NAME[r], name) == 0)
			return (enum role)r;
	return ROLE_NONE;
}

const char *ipc_err_name(enum ipc_err e)
{
	return e < ERR_COUNT ? ERR_NAME[e] : "unknown";
}

static const struct layout *layout_of(enum msg_type t)
{
	for (size_t i = 0; i < sizeof(MSG_TABLE) / sizeof(MSG_TABLE[0]); i++)
		if (MSG_TABLE[i].type == t)
			return &MSG_TABLE[i];
	return NULL;
}

const struct msg_info *msg_info(enum msg_type t)
{
	static struct msg_info info[sizeof(MSG_TABLE) / sizeof(MSG_TABLE[0])];
	const struct layout *l = layout_of(t);
	if (!l)
		return NULL;
	struct msg_info *i = &info[l - MSG_TABLE];
	*i = (struct msg_info){l->name, l->type, l->roles, l->size};
	return i;
}

bool msg_secret(enum msg_type t)
{
	return t == MSG_ctl || t == MSG_ctl_reply || t == MSG_auth_start || t == MSG_auth_step ||
	       t == MSG_auth_ok || t == MSG_certs;
}

/* Where the next field of a struct stands; moves *at behind it. */
static size_t place(size_t *at, size_t size, size_t align)
{
	size_t start = (*at + align - 1) / align * align;
	*at = start + size;
	return start;
}

/* The row count stands right behind the pointer to the rows. */
static size_t place_count(size_t *at)
{
	return place(at, sizeof(uint32_t), alignof(uint32_t));
}

/* --- encoding -------------------------------------------------------------------------- */

static void put32(struct buf *out, uint32_t v)
{
	unsigned char b[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16),
			      (unsigned char)(v >> 24)};
	buf_add(out, b, sizeof(b));
}

static void put64(struct buf *out, uint64_t v)
{
	put32(out, (uint32_t)v);
	put32(out, (uint32_t)(v >> 32));
}

static bool put_body(struct buf *out, const struct body *b, int *fd)
{
	bool file = b->fd > 0;
	if (!file && b->bytes.len > IPC_INLINE_BODY)
		return false;
	put32(out, file);
	put64(out, file ? b->size : b->bytes.len);
	if (file)
		*fd = b->fd;
	else
		buf_add_slice(out, b->bytes);
	return true;
}

static bool put_struct(struct buf *out, const struct layout *l, const char *from, int *fd)
{
	size_t at = 0;
	for (size_t i = 0; l->kinds[i] != KIND_END; i++) {
		const char *f =
		    from + place(&at, FIELD[l->kinds[i]].size, FIELD[l->kinds[i]].align);
		const struct slice *s = (const void *)f;
		switch (l->kinds[i]) {
		case KIND_U32:
			put32(out, *(const uint32_t *)(const void *)f);
			break;
		case KIND_U64:
			put64(out, *(const uint64_t *)(const void *)f);
			break;
		case KIND_BYTES:
			if (s->len > IPC_FRAME_MAX)
				return false;
			put32(out, (uint32_t)s->len);
			buf_add_slice(out, *s);
			break;
		case KIND_BODY:
			if (!put_body(out, (const void *)f, fd))
				return false;
			break;
		default: { /* KIND_ROWS */
			const struct layout *row = &ROW_TABLE[l->rows[i]];
			uint32_t n = *(const uint32_t *)(const void *)(from + place_count(&at));
			const char *item = *(const char *const *)(const void *)f;
			put32(out, n);
			for (uint32_t k = 0; k < n; k++, item += row->size)
				if (out->len > IPC_FRAME_MAX || !put_struct(out, row, item, fd))
					return false;
		}
		}
	}
	return true;
}

/* What put_struct() adds. */
static size_t wire_size(const struct layout *l, const char *from)
{
	size_t at = 0, n = 0;
	for (size_t i = 0; l->kinds[i] != KIND_END; i++) {
		const char *f =
		    from + place(&at, FIELD[l->kinds[i]].size, FIELD[l->kinds[i]].align);
		n += FIELD[l->kinds[i]].wire;
		if (l->kinds[i] == KIND_BYTES) {
			n += ((const struct slice *)(const void *)f)->len;
		} else if (l->kinds[i] == KIND_BODY) {
			const struct body *b = (const void *)f;
			n += b->fd > 0 ? 0 : b->bytes.len;
		} else if (l->kinds[i] == KIND_ROWS) {
			const struct layout *row = &ROW_TABLE[l->rows[i]];
			uint32_t rows = *(const uint32_t *)(const void *)(from + place_count(&at));
			const char *item = *(const char *const *)(const void *)f;
			for (; rows > 0 && n <= IPC_FRAME_MAX; rows--, item += row->size)
				n += wire_size(row, item);
		}
	}
	return n;
}

bool msg_encode(struct buf *out, enum msg_type t, uint32_t request, const void *msg, int *fd)
{
	const struct layout *l = layout_of(t);
	size_t start = out->len;
	*fd = -1;
	if (!l)
		return false;
	size_t size = wire_size(l, msg);
	if (size > IPC_FRAME_MAX)
		return false;
	buf_reserve(out, IPC_HEADER + size); /* at once: no copies of what may be large or secret */
	put32(out, 0);
	put32(out, (uint32_t)t); /* u16 code, u16 flags */
	put32(out, request);
	size_t body = out->len;
	bool ok = put_struct(out, l, msg, fd) && !out->failed && out->len - body <= IPC_FRAME_MAX;
	if (!ok) {
		out->len = start;
		return false;
	}
	uint32_t n = (uint32_t)(out->len - body);
	for (int i = 0; i < 4; i++)
		out->p[start + (size_t)i] = (char)(n >> (8 * i));
	out->p[start + 6] = *fd >= 0 ? IPC_FLAG_FD : 0;
	return true;
}

/* --- decoding -------------------------------------------------------------------------- */

struct reader {
	struct pool *pool;
	const unsigned char *p;
	size_t left;
	int fd;
	bool fd_used;
	bool bad;
};

static uint64_t get(struct reader *r, size_t n)
{
	uint64_t v = 0;
	if (r->left < n) {
		r->bad = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)r->p[i] << (8 * i);
	r->p += n;
	r->left -= n;
	return v;
}

static struct slice get_bytes(struct reader *r, uint64_t n)
{
	struct slice s = {(const char *)r->p, n};
	if (n > r->left) {
		r->bad = true;
		return (struct slice){"", 0};
	}
	r->p += n;
	r->left -= n;
	return s;
}

/* A body that its sender could still change, or that ends early, would fault or lie later. */
bool msg_fd_sealed(int fd, uint64_t size)
{
	const int need = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	struct stat st;
	int have = fcntl(fd, F_GET_SEALS);
	return have >= 0 && (have & need) == need && fstat(fd, &st) == 0 &&
	       (uint64_t)st.st_size == size;
}

static void get_body(struct reader *r, struct body *b)
{
	uint64_t kind = get(r, 4);
	b->size = get(r, 8);
	b->fd = -1;
	if (kind == 0 && b->size <= IPC_INLINE_BODY) {
		b->bytes = get_bytes(r, b->size);
	} else if (kind == 1 && r->fd >= 0 && !r->fd_used && b->size <= IPC_BODY_MAX &&
		   msg_fd_sealed(r->fd, b->size)) {
		b->fd = r->fd;
		r->fd_used = true;
	} else {
		r->bad = true;
	}
}

static size_t least_wire(const struct layout *l)
{
	size_t n = 0;
	for (size_t i = 0; l->kinds[i] != KIND_END; i++)
		n += FIELD[l->kinds[i]].wire;
	return n;
}

static void get_struct(struct reader *r, const struct layout *l, char *to)
{
	size_t at = 0;
	for (size_t i = 0; l->kinds[i] != KIND_END && !r->bad; i++) {
		char *f = to + place(&at, FIELD[l->kinds[i]].size, FIELD[l->kinds[i]].align);
		switch (l->kinds[i]) {
		case KIND_U32:
			*(uint32_t *)(void *)f = (uint32_t)get(r, 4);
			break;
		case KIND_U64:
			*(uint64_t *)(void *)f = get(r, 8);
			break;
		case KIND_BYTES:
			*(struct slice *)(void *)f = get_bytes(r, get(r, 4));
			break;
		case KIND_BODY:
			get_body(r, (void *)f);
			break;
		default: { /* KIND_ROWS */
			const struct layout *row = &ROW_TABLE[l->rows[i]];
			uint64_t n = get(r, 4);
			/* A count that the rest of the frame cannot hold costs no memory. */
			if (n > IPC_ROWS_MAX || n * least_wire(row) > r->left) {
				r->bad = true;
				return;
			}
			char *item = pool_alloc(r->pool, n * row->size);
			*(char **)(void *)f = item;
			*(uint32_t *)(void *)(to + place_count(&at)) = (uint32_t)n;
			for (uint64_t k = 0; k < n && !r->bad; k++, item += row->size)
				get_struct(r, row, item);
		}
		}
	}
}

void *msg_decode(struct pool *pool, enum msg_type t, struct slice payload, int fd)
{
	const struct layout *l = layout_of(t);
	if (!l)
		return NULL;
	struct reader r = {pool, (const unsigned char *)payload.p, payload.len, fd, false, false};
	char *msg = pool_alloc(pool, l->size);
	get_struct(&r, l, msg);
	/* A descriptor that no field speaks of is as wrong as bytes behind the end. */
	return r.bad || r.left || (fd >= 0 && !r.fd_used) ? NULL : msg;
}

struct body *msg_body(enum msg_type t, void *msg)
{
	const struct layout *l = layout_of(t);
	size_t at = 0;
	for (size_t i = 0; l && l->kinds[i] != KIND_END; i++) {
		size_t f = place(&at, FIELD[l->kinds[i]].size, FIELD[l->kinds[i]].align);
		if (l->kinds[i] == KIND_BODY)
			return (void *)((char *)msg + f);
		if (l->kinds[i] == KIND_ROWS)
			place_count(&at);
	}
	return NULL;
}
