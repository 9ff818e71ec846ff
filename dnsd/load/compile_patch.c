/* A change of a zone of the store into an overlay over its image: the store's journal says which
 * names have changed since the version that the image is of. Whatever is not as it mostly is leaves
 * it to the whole zone to be compiled. */
#include "dnsd/image/image_maker.h"
#include "dnsd/image/image_patch.h"
#include "dnsd/load/compile.h"
#include "dnsd/sign/dnssec.h"

enum { PART = 4 /* of the zone's names may be in an overlay */ };

static bool is_signed(const struct compile *c)
{
	return c->conf->dnssec.on && !c->secondary;
}

uint32_t compile_overlay_most(const struct image *i)
{
	struct image_stats n;
	image_numbers(i, &n);
	return n.names / PART < conf.overlay ? (uint32_t)(n.names / PART) : (uint32_t)conf.overlay;
}

/* The same of a change; 0: there must be a whole image. */
static uint32_t most(const struct compile *c, const struct image *before)
{
	const struct image_origin *o = before ? image_origin(before) : NULL;
	if (!o || !o->id || !o->plain || c->file || !c->store || c->force || c->merge || c->above ||
	    c->dnssec || c->conf->catalog == CATALOG_OURS || dnssec_is_due(c->conf, before) ||
	    is_signed(c) != (o->dnssec != 0) || (is_signed(c) && c->conf->dnssec.zonemd))
		return 0;
	return compile_overlay_most(before);
}

/* Everything but the file. The numbers of records are a proof of the store's journal. */
static bool ready(struct compile *c, struct image_maker *m, const struct image *before,
		  uint32_t names)
{
	struct image_origin o = *image_origin(before);
	uint64_t records;
	if (!store_changes(c, m, image_origin(before), names, &o, &records) ||
	    !image_patch_ready(m) || image_patch_records(m) != records)
		return false;
	o.content = image_patch_content(m);
	o.records = records;
	if (!c->secondary)
		compile_serial(c, m, before, o.content, false);
	image_set_origin(m, &o);
	return true;
}

bool compile_patch(struct compile *c, const struct image *before, struct buf *changed)
{
	uint32_t names = most(c, before);
	unsigned mistakes = c->mistakes;
	size_t lines = c->errors.len;
	bool sign = names && is_signed(c);
	struct dnssec *d = sign ? dnssec_begin(c, before) : NULL;
	const struct image_options options = {
	    .lenient = c->secondary, .sign = d ? dnssec_sign : NULL, .sign_arg = d};
	struct image_maker *m =
	    names && !sign == !d ? image_patch(c->state, c->image, before, &options, names, changed)
				 : NULL;
	bool ok = m && ready(c, m, before, names);
	if (ok)
		ok = image_finish(m, NULL, compile_report, c);
	else if (m)
		image_abort(m);
	dnssec_end(&d);
	if (ok)
		return true;
	c->mistakes = mistakes;
	c->errors.len = lines;
	return false;
}
