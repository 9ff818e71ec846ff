/* A zone's source into an image: its records are read (source.c), what is derived from them is
 * added, the serial is chosen, and it is written. The image says which version of the source it is
 * of, so that another one (also an older: a restored copy) is seen without reading it. */
#include <errno.h>
#include <malloc.h>
#include <unistd.h>
#include "dnsd/alias/alias.h"
#include "dnsd/sign/dnssec.h"
#include "dnsd/image/beside.h"
#include "dnsd/image/image_maker.h"
#include "dnsd/image/journal.h"
#include "dnsd/load/compile.h"
#include "libcommon/base/clock.h"
#include "libcommon/dns/serial.h"

enum { LINES_BYTES = 65536, NAME_BYTES = 239 };

const char *compile_image_name(struct pool *pool, const uint8_t *zone)
{
	return compile_image_name_in(pool, 0, zone);
}

/* Its own name, what is no letter, digit, - or _ in hex, and its view's. */
const char *compile_image_name_in(struct pool *pool, unsigned view, const uint8_t *zone)
{
	const char *of = conf_view_name(view);
	size_t most = NAME_BYTES - strlen(of);
	struct buf b;
	char text[DNS_NAME_TEXT];
	dns_name_text(text, zone);
	buf_init(&b, 0);
	for (const char *p = text; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
			     *p == '_' || (*p == '.' && p > text);
		if (plain)
			buf_addc(&b, *p);
		else
			buf_printf(&b, "%%%02x", (unsigned char)*p);
	}
	if (b.len > most) /* no zone of this world; two such would share their image */
		b.len = most;
	const char *name =
	    pool_printf(pool, "%.*s%s%s.image", SLICE_FMT(buf_slice(&b)), view ? "@" : "", of);
	buf_free(&b);
	return name;
}

void compile_report(void *arg, bool error, const char *line)
{
	struct compile *c = arg;
	c->mistakes += error;
	buf_printf(&c->errors, "%s%s\n", error ? "" : "warning: ", line);
}

void compile_failed(struct compile *c, const char *what, const char *why)
{
	c->mistakes++;
	buf_printf(&c->errors, "%s: %s\n", what, why);
}

/* The image that there is, of whatever version. */
static struct image *image_before(const struct compile *c)
{
	const char *why;
	struct image *image = image_open(c->state, c->image, &why);
	/* Somebody may have given it another zone's name. */
	if (image && !dns_name_eq(image_zone(image), c->zone))
		image_close(&image);
	return image;
}

struct image *compile_fresh(struct compile *c, struct image **old)
{
	struct image_origin now;
	const char *why;
	struct image *image = image_before(c);
	if (!image)
		return NULL;
	const struct image_origin *made = image_origin(image);
	if (source_version(c, &now, &why) && now.id == made->id && now.version == made->version &&
	    alias_version(c->state, c->image) == made->addresses && !dnssec_is_due(c->conf, image))
		return image;
	if (old)
		*old = image;
	else
		image_close(&image);
	return NULL;
}

static uint32_t later(uint32_t serial, uint32_t than)
{
	return zone_serial_above(serial, than) ? serial : zone_serial_next(than, clock_ms());
}

/* The administrator need not see to that. */
void compile_serial(const struct compile *c, struct image_maker *m, const struct image *before,
		    uint64_t content, bool lost)
{
	uint32_t serial, left = before ? 0 : image_serial_left(c->state, c->image);
	if (!maker_serial(m, &serial))
		return;
	if (before && content == image_origin(before)->content &&
	    !zone_serial_above(serial, image_serial(before)))
		serial = image_serial(before);
	else if (before)
		serial = later(serial, image_serial(before));
	else if (left)
		serial = later(serial, left);
	else if (lost)
		serial = zone_serial_lost(serial, clock_ms());
	if (c->above)
		serial = later(serial, c->above);
	maker_set_serial(m, serial);
}

/* The first image, as far as the state folder tells. */
static void note_begun(struct compile *c)
{
	if (!beside_write(c->state, c->image, SERIAL_BEGUN, SLICE("1\n")))
		buf_printf(&c->errors, "warning: %s: %s\n", c->image, strerror(errno));
}

/* The records of the source are there: its addresses, and its serial. */
static void ready(struct compile *c, struct image_maker *m, struct image_origin *origin,
		  const struct image *before, bool lost)
{
	uint32_t serial;
	if (!alias_book_close(m->o.alias_arg)) {
		c->again = true;
		compile_failed(c, c->image, "the targets of ALIAS records cannot be written");
	}
	origin->content = maker_content(m);
	origin->records = m->stats.records;
	origin->plain = !m->aliases && !m->left_out;
	if (maker_serial(m, &serial))
		origin->serial = serial;
	if (c->secondary)
		return;
	if (!before && !image_serial_left(c->state, c->image))
		note_begun(c);
	compile_serial(c, m, before, origin->content, lost);
}

