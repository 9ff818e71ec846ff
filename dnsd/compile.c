/* A zone's text into an image. The image's file has the time of the text that it is of, so that
 * what is newer (or older: a restored copy) is seen without reading it. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/dnsd.h"
#include "dnsd/image.h"
#include "libcommon/base/clock.h"
#include "libcommon/dns/zonetext.h"

enum { LINES_BYTES = 65536, NAME_BYTES = 240 };

/* Its own name, what is no letter, digit, - or _ in hex. */
const char *compile_image_name(struct pool *pool, const struct zone_conf *z)
{
	struct buf b;
	char text[DNS_NAME_TEXT];
	dns_name_text(text, z->wire);
	buf_init(&b, 0);
	for (const char *p = text; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
			     *p == '_' || (*p == '.' && p > text);
		if (plain)
			buf_addc(&b, *p);
		else
			buf_printf(&b, "%%%02x", (unsigned char)*p);
	}
	if (b.len > NAME_BYTES) /* no zone of this world; two such would share their image */
		b.len = NAME_BYTES;
	const char *name = pool_printf(pool, "%.*s.image", SLICE_FMT(buf_slice(&b)));
	buf_free(&b);
	return name;
}

struct build {
	struct compile *c;
	struct image_maker *maker;
};

static void say(struct compile *c, const char *line)
{
	buf_printf(&c->errors, "%s\n", line);
}

static bool on_rr(void *arg, const struct zone_rr *rr)
{
	struct build *b = arg;
	const char *why;
	char type[16];
	if (image_add(b->maker, rr->owner, rr->type, rr->ttl, rr->rdata, rr->rdlen, &why))
		return true;
	b->c->mistakes++;
	buf_printf(&b->c->errors, "%s:%u: %s: %s\n", rr->file, rr->line,
		   dns_type_text(rr->type, type), why);
	return b->c->mistakes < ZONETEXT_ERRORS;
}

static void on_error(void *arg, const char *line)
{
	struct build *b = arg;
	b->c->mistakes++;
	say(b->c, line);
}

static void on_report(void *arg, bool error, const char *line)
{
	struct compile *c = arg;
	c->mistakes += error;
	buf_printf(&c->errors, "%s%s\n", error ? "" : "warning: ", line);
}

static void failed(struct compile *c, const char *what, const char *why)
{
	c->mistakes++;
	buf_printf(&c->errors, "%s: %s\n", what, why);
}

struct image *compile_fresh(const struct compile *c, struct image **old)
{
	struct stat text, made;
	const char *why;
	bool has_text = stat(c->file, &text) == 0;
	if (fstatat(c->state, c->image, &made, AT_SYMLINK_NOFOLLOW) != 0)
		return NULL;
	struct image *image = image_open(c->state, c->image, &why);
	/* Somebody may have given it another zone's name. */
	if (image && !dns_name_eq(image_zone(image), c->zone))
		image_close(&image);
	if (has_text && text.st_mtim.tv_sec == made.st_mtim.tv_sec &&
	    text.st_mtim.tv_nsec == made.st_mtim.tv_nsec)
		return image;
	if (old)
		*old = image;
	else
		image_close(&image);
	return NULL;
}

static void build(struct compile *c)
{
	struct build b = {.c = c};
	struct stat text;
	if (stat(c->file, &text) != 0) {
		failed(c, c->file, strerror(errno));
		return;
	}
	b.maker = image_make(c->state, c->image, c->zone, NULL);
	if (!b.maker) {
		failed(c, c->image, strerror(errno));
		return;
	}
	const struct zonetext z = {
	    .origin = c->zone, .on_rr = on_rr, .on_error = on_error, .arg = &b};
	zonetext_file(&z, c->file);
	if (c->mistakes) {
		image_abort(b.maker);
		return;
	}
	struct image_stats made;
	if (!image_finish(b.maker, &made, on_report, c)) {
		if (!c->mistakes)
			failed(c, c->image, "cannot be written");
		return;
	}
	const struct timespec times[2] = {text.st_mtim, text.st_mtim};
	const char *why;
	utimensat(c->state, c->image, times, AT_SYMLINK_NOFOLLOW);
	c->out = image_open(c->state, c->image, &why);
	if (!c->out)
		failed(c, c->image, why);
	c->built = c->out != NULL;
}

void compile_run(struct compile *c)
{
	uint64_t began = clock_mono();
	char lock_name[NAME_MAX + 1];
	buf_init(&c->errors, LINES_BYTES);
	if (!str_fmt(lock_name, sizeof(lock_name), "%s.lock", c->image)) {
		failed(c, c->image, "the name is too long");
		return;
	}
	int lock = openat(c->state, lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) != 0)
		failed(c, lock_name, strerror(errno));
	else if (c->force || !(c->out = compile_fresh(c, NULL)))
		build(c);
	if (lock >= 0)
		close(lock);
	malloc_trim(0); /* the text is gone, so shall its memory be */
	c->ms = clock_mono() - began;
}
