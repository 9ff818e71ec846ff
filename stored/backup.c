/* Backups: the files of a store copied, described, compared and put back. */
#include "stored/backup.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "stored/body.h"
#include "stored/crc.h"
#include "stored/segment.h"

enum { CHUNK = 256 << 10, NAME_MAX_LEN = 64, MANIFEST_MAX = 16 << 20 };
#define MANIFEST "manifest"
#define MARK     "RESTORED" /* in a staged store, until it has taken its place */

const char *backup_store(const char *state_dir)
{
	static char path[1024];
	str_fmt(path, sizeof(path), "%s/store", state_dir);
	return path;
}

/* Letters, digits, ".", "-", "_"; not starting with a dot. */
static bool backup_name_ok(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = str_lower(name.p[i]);
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr(".-_", c))
			return false;
	}
	return name.len > 0 && name.len <= NAME_MAX_LEN && name.p[0] != '.';
}

/* --- files ------------------------------------------------------------------------------- */

static bool failed(struct pool *pool, const char **why, const char *path)
{
	*why = pool_printf(pool, "%s: %s", path, strerror(errno));
	return false;
}

static bool sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Removes a folder and the folders in it: two levels, as a store has them. */
static void remove_tree(const char *path, int depth)
{
	DIR *d = opendir(path);
	for (const struct dirent *e; d && (e = readdir(d));) {
		char sub[1024];
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    !str_fmt(sub, sizeof(sub), "%s/%s", path, e->d_name))
			continue;
		if (unlink(sub) != 0 && depth > 0)
			remove_tree(sub, depth - 1);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

struct copied {
	uint64_t size;
	uint32_t crc;
};

static bool copy_bytes(int in, int out, char *chunk, struct copied *c)
{
	ssize_t n;
	while ((n = read(in, chunk, CHUNK)) > 0) {
		c->crc = crc32c(c->crc, chunk, (size_t)n);
		c->size += (uint64_t)n;
		for (ssize_t done = 0, w; out >= 0 && done < n; done += w) {
			w = write(out, chunk + done, (size_t)(n - done));
			if (w < 0)
				return false;
		}
	}
	return n == 0 && (out < 0 || fsync(out) == 0);
}

/* Copies a file, or only reads it when `to` is NULL. False with errno. */
static bool copy_file(const char *from, const char *to, struct copied *c)
{
	*c = (struct copied){0};
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = -1;
	if (in < 0)
		return false;
	if (to)
		out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *chunk = mem_alloc(CHUNK);
	bool ok = (!to || out >= 0) && copy_bytes(in, out, chunk, c);
	int e = errno;
	free(chunk);
	if (out >= 0)
		close(out);
	close(in);
	errno = e;
	return ok;
}

/* --- the manifest ------------------------------------------------------------------------ */

static void manifest_file(struct buf *m, const char *name, const struct copied *c)
{
	buf_printf(m, "file %s %llu %08x\n", name, (unsigned long long)c->size, c->crc);
}

static bool manifest_write(struct pool *pool, const char *dir, struct buf *m, const char **why)
{
	buf_printf(m, "end %08x\n", crc32c(0, m->p, m->len));
	const char *path = pool_printf(pool, "%s/" MANIFEST, dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0)
		errno = EFBIG; /* over the limit (readers have the same), or written in part */
	bool ok =
	    !m->failed && fd >= 0 && write(fd, m->p, m->len) == (ssize_t)m->len && fsync(fd) == 0;
	if (!ok)
		failed(pool, why, path);
	if (fd >= 0)
		close(fd);
	return ok;
}

struct manifest_file {
	const char *name;
	struct copied want;
};
struct manifest {
	struct backup_info info;
	struct manifest_file *file;
};

static bool parse_file(struct pool *pool, struct slice line, struct manifest *m)
{
	struct slice name = slice_word(&line);
	struct slice size = slice_word(&line);
	struct slice crc = slice_word(&line);
	struct manifest_file *f = &m->file[m->info.files++];
	char *end;
	f->name = pool_strndup(pool, name.p, name.len);
	f->want.crc = (uint32_t)strtoul(pool_strndup(pool, crc.p, crc.len), &end, 16);
	bool ok = str_u64(size, &f->want.size) && crc.len == 8 && *end == '\0';
	m->info.bytes += f->want.size;
	/* Names are ours: one folder deep, nothing that leads elsewhere. */
	return ok && name.len > 0 && name.p[0] != '/' && !strstr(f->name, "..");
}

static bool parse_manifest(struct pool *pool, struct slice text, struct manifest *m)
{
	struct slice rest = text;
	size_t lines = 0;
	for (size_t i = 0; i < text.len; i++)
		lines += text.p[i] == '\n';
	m->file = pool_alloc(pool, (lines + 1) * sizeof(*m->file));
	if (!slice_eqs(slice_cut(&rest, '\n'), "hamlet-backup 1"))
		return false;
	while (rest.len) {
		const char *start = rest.p;
		struct slice line = slice_cut(&rest, '\n');
		struct slice word = slice_word(&line);
		uint64_t v = 0;
		line = slice_trim(line);
		if (slice_eqs(word, "end")) {
			char want[16];
			str_fmt(want, sizeof(want), "%08x",
				crc32c(0, text.p, (size_t)(start - text.p)));
			return slice_eqs(line, want) && rest.len == 0;
		}
		bool ok = slice_eqs(word, "file") ? parse_file(pool, line, m) : str_u64(line, &v);
		if (!ok)
			return false;
		if (slice_eqs(word, "created"))
			m->info.created_ms = v;
		else if (slice_eqs(word, "shards"))
			m->info.shards = (unsigned)v;
	}
	return false; /* without its end */
}

static bool manifest_read(struct pool *pool, const char *dir, struct slice name, struct manifest *m,
			  const char **why)
{
	const char *path = pool_printf(pool, "%s/" MANIFEST, dir);
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	*m = (struct manifest){.info.name = pool_strndup(pool, name.p, name.len)};
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size > MANIFEST_MAX) {
		failed(pool, why, path);
		if (fd >= 0)
			close(fd);
		return false;
	}
	char *text = pool_alloc(pool, (size_t)st.st_size + 1);
	ssize_t n = read(fd, text, (size_t)st.st_size);
	close(fd);
	if (n == st.st_size && parse_manifest(pool, (struct slice){text, (size_t)n}, m))
		return true;
	*why = pool_printf(pool, "%s is damaged", path);
	return false;
}