/* of: the version of the source; of `before` the source is that image itself, which has all that
 * is told of a source. */
static bool make(struct compile *c, const struct image_origin *of, const struct image *before)
{
	bool served = before && of == image_origin(before);
	struct image_origin origin = *of;
	struct image_stats made = {0};
	struct dnssec *d = c->secondary ? NULL : dnssec_begin(c, before);
	struct alias_book book = {0};
	const struct image_options options = {.lenient = c->secondary,
					      .alias = alias_book_find,
					      .alias_arg = &book,
					      .sign = d ? dnssec_sign : NULL,
					      .sign_arg = d};
	struct image_maker *m =
	    c->mistakes ? NULL : image_make(c->state, c->image, c->zone, &options);
	bool ok = m && (served ? source_served(c, m, before) : source_read(c, m, &origin));
	if (ok && !served) {
		origin.addresses = alias_version(c->state, c->image);
		alias_book_open(&book, c->state, c->image);
	}
	if (ok) {
		maker_ready(m);
		origin.plain = 0;
		if (!served)
			ready(c, m, &origin, before, dnssec_lost(d));
		origin.settings = dnssec_settings(c->conf);
		image_set_origin(m, &origin);
		ok = image_finish(m, &made, compile_report, c);
		c->again |= made.unwritten;
	} else if (m) {
		image_abort(m);
	}
	if (!ok && !c->mistakes)
		compile_failed(c, c->image, m ? "cannot be written" : strerror(errno));
	dnssec_end(&d);
	return ok;
}

static enum journal_noted note(struct compile *c, const struct image *before,
			       const struct buf *changed)
{
	return changed ? journal_note_names(c->state, c->image, before, c->out, buf_slice(changed))
		       : journal_note(c->state, c->image, before, c->out);
}

/* *patched: by an overlay, and changed are its names. */
static bool make_of_source(struct compile *c, const struct image *before, struct buf *changed,
			   bool *patched)
{
	struct image_origin origin;
	const char *why;
	if (source_version(c, &origin, &why)) {
		*patched = compile_patch(c, before, changed);
		return *patched || make(c, &origin, before);
	}
	compile_failed(c, c->file ? c->file : "store", why);
	return false;
}

/* Signatures end, whether there is a source to compile or not. */
static bool make_of_served(struct compile *c, const struct image *before)
{
	if (!before || !image_origin(before)->dnssec || c->gone || c->again ||
	    !(c->dnssec || dnssec_is_due(c->conf, before)))
		return false;
	unsigned mistakes = c->mistakes;
	c->mistakes = 0;
	c->renewed = make(c, image_origin(before), before);
	c->mistakes += c->renewed ? 0 : mistakes;
	if (c->renewed)
		buf_adds(&c->errors, "the zone as it was served is signed again; nothing else "
				     "changes until its source can be read\n");
	return c->renewed;
}

static void build(struct compile *c)
{
	const char *why;
	struct image *before = image_before(c);
	struct buf changed = {0};
	bool patched = false;
	if (make_of_source(c, before, &changed, &patched) || make_of_served(c, before)) {
		c->out = image_open_next(c->state, c->image, before, &why);
		if (!c->out)
			compile_failed(c, c->image, why);
		else if (note(c, before, patched ? &changed : NULL) == JOURNAL_FAILED)
			buf_printf(&c->errors, "warning: the journal: %s\n", strerror(errno));
	}
	c->built = c->out != NULL;
	buf_free(&changed);
	image_close(&before);
}

static void tell(struct compile *c)
{
	struct image *served = image_before(c);
	dnssec_tell(c, served);
	image_close(&served);
}

/* What another process has made, when there is nothing left to do. */
static struct image *done_already(struct compile *c)
{
	struct image *image = compile_fresh(c, NULL);
	bool parent = c->dnssec & DNSSEC_PARENT;
	if (image && ((c->merge && image_overlaid(image)) || c->dnssec & ~(unsigned)DNSSEC_PARENT ||
		      (c->above && !zone_serial_above(image_serial(image), c->above)) ||
		      (parent && image_origin(image)->dnssec & IMAGE_AWAITS_PARENT)))
		image_close(&image);
	return image;
}

void compile_run(struct compile *c)
{
	uint64_t began = clock_mono();
	char lock_name[NAME_MAX + 1];
	buf_init(&c->errors, LINES_BYTES);
	if (!str_fmt(lock_name, sizeof(lock_name), "%s.lock", c->image)) {
		compile_failed(c, c->image, "the name is too long");
		return;
	}
	int lock = beside_lock(c->state, lock_name, true);
	if (lock < 0)
		compile_failed(c, lock_name, strerror(errno));
	else if (c->dnssec & DNSSEC_TELL)
		tell(c);
	else if (c->force || !(c->out = done_already(c)))
		build(c);
	if (lock >= 0)
		close(lock);
	malloc_trim(0); /* the text is gone, so shall its memory be */
	c->ms = clock_mono() - began;
}
