/* Segment files: appending, reading, and what is looked at when they are opened. */
#include "stored/segment.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "stored/crc.h"
#include "stored/disk.h"
#include "stored/fault.h"

#define FILE_MAGIC   "HAMLETS1"
#define RECORD_MAGIC 0x3152534cu

enum { FILE_HEAD = 16, RECORD_HEAD = 32, ALIGN = 8, CHUNK = 1 << 16 };
/* Files of at least LAID_FROM bytes are laid out LAID at a time: allocating blocks at every append
 * costs a sync of the file system's journal with each of ours. */
enum { LAID = 8 << 20, LAID_FROM = 64 << 20 };

struct head { /* of a record, as it lies in the file: little-endian machines only */
	uint32_t magic;
	uint32_t head_crc; /* of what follows in this struct */
	uint64_t id;
	uint64_t len;
	uint32_t crc;
	uint32_t zero;
};
_Static_assert(sizeof(struct head) == RECORD_HEAD, "record header");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order");

struct segments {
	char *dir;
	int dirfd;
	uint64_t size;    /* a new file after that many bytes */
	uint64_t current; /* the file appended to; 0: none yet */
	int fd;           /* of it; -1: it is to be made */
	uint64_t tail;    /* where the next record goes */
	uint64_t laid;    /* bytes of the file */
	bool dirty;       /* appended since the last sync */
	bool dir_dirty;   /* a file was made since */
};

void segment_name(char out[SEGMENT_NAME], uint64_t segment)
{
	str_fmt(out, SEGMENT_NAME, "%08llu", (unsigned long long)segment);
}

const char *segments_dir(const struct segments *s)
{
	return s->dir;
}