/* --- making one -------------------------------------------------------------------------- */

struct segment_copy {
	struct pool *pool;
	const char *from, *to, *name; /* folders, and the folder's name */
	struct buf *manifest;
	bool ok;
	const char **why;
};

static void copy_segment(void *arg, uint64_t segment, uint64_t bytes)
{
	struct segment_copy *s = arg;
	char name[SEGMENT_NAME];
	struct copied c;
	(void)bytes;
	if (!s->ok)
		return;
	segment_name(name, segment);
	const char *to = pool_printf(s->pool, "%s/%s", s->to, name);
	s->ok = copy_file(pool_printf(s->pool, "%s/%s", s->from, name), to, &c);
	if (!s->ok)
		failed(s->pool, s->why, to);
	else
		manifest_file(s->manifest, pool_printf(s->pool, "%s/%s", s->name, name), &c);
}

static bool copy_base(struct pool *pool, struct base *b, const char *dir, struct buf *manifest,
		      const char **why)
{
	const char *db = strrchr(b->path, '/') + 1;
	const char *to = pool_printf(pool, "%s/%s", dir, db);
	struct copied c;
	if (!db_backup(b->db, to, why)) {
		*why = pool_strdup(pool, *why);
		return false;
	}
	if (!copy_file(to, NULL, &c))
		return failed(pool, why, to);
	manifest_file(manifest, db, &c);
	/* Bodies that the copy knows were in their files before it was made. */
	struct segments *segments = bodies_segments(b->bodies);
	const char *name = strrchr(segments_dir(segments), '/') + 1;
	struct segment_copy s = {.pool = pool, .from = segments_dir(segments), .ok = true};
	s.to = pool_printf(pool, "%s/%s", dir, name);
	s.name = name;
	s.manifest = manifest;
	s.why = why;
	if (mkdir(s.to, 0700) != 0)
		return failed(pool, why, s.to);
	segments_each(segments, copy_segment, &s);
	return s.ok && sync_dir(s.to);
}

static bool copy_all(struct pool *pool, const char *dir, struct buf *manifest, const char **why)
{
	for (unsigned i = 0; i <= work_shards(); i++) {
		struct base *b = work_reader(i, why);
		if (!b)
			return false;
		bodies_pin(b->bodies, 1);
		bool ok = copy_base(pool, b, dir, manifest, why);
		bodies_pin(b->bodies, -1);
		base_close(&b);
		if (!ok)
			return false;
	}
	return true;
}

const char *backup_dir(struct pool *pool, const char *state_dir, struct slice name)
{
	if (!backup_name_ok(name))
		return NULL;
	const char *dir = pool_printf(pool, "%s/backups/%.*s", state_dir, SLICE_FMT(name));
	return access(dir, F_OK) == 0 ? dir : NULL;
}

bool backup_create(struct pool *pool, const char *state_dir, struct slice name,
		   struct backup_info *out, const char **why)
{
	const char *all = pool_printf(pool, "%s/backups", state_dir);
	const char *dir = pool_printf(pool, "%s/%.*s", all, SLICE_FMT(name));
	const char *partial = pool_printf(pool, "%s/.partial", all);
	*why = NULL;
	if (!backup_name_ok(name) || backup_dir(pool, state_dir, name)) {
		*why = backup_name_ok(name) ? "a backup of this name exists"
					    : "a name is letters, digits, '.', '-' and '_'";
		return false;
	}
	remove_tree(partial, 2); /* of one that was interrupted */
	if ((mkdir(all, 0700) != 0 && errno != EEXIST) || mkdir(partial, 0700) != 0)
		return failed(pool, why, partial);
	struct buf m;
	buf_init(&m, MANIFEST_MAX);
	buf_printf(&m, "hamlet-backup 1\ncreated %llu\nshards %u\n", (unsigned long long)clock_ms(),
		   work_shards());
	bool ok = copy_all(pool, partial, &m, why) && manifest_write(pool, partial, &m, why);
	buf_free(&m);
	if (ok && (!sync_dir(partial) || rename(partial, dir) != 0 || !sync_dir(all)))
		ok = failed(pool, why, dir);
	if (!ok) {
		remove_tree(partial, 2);
		return false;
	}
	struct manifest made;
	ok = manifest_read(pool, dir, name, &made, why);
	*out = made.info;
	return ok;
}

/* --- what is there ----------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct backup_info *)a)->name, ((const struct backup_info *)b)->name);
}

struct backup_info *backup_list(struct pool *pool, const char *state_dir, size_t *n)
{
	enum { MAX = 1000 };
	struct backup_info *all = pool_alloc(pool, MAX * sizeof(*all));
	DIR *d = opendir(pool_printf(pool, "%s/backups", state_dir));
	*n = 0;
	for (const struct dirent *e; d && *n < MAX && (e = readdir(d));) {
		struct slice name = slice_of(e->d_name);
		const char *dir = backup_dir(pool, state_dir, name);
		const char *why;
		struct manifest m;
		if (dir && manifest_read(pool, dir, name, &m, &why))
			all[(*n)++] = m.info;
	}
	if (d)
		closedir(d);
	if (*n)
		qsort(all, *n, sizeof(*all), by_name);
	return all;
}

static bool find(struct pool *pool, const char *state_dir, struct slice name, const char **dir,
		 struct manifest *m, const char **why)
{
	*dir = backup_dir(pool, state_dir, name);
	if (*dir)
		return manifest_read(pool, *dir, name, m, why);
	*why = "no such backup";
	return false;
}

static void report(check_fn *fn, void *arg, struct check_sums *sums, const char *text)
{
	sums->findings++;
	fn(arg, text);
}

bool backup_verify(struct pool *pool, const char *state_dir, struct slice name, check_fn *fn,
		   void *arg, struct check_sums *sums, const char **why)
{
	const char *dir;
	struct manifest m;
	if (!find(pool, state_dir, name, &dir, &m, why))
		return false;
	for (unsigned i = 0; i < m.info.files; i++) {
		const struct manifest_file *f = &m.file[i];
		struct copied c;
		if (!copy_file(pool_printf(pool, "%s/%s", dir, f->name), NULL, &c))
			report(fn, arg, sums,
			       pool_printf(pool, "%s: %s", f->name, strerror(errno)));
		else if (c.size != f->want.size || c.crc != f->want.crc)
			report(fn, arg, sums,
			       pool_printf(pool, "%s: not what was backed up", f->name));
	}
	for (unsigned i = 0; i <= m.info.shards; i++) {
		const char *reason;
		struct base *b = base_frozen(dir, i, &reason);
		if (b)
			check_base(b, fn, arg, sums);
		else
			report(fn, arg, sums, reason);
		base_close(&b);
	}
	return true;
}

/* --- putting it back --------------------------------------------------------------------- */