static uint64_t aligned(uint64_t at)
{
	return (at + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t head_crc(const struct head *h)
{
	return crc32c(0, &h->id, sizeof(*h) - offsetof(struct head, id));
}

/* --- opening ----------------------------------------------------------------------------- */

/* True with the header of a record that lies within the file. */
static bool read_head(int fd, uint64_t at, uint64_t file_size, struct head *h)
{
	if (at + RECORD_HEAD > file_size ||
	    pread(fd, h, sizeof(*h), (off_t)at) != (ssize_t)sizeof(*h))
		return false;
	return h->magic == RECORD_MAGIC && h->head_crc == head_crc(h) &&
	       h->len <= file_size - at - RECORD_HEAD;
}

static bool bytes_right(int fd, uint64_t at, const struct head *h)
{
	char *chunk = mem_alloc(CHUNK);
	uint32_t crc = 0;
	uint64_t left = h->len;
	for (uint64_t from = at + RECORD_HEAD; left > 0;) {
		ssize_t n = pread(fd, chunk, left < CHUNK ? left : CHUNK, (off_t)from);
		if (n <= 0)
			break;
		crc = crc32c(crc, chunk, (size_t)n);
		from += (uint64_t)n;
		left -= (uint64_t)n;
	}
	free(chunk);
	return left == 0 && crc == h->crc;
}

static void report(const struct segments *s, enum log_level level, const char *what, uint64_t at,
		   uint64_t bytes)
{
	log_event(level, NULL, what, LS("dir", s->dir), LU("segment", s->current), LU("at", at),
		  LU("bytes", bytes));
}

/* Nothing was written behind the tail: the file was laid out that far. */
static bool untouched(const struct segments *s, uint64_t file_size)
{
	static const char zero[RECORD_HEAD];
	char head[RECORD_HEAD];
	ssize_t n = pread(s->fd, head, sizeof(head), (off_t)s->tail);
	return s->tail >= file_size || (n > 0 && memcmp(head, zero, (size_t)n) == 0);
}

/* Finds the end of the last file. False: a record that the database needs is damaged. */
static bool find_tail(struct segments *s, struct place last, uint64_t last_len, uint64_t file_size)
{
	uint64_t known = 0; /* the database's last record begins here, if it is in this file */
	uint64_t at = FILE_HEAD;
	if (last.segment == s->current) {
		struct head h;
		known = last.at;
		if (!read_head(s->fd, known, file_size, &h) || h.len != last_len ||
		    !bytes_right(s->fd, known, &h)) {
			report(s, LOG_LV_ERROR, "segment-record-damaged", known, last_len);
			return false;
		}
		at = aligned(known + RECORD_HEAD + h.len);
	}
	/* Records behind it, of operations that were never answered: whole ones just stay, as
	 * dead space. */
	struct head h;
	while (read_head(s->fd, at, file_size, &h) && bytes_right(s->fd, at, &h))
		at = aligned(at + RECORD_HEAD + h.len);
	s->tail = at;
	s->laid = file_size;
	if (untouched(s, file_size))
		return true;
	s->laid = at;
	report(s, LOG_LV_WARN, "segment-tail-cut", at, file_size - at);
	if (ftruncate(s->fd, (off_t)at) != 0)
		report(s, LOG_LV_ERROR, "segment-tail-kept", at, file_size - at);
	return true;
}

static bool right_file(int fd, uint64_t segment)
{
	char head[FILE_HEAD];
	uint64_t number;
	if (pread(fd, head, sizeof(head), 0) != FILE_HEAD || memcmp(head, FILE_MAGIC, 8) != 0)
		return false;
	memcpy(&number, head + 8, 8);
	return number == segment;
}

/* Closes the current file; the next append makes a new one. */
static void leave_file(struct segments *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void open_last(struct segments *s, struct place last, uint64_t last_len)
{
	char name[SEGMENT_NAME];
	struct stat st;
	segment_name(name, s->current);
	s->fd = fault_openat(s->dirfd, FAULT_SEG, name, O_RDWR, 0);
	if (s->fd < 0)
		return;
	if (fstat(s->fd, &st) != 0 || !right_file(s->fd, s->current) ||
	    !find_tail(s, last, last_len, (uint64_t)st.st_size))
		leave_file(s);
}

static void remember_last(void *arg, uint64_t segment, uint64_t bytes)
{
	(void)bytes;
	((struct segments *)arg)->current = segment;
}

/* A new folder is to be found again after a loss of power. */
static int open_folder(const char *dir, bool make)
{
	bool made = make && mkdir(dir, 0700) == 0;
	if (make && !made && errno != EEXIST)
		return -1;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int up = made && fd >= 0 ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (made && (up < 0 || fsync(up) != 0) && fd >= 0) {
		close(fd);
		fd = -1;
	}
	if (up >= 0)
		close(up);
	return fd;
}

struct segments *segments_open(const char *dir, uint64_t size, struct place last, uint64_t last_len,
			       bool frozen, const char **why)
{
	static _Thread_local char text[300];
	struct segments *s = mem_alloc(sizeof(*s));
	*s = (struct segments){.dir = mem_strdup(dir), .size = size, .fd = -1};
	s->dirfd = open_folder(dir, !frozen);
	if (s->dirfd < 0 && !(frozen && errno == ENOENT)) {
		str_fmt(text, sizeof(text), "%s: %s", dir, strerror(errno));
		*why = text;
		segments_close(&s);
		return NULL;
	}
	if (frozen)
		return s;
	segments_each(s, remember_last, s);
	if (s->current < last.segment) {
		s->current = last.segment;
		report(s, LOG_LV_ERROR, "segment-missing", last.at, last_len);
	} else if (s->current) {
		open_last(s, last, last_len);
	}
	return s;
}

void segments_close(struct segments **sp)
{
	struct segments *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	leave_file(s);
	if (s->dirfd >= 0)
		close(s->dirfd);
	free(s->dir);
	free(s);
}

/* --- appending --------------------------------------------------------------------------- */

static int begin_file(struct segments *s)
{
	char name[SEGMENT_NAME];
	char head[FILE_HEAD] = FILE_MAGIC;
	uint64_t number = s->current + 1;
	struct iovec iov = {head, sizeof(head)};
	/* Whatever the reason is, even a full disk: a second sync would find nothing to write and
	 * say that all is well. */
	if (s->fd >= 0 && s->dirty && segments_sync(s) != 0)
		return EIO;
	if (s->fd >= 0 && s->laid > s->tail)
		(void)!ftruncate(s->fd, (off_t)s->tail); /* else it keeps some empty space */
	segment_name(name, number);
	int fd = fault_openat(s->dirfd, FAULT_SEG, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return errno;
	memcpy(head + 8, &number, 8);
	if (fault_pwritev(fd, FAULT_SEG, &iov, 1, 0) != 0) {
		int e = errno;
		close(fd);
		unlinkat(s->dirfd, name, 0);
		return e;
	}
	leave_file(s);
	s->fd = fd;
	s->current = number;
	s->tail = s->laid = FILE_HEAD;
	s->dirty = s->dir_dirty = true;
	return 0;
}

static void lay_out(struct segments *s, uint64_t end)
{
	if (s->size < LAID_FROM || end <= s->laid)
		return;
	if (disk_lay_out(s->fd, s->laid, end + LAID - s->laid))
		s->laid = end + LAID;
}

int segments_append(struct segments *s, uint64_t id, struct slice bytes, struct place *out,
		    uint32_t *crc)
{
	if (s->fd < 0 || s->tail >= s->size) {
		int e = begin_file(s);
		if (e)
			return e;
	}
	struct head h = {.magic = RECORD_MAGIC, .id = id, .len = bytes.len};
	h.crc = crc32c(0, bytes.p, bytes.len);
	h.head_crc = head_crc(&h);
	struct iovec iov[2] = {{&h, sizeof(h)}, {(char *)bytes.p, bytes.len}};
	s->dirty = true;
	lay_out(s, s->tail + RECORD_HEAD + bytes.len);
	if (fault_pwritev(s->fd, FAULT_SEG, iov, 2, (off_t)s->tail) != 0)
		return errno;
	*out = (struct place){s->current, s->tail};
	*crc = h.crc;
	s->tail = aligned(s->tail + RECORD_HEAD + bytes.len);
	return 0;
}

struct place segments_mark(const struct segments *s)
{
	return (struct place){s->current, s->tail};
}

void segments_undo(struct segments *s, struct place mark)
{
	if (mark.segment == s->current)
		s->tail = mark.at;
	else if (s->fd >= 0) /* a new file was begun meanwhile: it stays */
		s->tail = FILE_HEAD;
}

int segments_sync(struct segments *s)
{
	if (s->dirty && fault_fdatasync(s->fd, FAULT_SEG) != 0)
		return errno;
	s->dirty = false;
	if (s->dir_dirty && fsync(s->dirfd) != 0)
		return errno;
	s->dir_dirty = false;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

void segments_each(struct segments *s, void (*fn)(void *arg, uint64_t segment, uint64_t bytes),
		   void *arg)
{
	uint64_t *all = NULL;
	size_t n = 0;
	DIR *d = s->dirfd < 0 ? NULL : fdopendir(openat(s->dirfd, ".", O_RDONLY | O_CLOEXEC));
	for (const struct dirent *e; d && (e = readdir(d));) {
		uint64_t number;
		if (!str_u64(slice_of(e->d_name), &number) || number == 0)
			continue;
		if (n % 64 == 0)
			all = mem_realloc(all, (n + 64) * sizeof(*all));
		all[n++] = number;
	}
	if (d)
		closedir(d);
	if (n)
		qsort(all, n, sizeof(*all), by_number);
	for (size_t i = 0; i < n; i++) {
		char name[SEGMENT_NAME];
		struct stat st;
		segment_name(name, all[i]);
		if (fstatat(s->dirfd, name, &st, 0) == 0)
			fn(arg, all[i], (uint64_t)st.st_size);
	}
	free(all);
}

void segments_remove(struct segments *s, uint64_t segment)
{
	char name[SEGMENT_NAME];
	segment_name(name, segment);
	if (segment != s->current)
		unlinkat(s->dirfd, name, 0);
}

/* --- reading ----------------------------------------------------------------------------- */

static bool read_all(int fd, char *out, uint64_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t got = pread(fd, out, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		out += got;
		at += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return true;
}

static enum seg_read read_record(int fd, struct place at, uint64_t id, uint64_t size, uint64_t off,
				 uint64_t len, void *out)
{
	struct head h;
	struct iovec iov[2] = {{&h, sizeof(h)}, {out, len}};
	if (off > 0) {
		bool ok = read_all(fd, out, len, at.at + RECORD_HEAD + off);
		return ok ? SEG_OK : SEG_FAILED;
	}
	ssize_t got = preadv(fd, iov, 2, (off_t)at.at);
	if (got < 0)
		return SEG_FAILED;
	if (got < (ssize_t)sizeof(h) || h.magic != RECORD_MAGIC || h.head_crc != head_crc(&h) ||
	    h.id != id || h.len != size)
		return SEG_BAD;
	uint64_t done = (uint64_t)got - sizeof(h);
	if (done < len && !read_all(fd, (char *)out + done, len - done, at.at + RECORD_HEAD + done))
		return SEG_FAILED;
	if (len == size && crc32c(0, out, len) != h.crc)
		return SEG_BAD;
	return SEG_OK;
}

enum seg_read segments_read(struct segments *s, struct place at, uint64_t id, uint64_t size,
			    uint64_t off, uint64_t len, void *out)
{
	char name[SEGMENT_NAME];
	segment_name(name, at.segment);
	int fd = openat(s->dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == EBADF ? SEG_GONE : SEG_FAILED;
	enum seg_read r = read_record(fd, at, id, size, off, len, out);
	close(fd);
	return r;
}