static bool stage_file(struct pool *pool, const char *dir, const char *to,
		       const struct manifest_file *f, const char **why)
{
	struct copied c;
	const char *target = pool_printf(pool, "%s/%s", to, f->name);
	const char *slash = strrchr(f->name, '/');
	const char *sub = to;
	if (slash)
		sub = pool_printf(pool, "%s/%.*s", to, (int)(slash - f->name), f->name);
	if (slash && mkdir(sub, 0700) != 0 && errno != EEXIST)
		return failed(pool, why, sub);
	if (!copy_file(pool_printf(pool, "%s/%s", dir, f->name), target, &c) || !sync_dir(sub))
		return failed(pool, why, target);
	if (c.size == f->want.size && c.crc == f->want.crc)
		return true;
	*why = pool_printf(pool, "%s: not what was backed up; nothing was restored", f->name);
	return false;
}

bool backup_restore(struct pool *pool, const char *state_dir, struct slice name,
		    struct backup_info *out, const char **why)
{
	const char *dir;
	struct manifest m;
	const char *partial = pool_printf(pool, "%s/.restore", state_dir);
	const char *staged = pool_printf(pool, "%s/restore", state_dir);
	if (!find(pool, state_dir, name, &dir, &m, why))
		return false;
	remove_tree(partial, 2);
	if (mkdir(partial, 0700) != 0)
		return failed(pool, why, partial);
	bool ok = true;
	for (unsigned i = 0; ok && i < m.info.files; i++)
		ok = stage_file(pool, dir, partial, &m.file[i], why);
	const char *mark = pool_printf(pool, "%s/" MARK, partial);
	int fd = ok ? open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (ok &&
	    (fd < 0 || !sync_dir(partial) || rename(partial, staged) != 0 || !sync_dir(state_dir)))
		ok = failed(pool, why, staged);
	if (fd >= 0)
		close(fd);
	if (!ok)
		remove_tree(partial, 2);
	*out = m.info;
	return ok;
}

static bool put_aside(struct pool *pool, const char *state_dir, const char *path, const char **why)
{
	const char *aside =
	    pool_printf(pool, "%s/replaced-%llu", state_dir, (unsigned long long)clock_ms());
	if (rename(path, aside) != 0)
		return failed(pool, why, aside);
	log_event(LOG_LV_WARN, NULL, "store-replaced", LS("by", "a restored backup"),
		  LS("before", aside));
	return sync_dir(state_dir);
}

/* The mark tells a staged store from one that was put out of the way by the exchange, should we
 * die between the steps. */
bool backup_take_over(const char *state_dir, const char **why)
{
	static struct pool *pool; /* of *why */
	if (!pool)
		pool = pool_new(0);
	const char *store = backup_store(state_dir);
	const char *staged = pool_printf(pool, "%s/restore", state_dir);
	const char *mark = pool_printf(pool, "%s/" MARK, store);
	if (mkdir(store, 0700) != 0 && errno != EEXIST)
		return failed(pool, why, store);
	if (access(pool_printf(pool, "%s/" MARK, staged), F_OK) == 0 &&
	    (renameat2(AT_FDCWD, store, AT_FDCWD, staged, RENAME_EXCHANGE) != 0 ||
	     !sync_dir(state_dir)))
		return failed(pool, why, staged);
	if (access(staged, F_OK) == 0 && !put_aside(pool, state_dir, staged, why))
		return false;
	if (unlink(mark) != 0 && errno != ENOENT)
		return failed(pool, why, mark);
	return true;
}
